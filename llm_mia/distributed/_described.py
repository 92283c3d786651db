"""A model that workers hold, as the process that leads them knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import UsageError
from ..records import CONTINUATIONS, IntArray, TokenSignals, Window
from .workers import OUT_OF_MEMORY, Description

__all__ = ["DescribedModel", "described"]

Ask = Callable[..., Any]
"""Calls a method of a worker, by its name, and returns what it gives."""


def described(description: Description, ask: Ask) -> DescribedModel:
    """The model of *description*; it can be compared with float32 where the model of the workers can."""
    return (ComparableModel if description.comparable else DescribedModel)(description, ask)


class DescribedModel:
    """A backend that holds no model: it describes that of the workers, and asks one of them for tokens.

    Args:
        description: what is known of the model.
        ask: see `Ask`.
    """

    def __init__(self, description: Description, ask: Ask) -> None:
        self.description = description
        self.info, self.opening = description.info, description.opening
        self.tokens_per_batch, self.offers = description.tokens_per_batch, description.offers - {CONTINUATIONS}
        self._ask = ask
        if description.special_tokens is not None:
            self.special_token_in: Callable[[str], str | None] = description.special_tokens.first_in

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids of each text, from a worker."""
        encoded: list[IntArray] = self._ask("encode", list(texts))
        return encoded

    def check_length(self, tokens: int, prefix: int = 0) -> None:
        """See `llm_mia.backends.LengthChecking`."""
        self._ask("check_length", tokens, prefix)

    def score(
        self,
        windows: Sequence[Window],
        report: Callable[[int], None] | None = None,  # noqa: ARG002
        *,
        prefix: IntArray | None = None,
    ) -> list[TokenSignals]:
        """The signals of a few windows, from a worker: they are compared with those in another precision."""
        assert prefix is None, "the workers compute the passes by ranges"
        return self._score(windows, in_float32=False)

    def _score(self, windows: Sequence[Window], *, in_float32: bool) -> list[TokenSignals]:
        scored = self._ask("score", list(windows), in_float32=in_float32)
        if scored == OUT_OF_MEMORY:
            raise MemoryError
        signals: list[TokenSignals] = scored
        return signals

    def sample(self, *_: object, **__: object) -> list[list[str]]:
        """Refused: the process that leads holds no model."""
        raise UsageError(
            "the workers of a cluster write no continuations: run this without `samples`, and afterwards with "
            "`samples` and without `on`, in the same folder"
        )


class ComparableModel(DescribedModel):
    """See `llm_mia.backends.Comparable`."""

    def in_float32(self) -> DescribedModel:
        """The same model in float32, for a few windows."""
        return _InFloat32(self.description, self._ask)


class _InFloat32(DescribedModel):
    def score(
        self,
        windows: Sequence[Window],
        report: Callable[[int], None] | None = None,  # noqa: ARG002
        *,
        prefix: IntArray | None = None,  # noqa: ARG002
    ) -> list[TokenSignals]:
        return self._score(windows, in_float32=True)
