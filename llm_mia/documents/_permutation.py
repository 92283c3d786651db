"""Permutation of whole documents between two sides."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ._scores import Floats

Flags = NDArray[np.bool_]


def permuted(first: Floats, second: Floats, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """Super-uniform where the documents of both sides are exchangeable: the statistic, and its one-sided p-value.

    p = (1 + #{permutations with a statistic at least as large}) / (1 + permutations), rounding errors counted as ties;
    where there are no more ways to name the first side than that, each is taken once instead of some at random.
    *first* and *second* hold the evidence of documents, one or more each.

    >>> permuted(np.array([5.0, 6.0]), np.array([1.0, 2.0, 3.0]), 999, np.random.default_rng(0))[1]  # best of C(5, 2)
    0.1
    """
    values, size = np.concatenate([first, second]), len(first)
    # Centred and scaled first: sums of squares would lose the digits of scores far from 0. Means of equal scores may
    # differ in the last digit, by the size of their document; that is no difference.
    spread = float(np.ptp(values))
    values = (values - values.mean()) / spread if spread > 1e-12 * np.abs(values).max() else np.zeros(len(values))
    own = np.arange(len(values)) < size
    statistic = float(welch_statistic(values, own[None])[0])
    least = statistic - 1e-9 * (1 + abs(statistic))
    ways = math.comb(len(values), size)
    if ways <= permutations + 1:
        every = np.zeros((ways, len(values)), dtype=bool)
        np.put_along_axis(every, np.array(list(combinations(range(len(values)), size))), True, axis=1)
        return statistic, float(np.mean(welch_statistic(values, every) >= least))
    as_large, rows = 0, max(1, 1_000_000 // len(values))
    for start in range(0, permutations, rows):
        drawn = rng.permuted(np.tile(own, (min(rows, permutations - start), 1)), axis=1)
        as_large += int(np.sum(welch_statistic(values, drawn) >= least))
    return statistic, (1 + as_large) / (1 + permutations)


def welch_statistic(values: Floats, picked: Flags) -> Floats:
    """Mean of the *picked* less that of the others, in standard errors, of each row: *picked* has shape (r, n).

    A side of one document is given the variance of the other. Without any variance the size of the difference stays.

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
    ours, theirs = (np.where(np.isnan(own), np.nan_to_num(other), own) for own, other in (variances, variances[::-1]))
    error = np.sqrt(ours / counts[0] + theirs / counts[1])
    return np.asarray((means[0] - means[1]) / np.maximum(error, 1e-6))


def smallest_p_value(sizes: tuple[int, int], permutations: int) -> float:
    """Least p-value that so many documents on two sides, and so many permutations, can give.

    >>> smallest_p_value((3, 3), 9999), smallest_p_value((30, 30), 9999)
    (0.05, 0.0001)
    """
    return max(1 / math.comb(sum(sizes), sizes[0]), 1 / (1 + permutations))


def documents_needed(level: float) -> int:
    """Fewest documents on each of two sides whose permutation can give a p-value of *level*: C(2n, n) ≥ 1/level.

    >>> [documents_needed(level) for level in (0.05, 0.01, 0.001)]
    [3, 5, 7]
    """
    n = 1
    while math.comb(2 * n, n) * level < 1 - 1e-12:
        n += 1
    return n
