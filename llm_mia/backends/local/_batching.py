"""Which windows are fed together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["batches"]

# What starting a batch costs, in tokens: the fixed work of a forward pass, as a share of the largest batch.
START_SHARE = 32


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Positions of windows of like length, longest first, each batch at most *budget* tokens with its padding.

    The windows are sorted by length and cut where the sum of all batches (longest window × windows, and what starting
    one costs) is smallest. A window longer than the budget is a batch of its own.

    >>> batches([3, 9, 10, 3, 3], budget=96)
    [[2, 1], [0, 3, 4]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    sizes = np.asarray(lengths, dtype=np.int64)[order]
    n = len(sizes)
    cost = np.full(n + 1, np.iinfo(np.int64).max)
    cost[0] = 0
    cut = np.zeros(n + 1, dtype=np.int64)
    for start in range(n):
        most = min(n - start, max(1, budget // int(sizes[start])))
        ends = np.arange(start + 1, start + most + 1)
        costs = cost[start] + budget // START_SHARE + sizes[start] * (ends - start)
        better = ends[costs < cost[ends]]
        cost[better] = costs[better - start - 1]
        cut[better] = start
    found, end = [], n
    while end:
        found.append(order[cut[end] : end].tolist())
        end = int(cut[end])
    return found[::-1]
