"""Texts, windows of them, and the signals of their tokens."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CONTINUATIONS",
    "FIELDS",
    "TOKEN_ARRAYS",
    "FloatArray",
    "IntArray",
    "Passage",
    "Plain",
    "TokenSignals",
    "Window",
    "WindowRule",
    "text_sha256",
]

Plain: TypeAlias = str | int | float | bool | None
"""A value of a carried column; None where it is missing."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit that gets a score."""

    id: str
    """As given, or derived from the content."""
    text: str
    """Exactly as in the input: never folded, stripped or cut."""
    document: str
    """The group it comes from (a book, an article); the id of the passage where the input names none."""
    label: int | None = None
    """1 member, 0 non-member, None unknown."""
    where: str = ""
    """Its place in the input, for messages: ``known.jsonl line 3``."""
    columns: Mapping[str, Plain] = field(default_factory=dict, hash=False)
    """What else the input says about it (``source``, ``language``); carried into the results, and never a score."""

    @property
    def n_bytes(self) -> int:
        """Length in UTF-8 bytes."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How a passage that is longer than the model's context is cut (drawn in `llm_mia.signals`)."""

    tokens: int
    """Most tokens fed to the model at once, the opening included."""
    context: int
    """Tokens of left context that every window but the first repeats without scoring them."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is fed to a model once."""

    tokens: IntArray
    """Shape (n,): token ids, after the opening (`ModelRecord.opening`)."""
    first_scored: int
    """``tokens[first_scored:]`` are scored, each given everything left of it."""
    passage: int = 0
    """Position of its passage in the block being scored."""


@dataclass(frozen=True, slots=True)
class TokenSignals:
    """Statistics of a model on the tokens of a passage: arrays of shape (scored tokens,).

    The first token of a passage is scored only where tokens open the windows (`ModelRecord.opening`).
    """

    token_ids: IntArray
    """The scored tokens."""
    logprob: FloatArray
    """log p(x_t | x_<t), nats."""
    mean: FloatArray
    """E[log p(v)] for v drawn from the model's next-token distribution, nats; the negated entropy."""
    std: FloatArray
    """Standard deviation of log p(v) under that distribution, nats; above zero."""
    top: FloatArray
    """Largest log p(v), nats."""
    rank: IntArray
    """How many tokens are strictly likelier than x_t; 0 where x_t is the model's first choice."""
    tokenizer: str = ""
    """Fingerprint of tokenizer and opening; two passes with the same fingerprint align token by token."""

    def __len__(self) -> int:
        return len(self.logprob)

    @classmethod
    def of(
        cls,
        logprob: ArrayLike,
        *,
        token_ids: ArrayLike | None = None,
        mean: ArrayLike = np.nan,
        std: ArrayLike = np.nan,
        top: ArrayLike = np.nan,
        rank: ArrayLike = -1,
        tokenizer: str = "",
    ) -> TokenSignals:
        """The signals that these arrays or lists hold; what is left out is NaN (rank −1), and no two token ids equal.

        >>> len(TokenSignals.of([-1.0, -2.5]))
        2
        """
        ids = np.arange(np.size(logprob)) if token_ids is None else token_ids
        given = {"token_ids": ids, "logprob": logprob, "mean": mean, "std": std, "top": top, "rank": rank}
        arrays = {name: np.asarray(given[name], dtype) for name, dtype in TOKEN_ARRAYS.items()}
        shape = arrays["logprob"].shape
        values = {
            name: array if array.shape == shape else np.broadcast_to(array, shape) for name, array in arrays.items()
        }
        return cls(**values, tokenizer=tokenizer)

    @property
    def mean_logprob(self) -> float:
        """The mean log-likelihood of the passage, nats per token; NaN where no token is scored.

        >>> TokenSignals.of([-1.0, -2.0]).mean_logprob
        -1.5
        """
        return float(self.logprob.mean(dtype=np.float64)) if len(self) else math.nan

    def take(self, tokens: slice | NDArray[np.bool_] | NDArray[np.intp]) -> TokenSignals:
        """The signals of some of the tokens, by a slice, a mask or positions; a slice gives views."""
        return replace(self, **{name: getattr(self, name)[tokens] for name in TOKEN_ARRAYS})

    def copy(self) -> TokenSignals:
        """The same values in new arrays: these may be views of the arrays of a whole batch."""
        return replace(self, **{name: getattr(self, name).copy() for name in TOKEN_ARRAYS})

    @classmethod
    def concat(cls, parts: Sequence[TokenSignals], tokenizer: str) -> TokenSignals:
        """The signals of *parts*, end to end; empty arrays where there are none."""
        if len(parts) == 1:
            return parts[0]
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts] or [np.empty(0, dtype)]).astype(
                dtype, copy=False
            )
            for name, dtype in TOKEN_ARRAYS.items()
        }
        return cls(**joined, tokenizer=tokenizer)


TOKEN_ARRAYS: Mapping[str, type[np.generic]] = {
    "token_ids": np.int32,
    "logprob": np.float32,
    "mean": np.float32,
    "std": np.float32,
    "top": np.float32,
    "rank": np.int32,
}
"""The arrays of `TokenSignals` and what they hold."""
FIELDS = ("logprob", "mean", "std", "top", "rank")
"""What a model computes of each token; a backend offers all of these or some."""
CONTINUATIONS = "continuations"
"""What a backend offers, besides `FIELDS`, that continues texts (`llm_mia.backends.Sampler`)."""


def text_sha256(text: str) -> str:
    """The SHA-256 of *text*, hexadecimal: by it a run notices that its input has changed, and equal texts are known."""
    return hashlib.sha256(text.encode()).hexdigest()
