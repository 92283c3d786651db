"""Intervals for independent passages: exact binomial ends, and ends for an AUROC and a difference of means."""

from __future__ import annotations

import bisect
import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..records import Interval

__all__ = ["clopper_pearson"]

Floats: TypeAlias = NDArray[np.float64]
Ends: TypeAlias = tuple[float, float]


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> Interval:
    """The share *k* / *n* with its exact binomial interval.

    The interval contains the true rate of *n* independent trials with at least *confidence*, whatever that rate is.

    Raises:
        UsageError: n < 1, or k lies outside 0..n.

    Clopper and Pearson 1934, Biometrika 26:404.

    >>> interval = clopper_pearson(0, 10)
    >>> interval.low, round(interval.high, 4)
    (0.0, 0.3085)
    """
    from scipy.special import betaincinv

    if not 0 <= k <= n or n < 1:
        raise UsageError(f"{k} of {n} is not a share: give 0 ≤ k ≤ n and n ≥ 1")
    tail = tail_of(confidence)
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(k / n, low, high, confidence)


def share_ends(pivot: Floats, counted: Floats, rate: float, confidence: float) -> Ends:
    """Ends for P(counted > t), where t is the least threshold with P(pivot > t) ≤ rate; both come from samples.

    The error of each end is at most the tail of *confidence*. About half of it is used for the position of t (exact
    binomial), the rest for the share above t (Clopper–Pearson): if the first uses a, the second has b with
    1 - (1 - a)(1 - b) = tail.
    """
    from scipy.special import bdtr, bdtrc

    n, tail = len(pivot), tail_of(confidence)
    descending = -np.sort(-pivot)

    def share_above(at: int, spent: float) -> Interval:
        rest = (tail - spent) / (1 - spent)
        if rest < 1e-6:  # no order statistic is extreme enough: this end is not bounded
            return Interval(0.0, 0.0, 1.0)
        return clopper_pearson(int(np.sum(counted > descending[at])), len(counted), 1 - 2 * rest)

    above = max(bisect.bisect_right(range(n), tail / 2, key=lambda i: bdtr(i, n, rate)) - 1, 0)
    below = min(bisect.bisect_left(range(n), -tail / 2, key=lambda i: -bdtrc(i, n, rate)), n - 1)
    return share_above(above, float(bdtr(above, n, rate))).low, share_above(below, float(bdtrc(below, n, rate))).high


def newcombe_low(value: float, m: int, n: int, confidence: float) -> float:
    """The lower end for an AUROC: the θ at a distance of z standard errors at θ (Hanley–McNeil, sizes (m + n)/2)."""
    from scipy.special import ndtri

    z, size = float(ndtri(1 - tail_of(confidence))), (m + n) / 2 - 1
    low, high = 0.0, value
    for _ in range(60):
        theta = (low + high) / 2
        variance = theta * (1 - theta) * (1 + size * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)
        low, high = (theta, high) if value - theta > z * math.sqrt(variance) else (low, theta)
    return low


def welch(members: Floats, nonmembers: Floats, confidence: float) -> Ends:
    """Ends for the difference of the means (Welch's t); infinite where the samples show no spread."""
    from scipy.special import stdtrit

    if min(len(members), len(nonmembers)) < 2:
        return -math.inf, math.inf
    first, second = (float(side.var(ddof=1)) / len(side) for side in (members, nonmembers))
    if first + second == 0:
        return -math.inf, math.inf
    freedom = (first + second) ** 2 / (first**2 / (len(members) - 1) + second**2 / (len(nonmembers) - 1))
    gap = float(members.mean() - nonmembers.mean())
    half = float(stdtrit(freedom, 1 - tail_of(confidence))) * math.sqrt(first + second)
    return gap - half, gap + half


def tail_of(confidence: float) -> float:
    """The error probability on each side of a two-sided interval."""
    if not 0 < confidence < 1:
        raise UsageError(f"`confidence` must lie between 0 and 1, both excluded: got {confidence:g}")
    return (1 - confidence) / 2
