"""A model for tests: a seeded table of bigrams over bytes, exact, instant and without torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import CONTINUATIONS, FIELDS, IntArray, ModelRecord, TokenSignals, Window
from ..rewriting import draws
from . import Report
from ._context import refuse_beyond_context

__all__ = ["FakeBackend"]

BYTES = 256


class FakeBackend:
    """A bigram model whose logits are drawn once from a seeded normal distribution.

    Args:
        seed: draws the logits.
        context: the longest input, in tokens.
        bos: whether every window starts with a BOS token.
        offers: the fields of the signals that it gives, such as those of an interface that gives only likelihoods; and
            ``continuations``.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        context: int = 1024,
        bos: bool = False,
        offers: Collection[str] = (*FIELDS, CONTINUATIONS),
    ) -> None:
        logits = np.random.default_rng(seed).normal(0.0, 2.0, size=(BYTES + 1, BYTES))
        self._logprob = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        p = np.exp(self._logprob)
        self._mean = (p * self._logprob).sum(1)
        self._std = np.sqrt((p * (self._logprob - self._mean[:, None]) ** 2).sum(1))
        self._top = self._logprob.max(1)
        self._rank = (-self._logprob).argsort(1).argsort(1)
        self.opening = (BYTES,) if bos else ()
        self.tokens_per_batch = 1024
        self.offers = frozenset(offers)
        self.info = ModelRecord(
            id=f"fake-{seed}",
            revision=None,
            weights_sha256=f"seed {seed}",
            config_sha256="bigram",
            dtype="float64",
            tokenizer=f"bytes, BOS {BYTES if bos else None}",
            context=context,
            opening=self.opening,
            opening_text=("BOS",) if bos else (),
            offers=tuple(name for name in FIELDS if name in self.offers),
        )

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """The bytes of each text."""
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window, from the table; a *prefix* changes only the first token, by its last byte."""
        if prefix is not None and windows:
            refuse_beyond_context(self.info, prefix, windows)
        signals = [self._score_window(window, prefix) for window in windows]
        if report:
            report(sum(map(len, signals)))
        return signals

    def _score_window(self, window: Window, prefix: IntArray | None) -> TokenSignals:
        fed = window.tokens if prefix is None else np.concatenate([prefix[-1:], window.tokens])
        scored = window.tokens[window.first_scored :]
        before = fed[len(fed) - len(scored) - 1 : -1]
        computed = {
            "logprob": self._logprob[before, scored],
            "mean": self._mean[before],
            "std": self._std[before],
            "top": self._top[before],
            "rank": self._rank[before, scored],
        }
        given = {name: values for name, values in computed.items() if name in self.offers}
        return TokenSignals.of(given.pop("logprob"), token_ids=scored, tokenizer=self.info.tokenizer, **given)

    def sample(
        self, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
    ) -> list[list[str]]:
        """Continuations from the table, byte after byte; a byte that is no part of a character is replaced."""
        logits = self._logprob[:BYTES] / (temperature or 1.0)
        cumulative = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
        return [
            [self._continue(prompt, cumulative, temperature, f"sample {seed} {at}", max_tokens) for at in range(number)]
            for prompt in prompts
        ]

    def _continue(self, prompt: str, cumulative: NDArray[np.float64], temperature: float, key: str, length: int) -> str:
        written = bytearray(prompt.encode()[-1:])
        for drawn in draws(key, prompt, length):
            row = cumulative[written[-1]]
            likeliest = int(self._logprob[written[-1]].argmax())
            written.append(
                likeliest if temperature == 0 else int(row.searchsorted((drawn >> 11) * 2.0**-53 * row[-1], "right"))
            )
        return written[1:].decode(errors="replace")
