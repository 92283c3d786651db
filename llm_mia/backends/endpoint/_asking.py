"""How a server is asked for the log-probabilities of a prompt, and how its answer is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._answers import Answer, AnswerError, Choice, answer_of, count_of, read_choice
from ._client import Query

__all__ = ["Way"]

BYTES_PER_TOKEN = 4
"""Of English text, for estimates."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the completions of a server are asked for."""

    model: str
    opening: str = ""
    """A text that is put before every prompt, for servers that need a first token which is not of the passage."""
    generated: int = 1
    """Tokens that are generated: 0 is not asked for where 1 works, because some servers read it as "no limit"."""
    shows_ids: bool = False
    """Whether the server is asked for the ids of the tokens."""
    takes_ids: bool = False
    """Whether prompts are sent as ids, which no tokenizer cuts again."""

    def query(self, prompt: str | Sequence[int]) -> Query:
        """The request for the log-probabilities of *prompt*: a text, or ids."""
        sent = self.opening + prompt if isinstance(prompt, str) else list(prompt)
        n = len(sent.encode()) / BYTES_PER_TOKEN if isinstance(sent, str) else len(sent)
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": sent,
            "max_tokens": self.generated,
            "echo": True,
            "logprobs": 1,
            # The distribution is that of the model itself: some servers divide the logits of the prompt, too.
            "temperature": 1.0,
        }
        if self.shows_ids:
            body["return_token_ids"] = True
        return Query(body, round(n) + self.generated)

    def read(self, value: Any, text: str) -> Answer:
        """The tokens of *text*, which was sent, in the answer *value*.

        Raises:
            AnswerError: it has no log-probabilities, or of other tokens than those of the text.
        """
        choice = read_choice(value)
        answer = answer_of(choice, text, self.opening)
        if answer is None:
            raise AnswerError(problem_of(choice, text))
        return answer

    def read_ids(self, value: Any, ids: Sequence[int]) -> Answer:
        """The tokens of a prompt that was sent as *ids*; their ends are 0.

        Raises:
            AnswerError: it has no log-probabilities, or of another number of tokens.
        """
        choice = read_choice(value)
        n = len(ids)
        if len(choice.tokens) not in (n, n + 1) or (choice.prompt_ids or list(ids))[:n] != list(ids):
            raise AnswerError(f"its answer is not for the {n} tokens of the prompt")
        tops = [max(each.values(), default=np.nan) for each in choice.tops[:n]] if choice.tops else [np.nan] * n
        logprob = np.array(choice.logprobs[:n])
        return Answer(
            ends=np.zeros(n, np.int32),
            ids=np.array(ids, np.int32),
            logprob=logprob,
            top=np.maximum(np.array(tops), logprob),
            rank=np.array([_rank(choice, at, token) for at, token in enumerate(ids)], np.int32),
        )


def _rank(choice: Choice, at: int, token: int) -> int:
    details = choice.details[at] if choice.details is not None and at < len(choice.details) else None
    entry = details.get(str(token)) if isinstance(details, dict) else None
    rank = entry.get("rank") if isinstance(entry, dict) else None
    return (count_of(rank) or 0) - 1


def problem_of(choice: Choice, text: str) -> str:
    """Why the tokens of *choice* do not spell *text*, as far as this can be seen."""
    if len(choice.tokens) <= 1 and len(text) > 8:
        return "it gives log-probabilities of generated tokens only, and none of the prompt"
    # Tokens may show parts of characters, so only what every server writes alike is compared.
    sent, shown = _ascii(text), _ascii("".join(choice.tokens))
    if sent in shown and len(shown) > len(sent) + 8:
        return "it puts the prompt into a chat template, so the log-probabilities are those of another text"
    if len(shown) < len(sent) and (sent.startswith(shown[:-8]) or shown[:-8] in sent):
        return "it cuts the prompt, or leaves out the log-probabilities of tokens that it has cached"
    return "its tokens do not spell the text: it changes the text, or reads special tokens in it"


def _ascii(text: str) -> str:
    return "".join(character for character in text if "!" <= character <= "~")
