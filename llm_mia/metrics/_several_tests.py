"""Several hypotheses that are tested together."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Whether Holm's procedure rejects each hypothesis.

    The probability that it rejects any true hypothesis is at most *level*, however the p-values depend on each other.
    A hypothesis whose p-value is NaN is counted, and is not rejected.

    Holm 1979, Scandinavian Journal of Statistics 6:65.

    >>> holm([0.04, 0.001, 0.02], 0.05)  # 0.001 ≤ 0.05/3, 0.02 ≤ 0.05/2, 0.04 ≤ 0.05
    [True, True, True]
    >>> holm([0.04, 0.001, 0.03], 0.05)  # 0.03 > 0.05/2
    [False, True, False]
    >>> holm([0.03, math.nan, 0.001], 0.05)
    [False, False, True]
    """
    rejected = [False] * len(p_values)
    order = sorted((at for at, p in enumerate(p_values) if not math.isnan(p)), key=lambda at: p_values[at])
    for rank, at in enumerate(order):
        if p_values[at] > level / (len(p_values) - rank):
            break
        rejected[at] = True
    return rejected
