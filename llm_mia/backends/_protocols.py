"""What a model, its tokenizer and a model that rewrites texts can do, for the stages that use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..records import IntArray, ModelRecord, TokenSignals, Window

__all__ = [
    "Backend",
    "Comparable",
    "LengthChecking",
    "RemoteBackend",
    "RemoteWork",
    "Report",
    "Rewriter",
    "Sampler",
    "Tokenizer",
]

Report = Callable[[int], None]
"""A function that receives the number of tokens scored since its last call."""


@runtime_checkable
class Backend(Protocol):
    """A model that computes the signals of windows."""

    @property
    def info(self) -> ModelRecord:
        """The record of everything that its signals depend on."""

    @property
    def offers(self) -> frozenset[str]:
        """The fields of the signals that it computes, as in `ModelRecord.offers`; others are NaN, and rank is −1.

        Also ``continuations`` (`llm_mia.records.CONTINUATIONS`), where it is a `Sampler`.
        """

    @property
    def opening(self) -> tuple[int, ...]:
        """The tokens that start every window and are not scored: those that the tokenizer puts before a text."""

    @property
    def tokens_per_batch(self) -> int:
        """How many tokens to compute at once for the best speed; a pass reads ahead accordingly."""

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added."""

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window's scored tokens, in the order of *windows*.

        They do not depend on which windows are scored together, beyond the rounding of the arithmetic.

        Args:
            windows: the windows to score.
            report: is called after every batch.
            prefix: token ids, shape (n,), n ≥ 1, that the model reads before the tokens of every window. It starts with
                the `opening`, and the windows do not. With a prefix, `Window.first_scored` may be 0.

        Raises:
            ModelError: the prefix and the longest window together exceed the model's context.
            WindowError: the model fails on a window.
        """


@runtime_checkable
class LengthChecking(Protocol):
    """A backend that can check before the work begins that it takes windows of a length."""

    def check_length(self, tokens: int, prefix: int = 0) -> None:
        """Feed a window of *tokens* tokens, after a prefix of *prefix* tokens, to the first layer of the model.

        Raises:
            ModelError: the model fails on it.
        """


@runtime_checkable
class Comparable(Backend, Protocol):
    """A backend whose signals can be compared with those of the same model in float32."""

    def in_float32(self) -> Backend:
        """The same model in float32, in memory together with this one until the caller gives it up.

        Raises:
            MemoryError: the memory is too small for both.
            ModelError: it cannot be loaded in float32.
        """


@runtime_checkable
class RemoteBackend(Backend, Protocol):
    """A backend whose signals come from a server: each request takes time, and may cost money."""

    @property
    def block_bytes(self) -> int:
        """How many bytes of passages to ask for at once."""

    @property
    def probes(self) -> int:
        """How many requests measure the server, before the first passage and after the last, in each command."""

    def keep_answers(self, path: Path) -> None:
        """Write every answer to the file *path* as soon as it comes, and send no request whose answer it holds."""

    def check_unchanged(self) -> None:
        """Raise `ModelError` where the server has another model than at the beginning."""

    def forget_answers(self) -> None:
        """Remove the file of `keep_answers`."""

    def stop(self) -> None:
        """Give up the requests that are under way in another thread."""

    def recognised(self, begun: ModelRecord) -> ModelRecord:
        """The record of this model; that of *begun* where this is the same model, as far as answers show it."""

    def estimate(self, texts: Sequence[str], n_bytes: int) -> RemoteWork:
        """What it takes to score *n_bytes* of passages, of which *texts* are a sample that is sent."""


@dataclass(frozen=True, slots=True)
class RemoteWork:
    """What a server is asked for a number of passages."""

    tokens: int
    seconds: float
    price: float | None
    """None where the price of a token is not known."""


@runtime_checkable
class Tokenizer(Protocol):
    """The tokenizer of a model, without the model; it gives the same tokens as the `Backend` of that model."""

    @property
    def fingerprint(self) -> str:
        """Identifies the tokenizer and its opening, as in `ModelRecord.tokenizer` and `TokenSignals.tokenizer`."""

    @property
    def opening(self) -> tuple[int, ...]:
        """The tokens that start every window and are not scored: those that the tokenizer puts before a text."""

    @property
    def vocabulary(self) -> int:
        """The largest token id plus 1."""

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, shape (n,), without special tokens added."""

    def spans(self, text: str) -> NDArray[np.int64]:
        """Start and end of each token of *text*, in characters (not bytes), shape (tokens, 2).

        The tokens are those of `encode`. Where tokens share a character, the span of each of them covers it. Whether
        the span of a token includes the blank before a word depends on the tokenizer.
        """


@runtime_checkable
class Sampler(Protocol):
    """A backend that continues texts; its `Backend.offers` name ``continuations``."""

    def sample(
        self, prompts: Sequence[str], *, number: int, max_tokens: int, temperature: float, seed: int
    ) -> list[list[str]]:
        """*number* continuations of each prompt, in the order of *prompts*, each without its prompt.

        They depend on the prompt, the model and the parameters, and not on what else is continued in the same call; an
        endpoint holds this as far as its server draws by a seed. Of a prompt that is too long for the model's context
        the end is read.

        Args:
            prompts: none of them is empty.
            number: of each prompt, at least 1.
            max_tokens: most tokens of a continuation; it ends earlier where the model ends the text.
            temperature: divides the logits; at 0 each token is the likeliest.
            seed: draws the tokens, together with the prompt and the number of the continuation.

        Raises:
            ModelError: the model fails on a prompt, or *max_tokens* leave no room for it.
        """


class Rewriter(Protocol):
    """A model that writes other versions of a text."""

    def rewrite(self, texts: Sequence[str], number: int) -> list[str]:
        """The version *number* of each text; it depends only on that text and the number."""
