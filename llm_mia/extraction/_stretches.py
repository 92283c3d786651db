"""Sums over all stretches of n tokens at once, and the longest run of first choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import IntArray
from ._sampling import Floats

__all__ = ["TokenRun", "greedy_run", "greedy_runs", "range_sums", "stretch_sums"]


@dataclass(frozen=True, slots=True)
class TokenRun:
    """Consecutive scored tokens."""

    start: int
    length: int


def stretch_sums(log_probabilities: Floats, n: int) -> Floats:
    """Log-probability of each stretch of *n* tokens, shape (tokens − n + 1,); empty where there are fewer.

    By cumulative sums in float64, so the time does not depend on *n*. A token that cannot come (-inf) or is not known
    (NaN) affects the stretches that hold it, and no others.

    >>> stretch_sums(np.log([0.5, 0.5, 1.0, 0.25]), 2) / np.log(2)
    array([-2., -1., -2.])
    >>> stretch_sums(np.array([-1.0, -np.inf, -2.0, -3.0]), 2)
    array([-inf, -inf,  -5.])
    """
    starts = np.arange(max(0, len(log_probabilities) - n + 1))
    return range_sums(log_probabilities, starts, starts + n)


def range_sums(log_probabilities: Floats, starts: NDArray[np.integer], ends: NDArray[np.integer]) -> Floats:
    """Log-probability of the tokens from each of *starts* to each of *ends* (excluded), as in `stretch_sums`.

    A range without tokens has the sum 0.

    >>> range_sums(np.log([0.5, 0.5, 0.25]), np.array([0, 1, 2]), np.array([2, 1, 3])) / np.log(2)
    array([-2.,  0., -2.])
    """
    unknown, never = np.isnan(log_probabilities), np.isneginf(log_probabilities)

    def total(values: Floats | NDArray[np.bool_]) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return np.asarray(sums[ends] - sums[starts])

    sums = np.minimum(total(np.where(unknown | never, 0.0, log_probabilities)), 0.0)
    sums[total(never) > 0] = -np.inf
    sums[total(unknown) > 0] = np.nan
    return sums


def greedy_run(rank: IntArray, edges: Sequence[int] = ()) -> TokenRun:
    """The longest run of tokens each of which is the model's first choice; the earliest where several are as long.

    Given what precedes it, greedy decoding emits the whole run. No run crosses a position in *edges*, where a further
    window begins. Without tokens the length is 0.

    >>> greedy_run(np.array([0, 3, 0, 0, 1, 0, 0]))
    TokenRun(start=2, length=2)
    >>> greedy_run(np.array([0, 0, 0, 0, 0]), edges=[2])
    TokenRun(start=2, length=3)
    """
    starts, lengths = _first_choices(rank, edges)
    if not len(starts):
        return TokenRun(0, 0)
    longest = int(lengths.argmax())
    return TokenRun(int(starts[longest]), int(lengths[longest]))


def greedy_runs(rank: IntArray, edges: Sequence[int] = (), *, least: int = 1) -> list[TokenRun]:
    """All runs of at least *least* tokens each of which is the model's first choice, in order; see `greedy_run`.

    >>> greedy_runs(np.array([0, 3, 0, 0, 1, 0, 0, 0]), least=2)
    [TokenRun(start=2, length=2), TokenRun(start=5, length=3)]
    """
    starts, lengths = _first_choices(rank, edges)
    return [
        TokenRun(start, length)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        if length >= least
    ]


def _first_choices(rank: IntArray, edges: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each run of tokens of rank 0 begins, and how long it is; a run ends at an edge."""
    chosen = np.asarray(rank) == 0
    inside = np.array(
        [edge for edge in edges if 0 < edge < len(chosen) and chosen[edge - 1] and chosen[edge]], dtype=np.intp
    )
    turns = np.flatnonzero(np.diff(np.concatenate([[0], chosen, [0]]).astype(np.int8)))
    starts, ends = np.sort(np.concatenate([turns[::2], inside])), np.sort(np.concatenate([turns[1::2], inside]))
    return starts, ends - starts
