"""From probable stretches to the spans of text that they cover."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import IntArray
from ._sampling import Floats

__all__ = ["Span", "find_spans", "repeated_tokens"]

ALLOWANCE = math.log(4 / 3)
"""What a token at the edge of a span may cost on average, nats. With a smaller allowance an edge reaches less far into
the text around a span, and more is cut from a text that the model takes long to recognise; measured with English text
and a small model."""
REPEATED_FROM = 10
"""So many consecutive tokens do not occur twice in a passage by chance."""


@dataclass(frozen=True, slots=True)
class Span:
    """A text that the model emits stretch by stretch: scored tokens ``start`` to ``end`` (excluded)."""

    start: int
    end: int
    likeliest: int
    """Where its likeliest stretch begins."""
    log_probability: float
    """Of that stretch, lower bound, nats."""


def find_spans(stretches: Floats, tokens: Floats, n: int, probability: float) -> list[Span]:
    """The spans that stretches of at least *probability* form, in order.

    Stretches that share a token form a single span. Their union would reach too far: a stretch of 50 tokens that the
    model has memorised stays probable when it is moved by a token that the model has not memorised. So the tokens at
    either edge are cut off where, taken together, they are less likely than 3/4 each: the edge is moved, within the
    outermost stretch, to where Σ (log p + log 4/3) from edge to edge is largest. The allowance log 4/3 grows to
    log(1/probability)/n where that is more, so that something is always left. Tokens that are likely anyway stay at an
    edge, trained on or not; the first tokens of a text, from which the model recognises it, are lost.

    Args:
        stretches: log-probability of each stretch, shape (tokens − n + 1,), as `stretch_sums` gives it.
        tokens: log-probability of each token, shape (tokens,).
        n: tokens of a stretch.
        probability: the least probability that counts, in (0, 1].

    >>> tokens = np.log([0.1, 0.9, 0.9, 0.9, 0.1, 0.1])
    >>> from llm_mia.extraction import stretch_sums
    >>> find_spans(stretch_sums(tokens, 3), tokens, 3, 0.05)  # the union would be 0 to 5
    [Span(start=1, end=4, likeliest=1, log_probability=-0.316...)]
    """
    probable = np.flatnonzero(stretches >= math.log(probability) - 1e-12)
    allowance = max(ALLOWANCE, -math.log(probability) / n)
    spans = []
    for group in _overlapping(probable, n):
        first, last = int(group[0]), int(group[-1])
        start, end = _trimmed(tokens[first : last + n] + allowance, n)
        likeliest = int(group[stretches[group].argmax()])
        spans.append(Span(first + start, first + end, likeliest, float(stretches[likeliest])))
    return spans


def repeated_tokens(token_ids: IntArray) -> NDArray[np.bool_]:
    """Which tokens are in a run of ten that occurs earlier in the passage, shape (tokens,).

    The model can copy them from what precedes them, so that it emits them is no evidence of training.

    >>> repeated_tokens(np.array([*range(12), 99, *range(12)])).nonzero()[0]
    array([13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24])
    """
    again = np.zeros(len(token_ids), dtype=bool)
    if len(token_ids) <= REPEATED_FROM:
        return again
    runs = np.lib.stride_tricks.sliding_window_view(np.asarray(token_ids, dtype=np.int32), REPEATED_FROM)
    _, first, kind = np.unique(runs, axis=0, return_index=True, return_inverse=True)
    later = first[kind.reshape(-1)] < np.arange(len(runs))
    marks = np.zeros(len(token_ids) + 1, dtype=np.int64)
    np.add.at(marks, np.flatnonzero(later), 1)
    np.subtract.at(marks, np.flatnonzero(later) + REPEATED_FROM, 1)
    return np.asarray(marks.cumsum()[:-1] > 0)


def _overlapping(starts: NDArray[np.intp], n: int) -> Iterator[NDArray[np.intp]]:
    """Starts of stretches, in groups that share tokens."""
    if len(starts):
        yield from np.split(starts, np.flatnonzero(np.diff(starts) >= n) + 1)


def _trimmed(gains: Floats, n: int) -> tuple[int, int]:
    """The part with the largest sum that begins in the first *n* and ends in the last *n*: start, and end excluded."""
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    first = len(gains) - n + 1
    ends = np.arange(first, len(gains) + 1)
    lowest = np.minimum.accumulate(sums[:n])
    end = int(ends[len(ends) - 1 - (sums[ends] - lowest[np.minimum(ends - 1, n - 1)])[::-1].argmax()])
    return int(sums[: min(end, n)].argmin()), end
