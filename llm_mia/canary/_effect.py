"""The mean of the differences of documents, and how far two groups differ in it, with intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..records import Interval

__all__ = ["difference_with_interval", "mean_with_interval"]


def mean_with_interval(differences: NDArray[np.float64]) -> Interval:
    """The mean of *differences* with its 95 % interval (Student's t); without limits where there are fewer than two."""
    from scipy.stats import t

    if len(differences) < 2:
        return Interval(float(differences.mean()) if len(differences) else 0.0, -math.inf, math.inf)
    half = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / math.sqrt(len(differences)))
    mean = float(differences.mean())
    return Interval(mean, mean - half, mean + half)


def difference_with_interval(first: NDArray[np.float64], second: NDArray[np.float64]) -> Interval:
    """The mean of *first* less that of *second*, with a 95 % interval (Welch's t; approximate).

    It has no limits where a group has fewer than two entries.
    """
    from scipy.stats import t

    difference = float(first.mean() - second.mean())
    sizes = [len(first), len(second)]
    if min(sizes) < 2:
        return Interval(difference, -math.inf, math.inf)
    errors = [float(group.var(ddof=1)) / len(group) for group in (first, second)]
    if not sum(errors):
        return Interval(difference, difference, difference)
    freedom = sum(errors) ** 2 / sum(error**2 / (size - 1) for error, size in zip(errors, sizes, strict=True))
    half = float(t.ppf(0.975, freedom)) * math.sqrt(sum(errors))
    return Interval(difference, difference - half, difference + half)
