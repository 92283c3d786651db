"""Permutation of whole documents between two sides."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ._scores import Floats

Flags = NDArray[np.bool_]


def permutation_test(first: Floats, second: Floats, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """The statistic (`welch_statistic`) and its one-sided p-value.

    The p-value is super-uniform where the documents of both sides are exchangeable. p = (1 + #{permutations with a
    statistic at least as large}) / (1 + permutations), where differences from rounding count as ties. If the number of
    possible divisions is not larger than that, each division is used once instead of random permutations.

    *first* and *second* hold the evidence of documents, at least 1 each.

    >>> first, second = np.array([5.0, 6.0]), np.array([1.0, 2.0, 3.0])
    >>> permutation_test(first, second, 999, np.random.default_rng(0))[1]  # the largest of C(5, 2)
    0.1
    """
    values, size = np.concatenate([first, second]), len(first)
    # Centred and scaled first: sums of squares would lose the digits of scores far from 0. Means of equal scores may
    # differ in the last digit when documents differ in size; that is rounding and counts as equal.
    spread = float(np.ptp(values))
    values = (values - values.mean()) / spread if spread > 1e-12 * np.abs(values).max() else np.zeros(len(values))
    in_first = np.arange(len(values)) < size
    statistic = float(welch_statistic(values, in_first[None])[0])
    least = statistic - 1e-9 * (1 + abs(statistic))
    ways = math.comb(len(values), size)
    if ways <= permutations + 1:
        every = np.zeros((ways, len(values)), dtype=bool)
        np.put_along_axis(every, np.array(list(combinations(range(len(values)), size))), True, axis=1)
        return statistic, float(np.mean(welch_statistic(values, every) >= least))
    as_large, rows = 0, max(1, 1_000_000 // len(values))
    for start in range(0, permutations, rows):
        drawn = rng.permuted(np.tile(in_first, (min(rows, permutations - start), 1)), axis=1)
        as_large += int(np.sum(welch_statistic(values, drawn) >= least))
    return statistic, (1 + as_large) / (1 + permutations)


def welch_statistic(values: Floats, picked: Flags) -> Floats:
    """The mean of the picked values less that of the others, in standard errors, for each row of *picked*.

    *values* has shape (n,), *picked* (rows, n). A side with a single document gets the variance of the other side.
    Where there is no variance at all, the standard error is taken as 10⁻⁶.

    >>> welch_statistic(np.array([1.0, 3.0, 0.0, 0.0]), np.array([[True, True, False, False]])).tolist()  # 2 / √(2/2)
    [2.0]
    """
    counts = picked.sum(axis=1), (~picked).sum(axis=1)
    means, variances = [], []
    for count, weights in zip(counts, (picked, ~picked), strict=True):
        weights = weights.astype(np.float64)
        mean = weights @ values / count
        means.append(mean)
        squares = weights @ values**2 - count * mean**2
        variances.append(np.where(count > 1, np.maximum(squares, 0) / np.maximum(count - 1, 1), np.nan))
    first, second = (
        np.where(np.isnan(side), np.nan_to_num(other), side) for side, other in (variances, variances[::-1])
    )
    error = np.sqrt(first / counts[0] + second / counts[1])
    return np.asarray((means[0] - means[1]) / np.maximum(error, 1e-6))


def smallest_p_value(sizes: tuple[int, int], permutations: int) -> float:
    """The least p-value that is possible with *sizes* documents on the two sides and so many permutations.

    >>> smallest_p_value((3, 3), 9999), smallest_p_value((30, 30), 9999)
    (0.05, 0.0001)
    """
    return max(1 / math.comb(sum(sizes), sizes[0]), 1 / (1 + permutations))


def documents_needed(level: float) -> int:
    """The least number n of documents on each side for a p-value of *level*: C(2n, n) ≥ 1/level.

    >>> [documents_needed(level) for level in (0.05, 0.01, 0.001)]
    [3, 5, 7]
    """
    n = 1
    while math.comb(2 * n, n) * level < 1 - 1e-12:
        n += 1
    return n
