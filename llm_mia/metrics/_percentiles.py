"""Where a score falls among others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["percentiles"]


def percentiles(scores: ArrayLike, among: ArrayLike) -> NDArray[np.float64]:
    """The percentage of the scores *among* that lie below each of *scores*, shape (n,); equal scores count half.

    NaN among *among* does not count. The percentage is NaN where the score is, or where *among* has no score.

    >>> percentiles([1.0, 2.5, 9.0, float("nan")], [1.0, 2.0, 3.0, 4.0]).tolist()
    [12.5, 50.0, 100.0, nan]
    """
    values, known = np.asarray(scores, dtype=np.float64), np.asarray(among, dtype=np.float64)
    known = np.sort(known[~np.isnan(known)])
    if not len(known):
        return np.full(values.shape, np.nan)
    below = (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")) / 2
    return np.where(np.isnan(values), np.nan, 100 * below / len(known))
