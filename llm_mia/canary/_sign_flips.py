"""The test whether a model prefers published texts to withheld ones by more than a model that knows neither does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..records import Interval
from ._effect import mean_with_interval
from ._statistic import Histogram

__all__ = ["MOST_EXACT", "FlipTest", "document_sums", "flip_test", "least_documents", "reflipped"]

Floats = NDArray[np.float64]
MOST_EXACT = 17
"""Documents up to which all choices of signs are computed: 2¹⁷ of them."""
FLIPS = 100_000
"""Choices of signs that are drawn where there are more documents."""
ROUNDING = 1e-9
"""Of two sums a relative difference below this counts as equal, which can only make a p-value larger."""
AT_ONCE = 4_000_000
"""Numbers that are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class FlipTest:
    """The result of `flip_test`."""

    statistic: float
    """The sum of the differences of all documents."""
    p_value: float
    exact: bool
    """Whether all choices of signs were computed; else some were drawn, and the p-value is valid all the same."""
    flips: int
    """How many were computed or drawn."""
    effect: Interval
    """The mean difference of a document, with a 95 % interval over documents (Student's t, approximate)."""
    documents: int
    """Those with a difference other than 0."""


def document_sums(differences: Floats, documents: Sequence[str]) -> dict[str, float]:
    """By document, in the order of first occurrence: the sum of the differences of its pairs.

    >>> document_sums(np.array([1.0, -0.5, 2.0]), ["a", "b", "a"])
    {'a': 3.0, 'b': -0.5}
    """
    sums: dict[str, float] = {}
    for document, difference in zip(documents, differences.tolist(), strict=True):
        sums[document] = sums.get(document, 0.0) + difference
    return sums


def flip_test(differences: Sequence[float] | Floats, *, flips: int = FLIPS, seed: int = 0) -> FlipTest:
    """Whether the sum of the *differences* of documents is larger than chance gives it: a sign-flip test.

    Let a difference be the preference of the target for the published texts of a document, less the preference of the
    placebo model. If the target was trained on neither version, if documents are independent, and if each difference
    is then as likely to be above zero by any amount as below it by the same amount, then P(p-value ≤ u) ≤ u for every
    u: each choice of signs was equally likely, and the p-value compares the sum with its values under all of them
    (Fisher 1935; for drawn signs (1 + b)/(1 + B), Phipson and Smyth 2010).

    The symmetry is an assumption, and no draw ensures it. It rests on the placebo: editing shifts style, so every model
    may prefer the edited text, and only as far as the placebo prefers it as much as the target would without training
    is the difference centred on zero.

    Args:
        differences: of each document, shape (documents,).
        flips: choices of signs that are drawn where there are more than 17 documents.
        seed: of the draws.

    Raises:
        InputError: there is no document, or a difference is not a number.

    >>> flip_test([1.0, 2.0, 3.0]).p_value  # the largest of 2³ sums
    0.125
    """
    given = np.asarray(differences, dtype=np.float64)
    if not len(given) or not np.isfinite(given).all():
        raise InputError("there is no document to compare, or a document has no difference")
    sizes = np.abs(given[given != 0])
    statistic = float(given.sum())
    least = statistic - ROUNDING * float(sizes.sum())
    exact = len(sizes) <= MOST_EXACT
    if exact:
        sums = np.zeros(1)
        for each in sizes:
            sums = np.concatenate([sums - each, sums + each])
        p_value, computed = float((sums >= least).mean()), len(sums)
    else:
        p_value, computed = (1 + _as_large(sizes, least, flips, seed)) / (1 + flips), flips
    return FlipTest(statistic, p_value, exact, computed, mean_with_interval(given), len(sizes))


def reflipped(
    differences: Sequence[float] | Floats, *, flips: int = 20_000, bins: int = 41, seed: int = 1
) -> Histogram:
    """The sums of the *differences* with random signs: what `flip_test` compares their sum with, for a figure.

    Args:
        differences: of each document, shape (documents,).
        flips: choices of signs that are drawn.
        bins: intervals of the histogram.
        seed: of the draws.
    """
    rng, sums = np.random.default_rng(seed), np.zeros(flips)
    for each in np.asarray(differences, dtype=np.float64):
        sums += each * rng.choice((-1.0, 1.0), flips)
    counts, edges = np.histogram(sums, bins)
    return Histogram(float(edges[0]), float(edges[-1]), tuple(counts.tolist()))


def least_documents(level: float) -> int:
    """The number of documents from which a sign-flip test can give a p-value of at most *level*.

    >>> least_documents(0.05), least_documents(0.01)
    (5, 7)
    """
    return math.ceil(-math.log2(level))


def _as_large(sizes: Floats, least: float, flips: int, seed: int) -> int:
    """How many of so many random choices of signs give a sum of at least *least*."""
    rng = np.random.default_rng(seed)
    count, part = 0, max(1, AT_ONCE // len(sizes))
    for first in range(0, flips, part):
        signs = rng.integers(0, 2, (min(part, flips - first), len(sizes)), dtype=np.int8)
        # A sum of signed sizes is twice the sum of those with a plus, less the sum of all.
        count += int((2 * (signs @ sizes) - sizes.sum() >= least).sum())
    return count
