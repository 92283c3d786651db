"""The records of a span: its likeliest stretch, and what a reference model makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._queries import expected_queries, queries_for

__all__ = ["ExtractedSpan", "SpanReference", "Stretch"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of tokens, and how often a model must be queried until it emits the stretch.

    Use `Stretch.of`: all figures follow from the two bounds. A number of queries is inf where no number is enough,
    or where it is too large for a float.
    """

    id: str
    """Id of its passage."""
    start_token: int
    """Where it begins, among the passage's tokens."""
    log_probability: float
    """Lower bound, nats."""
    log_probability_high: float
    """Upper bound; equal to the lower where the sampling rule allows signals to give it exactly."""
    probability: float
    """Lower bound."""
    probability_high: float
    """Upper bound."""
    expected_queries: float
    """Mean number of queries until it comes, at most."""
    queries_for_50_percent: float
    """Queries after which it has come at least once with probability 0.5, at most."""
    queries_for_95_percent: float
    """The same with probability 0.95."""

    @classmethod
    def of(cls, passage: str, start_token: int, log_probability: float, log_probability_high: float) -> Stretch:
        """The stretch of a passage that begins at *start_token*, with what follows from the bounds in nats."""
        return cls(
            id=passage,
            start_token=start_token,
            log_probability=log_probability,
            log_probability_high=log_probability_high,
            probability=math.exp(log_probability),
            probability_high=math.exp(log_probability_high),
            expected_queries=expected_queries(log_probability),
            queries_for_50_percent=queries_for(log_probability, 0.5),
            queries_for_95_percent=queries_for(log_probability, 0.95),
        )


@dataclass(frozen=True, slots=True)
class SpanReference:
    """How probably the reference model writes a span; use `SpanReference.of`."""

    log_probability: float
    """Of the text of the span's likeliest stretch; lower bound, nats."""
    log_probability_high: float
    """Upper bound."""
    probability: float
    probability_high: float
    ratio: float
    """So many times likelier is the stretch under the target, at least; inf beyond the range of a float."""
    bytes_shared: int
    """Bytes of the span in stretches that the reference writes too, with at least the same least probability."""
    writes_too: bool
    """Whether these are at least half of the span. Then the span does not count: a model that was not trained on the
    text writes it as well."""

    @classmethod
    def of(cls, low: float, high: float, target: float, bytes_shared: int, n_bytes: int) -> SpanReference:
        """What follows from the bounds *low* and *high*, in nats, where the target's lower bound is *target*."""
        with np.errstate(over="ignore"):
            ratio = float(np.exp(np.float64(target) - high))
        return cls(low, high, math.exp(low), math.exp(high), ratio, bytes_shared, 2 * bytes_shared >= n_bytes)


@dataclass(frozen=True, slots=True)
class ExtractedSpan:
    """A text that the model emits stretch by stretch, given what precedes each."""

    id: str
    """Id of its passage."""
    document: str
    label: int | None
    """1 member, 0 non-member, None unknown."""
    start_token: int
    """First token, among the passage's tokens."""
    end_token: int
    """The token after the last."""
    tokens: int
    """How many there are."""
    start_char: int
    end_char: int
    bytes: int
    """Of its text; a character that it shares with the span before belongs to that span."""
    likeliest: Stretch
    """The likeliest stretch of the span."""
    reference: SpanReference | None
    """None without a reference model."""
    text: str
    """Empty where the table of spans, which alone holds it, is missing or without texts."""

    @property
    def counts(self) -> bool:
        """Whether it may be evidence of training: the reference, if there is one, does not write it too."""
        return self.reference is None or not self.reference.writes_too

    @property
    def bytes_counted(self) -> int:
        """Its bytes, without those that the reference writes too; 0 where it does not count."""
        shared = 0 if self.reference is None else self.reference.bytes_shared
        return self.bytes - shared if self.counts else 0
