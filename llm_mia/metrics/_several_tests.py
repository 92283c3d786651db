"""Several hypotheses that are tested together."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses Holm's procedure rejects: any true hypothesis is, with probability at most *level*.

    This holds however the p-values depend on each other. A NaN is no p-value, and is not rejected.

    Holm 1979, Scandinavian Journal of Statistics 6:65.

    >>> holm([0.04, 0.001, 0.02], 0.05)  # 0.001 ≤ 0.05/3, 0.02 ≤ 0.05/2, 0.04 ≤ 0.05
    [True, True, True]
    >>> holm([0.04, 0.001, 0.03], 0.05)  # 0.03 > 0.05/2
    [False, True, False]
    """
    rejected, order = [False] * len(p_values), sorted(range(len(p_values)), key=lambda at: p_values[at])
    for rank, at in enumerate(order):
        if math.isnan(p_values[at]) or p_values[at] > level / (len(p_values) - rank):
            break
        rejected[at] = True
    return rejected
