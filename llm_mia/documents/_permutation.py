"""Permutation of whole documents between two sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._scores import Floats

Bools: TypeAlias = NDArray[np.bool_]
Statistic: TypeAlias = Callable[[Bools], Floats]
"""The statistic of each row of an array (rows, documents): which documents are taken for the candidates'."""

CELLS = 1_000_000
"""Documents times permutations that are computed at once."""
MOST_CELLS = 30_000_000
"""Documents times permutations from which fewer permutations are drawn."""


def permutation_test(first: Floats, second: Floats, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """The statistic (`largest_welch`) and its one-sided p-value (`permutation_p_value`).

    *first* and *second* hold the evidence of documents, at least 1 each, of shape (documents,) or (documents, attacks).

    >>> first, second = np.array([5.0, 6.0]), np.array([1.0, 2.0, 3.0])
    >>> permutation_test(first, second, 999, np.random.default_rng(0))[1]  # the largest of C(5, 2)
    0.1
    """
    values = standardised(np.concatenate([first, second]))

    def statistic(picked: Bools) -> Floats:
        return largest_welch(values, picked)

    return permutation_p_value(statistic, (len(first), len(second)), permutations, rng)


def permutation_p_value(
    statistic: Statistic, sizes: tuple[int, int], permutations: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The *statistic* of the documents as they lie, candidates first, and its one-sided p-value.

    The p-value is super-uniform where the documents of both sides are exchangeable, whatever the statistic.
    p = (1 + #{permutations with a statistic at least as large}) / (1 + permutations), where differences from rounding
    count as ties. If the number of possible divisions is not larger than that, each division is used once instead of
    random permutations.
    """
    documents, size = sum(sizes), sizes[0]
    in_first = np.arange(documents) < size
    observed = float(statistic(in_first[None])[0])
    least = observed if math.isinf(observed) else observed - 1e-9 * (1 + abs(observed))
    ways = divisions(sizes)
    if ways <= permutations + 1:
        every = np.zeros((int(ways), documents), dtype=bool)
        np.put_along_axis(every, np.array(list(combinations(range(documents), size))), True, axis=1)
        return observed, float(np.mean(statistic(every) >= least))
    as_large, rows = 0, max(1, CELLS // documents)
    for start in range(0, permutations, rows):
        drawn = rng.permuted(np.tile(in_first, (min(rows, permutations - start), 1)), axis=1)
        as_large += int(np.sum(statistic(drawn) >= least))
    return observed, (1 + as_large) / (1 + permutations)


def permutations_for(documents: int, permutations: int | None, level: float) -> int:
    """*permutations*, or fewer where there are very many documents, but enough to resolve *level* to a fiftieth.

    None: 9,999, or as many as resolve *level* to a tenth, up to 99,999. So the eighth decision on the same candidates,
    which has to reach p ≤ 0.00009, can be a finding.

    >>> permutations_for(10_000, 9999, 0.05), permutations_for(50_000, 9999, 0.05), permutations_for(10**7, 9999, 0.05)
    (2999, 999, 999)
    >>> permutations_for(80, None, 0.05), permutations_for(80, None, 0.0005), permutations_for(80, None, 1e-9)
    (9999, 19999, 99999)
    """
    if permutations is None:
        permutations = min(99_999, max(9_999, math.ceil(10 / level - 1e-9) - 1))
    return min(permutations, max(MOST_CELLS // documents, math.ceil(50 / level - 1e-9)) - 1)


def standardised(values: Floats) -> Floats:
    """*values* of documents, (n,) or (n, attacks), centred, and scaled to a range of 1; 0 where all are equal.

    Sums of squares would lose the digits of scores far from 0. Means of equal scores may differ in the last digit when
    documents differ in size; that is rounding and counts as equal.
    """
    spread = np.ptp(values, axis=0)
    real = spread > 1e-12 * np.abs(values).max(axis=0)
    return np.asarray(np.where(real, (values - values.mean(axis=0)) / np.where(real, spread, 1.0), 0.0))


def with_average(values: Floats) -> Floats:
    """*values*, (n, attacks), and after them the mean of all attacks that vary, each per its standard deviation.

    >>> with_average(np.array([[0.0, 4.0], [2.0, 0.0]])).tolist()  # standard deviations 1 and 2
    [[0.0, 4.0, 1.0], [2.0, 0.0, 1.0]]
    """
    if values.ndim == 1 or values.shape[1] == 1:
        return values
    deviation = values.std(axis=0)
    return np.column_stack([values, (values / np.where(deviation > 0, deviation, np.inf)).mean(axis=1)])


def largest_welch(values: Floats, picked: Bools) -> Floats:
    """`welch_statistic`; of several attacks, (n, attacks), the largest that an attack or `with_average` has."""
    if values.ndim == 1:
        return welch_statistic(values, picked)
    return np.asarray(np.stack([welch_statistic(column, picked) for column in with_average(values).T]).max(axis=0))


def welch_statistic(values: Floats, picked: Bools) -> Floats:
    """The mean of the picked values less that of the others, in standard errors, for each row of *picked*.

    *values* has shape (n,), *picked* (rows, n). A side with a single document gets the variance of the other side.
    Where there is no variance at all, the standard error is taken as 10⁻⁶.

    >>> welch_statistic(np.array([1.0, 3.0, 0.0, 0.0]), np.array([[True, True, False, False]])).tolist()  # 2 / √(2/2)
    [2.0]
    """
    counts, means = side_means(np.column_stack([values, values**2]), picked)
    variances = [
        np.where(count > 1, (mean[:, 1] - mean[:, 0] ** 2) * count / np.maximum(count - 1, 1), np.nan)
        for count, mean in zip(counts, means, strict=True)
    ]
    return (means[0][:, 0] - means[1][:, 0]) / standard_error(variances, counts)


def side_means(columns: Floats, picked: Bools) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Numbers of documents, and means of *columns* (n, m), on the picked side and on the other, a row each."""
    count = picked.sum(axis=1).astype(np.float64)
    sums = picked.astype(np.float64) @ columns
    others = picked.shape[1] - count
    return (count, others), (sums / count[:, None], (columns.sum(axis=0) - sums) / others[:, None])


def standard_error(variances: list[Floats], counts: tuple[Floats, Floats]) -> Floats:
    """The standard error of a difference of means, at least 10⁻⁶; NaN is a variance that the other side supplies."""
    first, second = (
        np.maximum(np.where(np.isnan(side), np.nan_to_num(other), side), 0)
        for side, other in (variances, variances[::-1])
    )
    return np.maximum(np.sqrt(first / counts[0] + second / counts[1]), 1e-6)


def smallest_p_value(sizes: tuple[int, int], permutations: int) -> float:
    """The least p-value that is possible with *sizes* documents on the two sides and so many permutations.

    >>> smallest_p_value((3, 3), 9999), smallest_p_value((30, 30), 9999)
    (0.05, 0.0001)
    """
    return max(1 / divisions(sizes), 1 / (1 + permutations))


def divisions(sizes: tuple[int, int]) -> float:
    """In how many ways documents can be divided into sides of *sizes*; infinity where it has more than 300 digits.

    >>> divisions((3, 4)), divisions((10**6, 10**6))
    (35, inf)
    """
    first, second = sizes
    logarithm = math.lgamma(first + second + 1) - math.lgamma(first + 1) - math.lgamma(second + 1)
    return math.comb(first + second, first) if logarithm < 690 else math.inf  # e⁶⁹⁰: the whole number takes minutes


def documents_needed(level: float) -> int:
    """The least number n of documents on each side for a p-value of *level*: C(2n, n) ≥ 1/level.

    >>> [documents_needed(level) for level in (0.05, 0.01, 0.001)]
    [3, 5, 7]
    """
    n = 1
    while math.comb(2 * n, n) * level < 1 - 1e-12:
        n += 1
    return n
