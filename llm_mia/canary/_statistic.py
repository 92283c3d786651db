"""The test whether the variants that became public score higher than those that stayed sealed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..records import Interval
from ._effect import mean_with_interval

__all__ = ["DrawTest", "Histogram", "differences_of", "draw_test", "redrawn"]

Floats = NDArray[np.float64]
MOST_CHOICES = 100_000
"""Choices of which all are computed; of more, so many are drawn."""
ROUNDING = 1e-9
"""Of two sums a difference below this counts as equal, which can only make a p-value larger."""
AT_ONCE = 4_000_000
"""Numbers that are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class DrawTest:
    """The result of `draw_test`."""

    statistic: float
    """The sum of the differences of all documents."""
    p_value: float
    exact: bool
    """Whether all choices were computed; else some were drawn, and the p-value is valid all the same."""
    choices: int
    """How many were computed or drawn."""
    effect: Interval
    """The mean difference of a document, in spreads of its variants, with a 95 % interval over documents (Student's t,
    approximate)."""
    documents: int
    """Those whose variants do not all have the same score."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many of some numbers lie in each of equal intervals."""

    low: float
    """Where the first interval begins."""
    high: float
    """Where the last interval ends."""
    counts: tuple[int, ...]


def differences_of(scores: Sequence[Floats]) -> list[Floats]:
    """Of each document, what each variant would add to the statistic if it were the public one.

    It is (score − mean of the others) ÷ spread, where the spread is the standard deviation of all variants of the
    document, so it does not depend on the choice; 0 where all scores are equal.

    Args:
        scores: of each document those of its variants, shape (variants,), at least two.

    >>> differences_of([np.array([1.0, 2.0, 3.0])])[0].round(4).tolist()
    [-1.8371, 0.0, 1.8371]
    """
    differences = []
    for each in scores:
        centred = each - each.mean()
        spread = float(np.sqrt(np.mean(centred**2)))
        # The score less the mean of the others is the score less the mean of all, times n/(n − 1).
        factor = len(each) / (len(each) - 1) / spread if spread > ROUNDING * (1 + np.abs(each).max()) else 0.0
        differences.append(centred * factor)
    return differences


def draw_test(
    scores: Sequence[Floats], public: Sequence[int], *, choices: int = MOST_CHOICES, seed: int = 0
) -> DrawTest:
    """Whether public variants score higher than sealed ones: the sum over documents of `differences_of`.

    If the model does not depend on which variant of each document became public, and each was drawn with equal
    probability, independently, then P(p-value ≤ u) ≤ u for every u, whatever the texts, the model and the attack are:
    the p-value compares the sum with its values under all choices (a randomisation test; Fisher 1935). Where there are
    more than *choices*, so many are drawn, and the p-value is (1 + b)/(1 + B), which keeps the guarantee (Phipson and
    Smyth 2010).

    Args:
        scores: of each document those of its variants, shape (variants,); higher is more like a member.
        public: of each document which variant is public.
        choices: how many choices are computed or drawn at most.
        seed: of the draws.

    Raises:
        InputError: there is no document, a document has a single variant, or a score is not a number.
    """
    if not scores or len(scores) != len(public):
        raise InputError("there is no document with variants to compare")
    for at, each in enumerate(scores):
        if len(each) < 2 or not np.isfinite(each).all():
            raise InputError(f"document {at} has a single variant, or a variant without a score")
    differences = differences_of(scores)
    chosen = np.array([each[at] for each, at in zip(differences, public, strict=True)])
    informative = np.array([each.any() for each in differences])
    kept = [each for each, counts in zip(differences, informative, strict=True) if counts]
    statistic = float(chosen.sum())
    least = statistic - ROUNDING * (1 + sum(float(np.abs(each).max()) for each in kept))
    every = math.prod(len(each) for each in kept)
    if every <= choices:
        sums = np.zeros(1)
        for each in kept:
            sums = (sums[:, None] + each).ravel()
        p_value, computed = float((sums >= least).mean()), every
    else:
        p_value, computed = (1 + _as_large(kept, least, choices, seed)) / (1 + choices), choices
    return DrawTest(
        statistic, p_value, every <= choices, computed, mean_with_interval(chosen[informative]), int(informative.sum())
    )


def redrawn(scores: Sequence[Floats], *, draws: int = 20_000, bins: int = 41, seed: int = 1) -> Histogram:
    """The sums of other draws of the public variants: what `draw_test` compares its sum with, for a figure.

    Args:
        scores: as of `draw_test`.
        draws: how many choices are drawn.
        bins: intervals of the histogram.
        seed: of the draws.
    """
    rng, sums = np.random.default_rng(seed), np.zeros(draws)
    for each in differences_of(scores):
        sums += each[rng.integers(0, len(each), draws)]
    counts, edges = np.histogram(sums, bins)
    return Histogram(float(edges[0]), float(edges[-1]), tuple(counts.tolist()))


def _as_large(differences: Sequence[Floats], least: float, draws: int, seed: int) -> int:
    """How many of so many random choices have a sum of at least *least*."""
    rng = np.random.default_rng(seed)
    count, part = 0, max(1, AT_ONCE // max(1, len(differences)))
    for first in range(0, draws, part):
        size = min(part, draws - first)
        sums = np.zeros(size)
        for each in differences:
            sums += each[rng.integers(0, len(each), size)]
        count += int((sums >= least).sum())
    return count
