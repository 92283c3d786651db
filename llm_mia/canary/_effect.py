"""The mean of the differences of documents, with its interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..records import Interval

__all__ = ["mean_with_interval"]


def mean_with_interval(differences: NDArray[np.float64]) -> Interval:
    """The mean of *differences* with its 95 % interval (Student's t); without limits where there are fewer than two."""
    from scipy.stats import t

    if len(differences) < 2:
        return Interval(float(differences.mean()) if len(differences) else 0.0, -math.inf, math.inf)
    half = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / math.sqrt(len(differences)))
    mean = float(differences.mean())
    return Interval(mean, mean - half, mean + half)
