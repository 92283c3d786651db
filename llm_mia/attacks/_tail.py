"""The lowest values of a passage, in which non-members differ most from members."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lowest"]


def lowest(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The ⌊share · n⌋ lowest of *values*, shape (n,), in no particular order; 1 at least.

    NaN is kept and not sorted to the end: a passage with a token that the model could not score has no score.

    >>> sorted(lowest(np.array([5, 1, 4, 2, 3], dtype=np.float32), 0.4).tolist())
    [1.0, 2.0]
    """
    # 0.1 · 30 is 3.0000000000000004 and 0.29 · 100 is 28.999999999999996: the paper means the floor of the decimal.
    count = max(1, int(share * len(values) + 1e-9))
    return values if np.isnan(values).any() else np.partition(values, count - 1)[:count]
