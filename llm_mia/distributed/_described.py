"""A model that workers hold, as the process that leads them knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import UsageError
from ..records import CONTINUATIONS, IntArray, TokenSignals, Window
from .workers import Description

__all__ = ["DescribedModel"]


class DescribedModel:
    """A backend that computes nothing: it describes the model of the workers, and asks one of them for tokens.

    Args:
        description: what is known of the model.
        ask: calls a method of a worker, by its name, and returns what it gives.
    """

    def __init__(self, description: Description, ask: Callable[..., Any]) -> None:
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
        windows: Sequence[Window],  # noqa: ARG002
        report: Callable[[int], None] | None = None,  # noqa: ARG002
        *,
        prefix: IntArray | None = None,  # noqa: ARG002
    ) -> list[TokenSignals]:
        """Not called: workers compute all signals."""
        raise AssertionError("the workers compute the signals")

    def sample(self, *_: object, **__: object) -> list[list[str]]:
        """Refused: the process that leads holds no model."""
        raise UsageError(
            "the workers of a cluster compute signals, and continue no texts: run this without `samples`, and then "
            "with `samples` and without `on`, in the same folder"
        )
