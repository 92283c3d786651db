"""What all models behind endpoints have in common: their answers are kept, and they continue texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...records import ModelRecord
from ._answers import AnswerError, without_surrogates
from ._client import Client, Query, RefusedError, is_too_long
from ._kept import KeptAnswers, prompt_digest

__all__ = ["RemoteModel", "text_of"]

BYTES_PER_TOKEN = 3
"""Of a prompt that may have to be cut: fewer than in most texts, so that it fits."""


class RemoteModel:
    """A model of a server.

    Args:
        client: sends the requests.
        opening: a text that is sent before every prompt.
    """

    info: ModelRecord

    def __init__(self, client: Client, opening: str = "") -> None:
        self._client, self._opening, self._kept = client, opening, KeptAnswers()
        self.probes = client.sent
        """Requests that measure the server; each command sends them again."""
        self.tokens_per_batch = 1024
        self.block_bytes = 4096 * client.budget.concurrency
        """Size of a block: large enough that waiting for its last answer costs little, and small enough that progress
        shows."""

    def keep_answers(self, path: Path) -> None:
        """From now on, write every answer to the file *path*, and send no request whose answer it holds."""
        self._client.go_on()
        self._kept.write_to(path)

    def check_unchanged(self) -> None:
        """Nothing: continuations show no other model."""

    def forget_answers(self) -> None:
        """Remove the file of `keep_answers`: all of its answers are stored in the run directory."""
        self._kept.remove()

    def stop(self) -> None:
        """Give up the requests that are under way in another thread."""
        self._client.stop()

    def sample(
        self, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
    ) -> list[list[str]]:
        """*number* continuations of each prompt, see `llm_mia.backends.Sampler`; each costs a request.

        A server that draws by a seed gives the same texts again. At temperature 0 a prompt is continued once.
        """
        room = self.info.context - max_tokens
        if room < 1:
            raise ModelError(
                f"model {self.info.id!r} takes {self.info.context} tokens, so {max_tokens} tokens leave no room for a "
                "prompt: give fewer `sample_tokens`"
            )
        different = 1 if temperature == 0 else number
        drawn = [
            {"prompt": self._opening + _end(prompt, room), "max_tokens": max_tokens, "temperature": temperature,
             "seed": _seed(prompt, seed, at)}
            for prompt in prompts
            for at in range(different)
        ]  # fmt: skip
        texts = self._continue(drawn)
        return [texts[at * different : (at + 1) * different] * (number // different) for at in range(len(prompts))]

    def _continue(self, drawn: Sequence[dict[str, Any]]) -> list[str]:
        """The continuation that each of *drawn* asks for."""
        identity = f"continuation {self._client.address.model}"
        digests = [prompt_digest(identity, repr(sorted(each.items()))) for each in drawn]
        kept = [self._kept.get(digest) for digest in digests]
        texts = [None if entry is None else str(entry["text"]) for entry in kept]
        asked = [at for at, text in enumerate(texts) if text is None]

        def keep(position: int, value: Any) -> None:
            at = asked[position]
            texts[at] = text_of(value)
            self._kept.add(digests[at], {"text": texts[at]})

        queries = [Query({"model": self._client.address.model, **drawn[at]}, _cost(drawn[at])) for at in asked]
        try:
            values = self._client.ask(queries, keep) if asked else []
        except AnswerError as error:
            raise ModelError(f"model {self.info.id!r}: {error}") from None
        for value in values:
            if isinstance(value, RefusedError):
                advice = ": give shorter passages" if is_too_long(value) else ""
                raise ModelError(f"model {self.info.id!r}: {value}{advice}")
        return [text for text in texts if text is not None]


def text_of(value: Any) -> str:
    """The text of an answer.

    Raises:
        AnswerError: it has none.
    """
    choices = value.get("choices") if isinstance(value, dict) else None
    text = choices[0].get("text") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    if not isinstance(text, str):
        raise AnswerError("its answers are not those of a completions endpoint")
    return without_surrogates(text)


def _end(prompt: str, tokens: int) -> str:
    """The end of a prompt that is too long for so many tokens."""
    data = prompt.encode()
    return (
        prompt if len(data) <= tokens * BYTES_PER_TOKEN else data[-tokens * BYTES_PER_TOKEN :].decode(errors="ignore")
    )


def _seed(prompt: str, seed: int, at: int) -> int:
    """By which a server draws a continuation: of the prompt, so that continuations of different prompts are unlike."""
    return int.from_bytes(hashlib.sha256(f"sample {seed} {at} {prompt}".encode()).digest()[:4], "big") >> 1


def _cost(drawn: dict[str, Any]) -> int:
    return len(drawn["prompt"].encode()) // 4 + int(drawn["max_tokens"])
