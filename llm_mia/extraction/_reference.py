"""The reference model's side of a span: how probably a model that was not trained on the text writes it too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backends import Tokenizer
from ..errors import ModelError
from ..records import Passage, TokenSignals
from ._sampling import Floats, Sampling, token_bounds
from ._span_records import SpanReference
from ._spans import Span
from ._stretches import range_sums, stretch_sums

__all__ = ["Baseline", "StretchBounds", "span_reference", "text_log_probabilities"]


@dataclass(frozen=True, slots=True)
class StretchBounds:
    """Bounds on the log-probability of each stretch under the reference, as text; shapes (stretches,), nats."""

    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Baseline:
    """The reference model, as far as a search needs it."""

    tokenizer: Tokenizer
    same_tokens: bool
    """Whether its tokens are those of the target."""
    sampling: Sampling

    def stretches(
        self, passage: Passage, signals: TokenSignals, places: NDArray[np.int64], n: int, first: int
    ) -> StretchBounds:
        """How probably the reference writes the text of each stretch of *n* tokens of the target.

        A stretch that crosses the edge of a window of the reference is the product of probabilities after two prompts.

        Args:
            passage: the passage.
            signals: of the reference on the passage.
            places: start and end of each token of the target, in characters, shape (tokens, 2).
            n: tokens of a stretch.
            first: position of the first token that the target scores.
        """
        if not len(signals) and len(places) > 1:  # left out of the pass of the reference: any text is possible
            stretches = max(0, len(places) - first - n + 1)
            return StretchBounds(np.full(stretches, -np.inf), np.zeros(stretches))
        low, high = self._token_bounds(signals)
        if self.same_tokens:
            return StretchBounds(stretch_sums(low[first:], n), stretch_sums(high[first:], n))
        ends = np.maximum.accumulate(self.tokenizer.spans(passage.text)[:, 1])
        if len(ends) != len(low):
            raise ModelError(
                f"passage {passage.id!r}: the tokenizer of the reference gives {len(ends)} tokens, but the signals "
                f"have {len(low)}: score it again in another run directory"
            )
        edges = np.concatenate([[0], np.maximum.accumulate(places[:, 1])])[first:]
        return StretchBounds(*text_log_probabilities(low, high, ends, edges[: len(edges) - n], edges[n:]))

    def _token_bounds(self, signals: TokenSignals) -> tuple[Floats, Floats]:
        """Bounds for each token of the passage; a token that is not scored or not known may have any probability."""
        if signals.tokenizer != self.tokenizer.fingerprint:
            raise ModelError(
                "the tokenizer of the reference differs from that of its signals: name the reference with which the "
                "run directory began"
            )
        unscored = np.full(0 if self.tokenizer.opening else 1, np.nan)
        low, high = (np.concatenate([unscored, bounds]) for bounds in token_bounds(signals, self.sampling))
        return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), 0.0, high)


def text_log_probabilities(
    low: Floats, high: Floats, ends: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Bounds on the log-probability of texts whose edges need not be edges of tokens, shapes (texts,), nats.

    The lower bound is the sum over all tokens that cover the text: what they spell begins with the text, after the part
    of the first token that precedes it and is given. The upper bound is the sum over the tokens that lie in the text,
    as if the rest of the tokens at its edges were certain. It leaves out other ways to divide the text into tokens.
    Where the edges are edges of tokens, the two are equal.

    Args:
        low: lower bound for each token, shape (tokens,).
        high: upper bound for each token.
        ends: where each token ends, in characters, not descending; a token begins where the token before it ends.
        starts: where each text begins.
        stops: where it ends.

    >>> logs = np.log([0.5, 0.5, 0.25])  # the tokens of "ab cde f" are "ab", " cde", " f"
    >>> low, high = text_log_probabilities(logs, logs, np.array([2, 6, 8]), np.array([0, 1]), np.array([6, 7]))
    >>> np.exp(low), np.exp(high)
    (array([0.25  , 0.0625]), array([0.25, 0.5 ]))
    """
    first, after = np.searchsorted(ends, starts, "right"), np.searchsorted(ends, stops, "right")
    padded = np.concatenate([[0], ends])
    cut_first = (padded[first] != starts).astype(np.intp)
    cut_last = ((padded[after] != stops) & (after < len(ends))).astype(np.intp)
    inside = np.minimum(first + cut_first, after)
    return range_sums(low, first, after + cut_last), range_sums(high, inside, after)


def span_reference(
    span: Span, counted: Floats, bounds: StretchBounds, probability: float, sizes: NDArray[np.int64], n: int
) -> SpanReference:
    """What the reference makes of a span.

    Args:
        span: the span; positions count scored tokens.
        counted: log-probability of each stretch under the target, NaN where it does not count.
        bounds: the same stretches under the reference.
        probability: the least probability that counts.
        sizes: bytes of each token of the span, shape (span tokens,).
        n: tokens of a stretch.
    """
    least = math.log(probability) - 1e-12
    starts = np.arange(max(0, span.start - n + 1), min(span.end, len(counted)))
    marks = np.zeros(len(sizes), dtype=bool)
    for start in starts[(counted[starts] >= least) & (bounds.high[starts] >= least)] - span.start:
        marks[max(0, start) : start + n] = True
    of_reference = float(bounds.low[span.likeliest]), float(bounds.high[span.likeliest])
    return SpanReference.of(*of_reference, span.log_probability, int(sizes[marks].sum()), int(sizes.sum()))
