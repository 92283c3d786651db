"""The batches in which windows are fed to a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["batches", "fitting_tokens"]

# Tokens fed at once, padding included. A CPU is fastest where the states of a layer stay in its cache; a GPU is faster
# the more tokens it gets, within these limits.
CPU_TOKENS, CUDA_TOKENS = 1024, (1024, 65536)

# The fixed work of a forward pass takes as long as this fraction of the largest batch.
FIXED_COST_DIVISOR = 32


def batches(lengths: Sequence[int], budget: int, *, fixed_cost: int | None = None) -> list[list[int]]:
    """Positions of windows of similar length, longest first, in batches of at most *budget* tokens with their padding.

    The windows are sorted by length, and divided where the total cost of all batches is smallest. The cost of a batch
    is its longest window times its number of windows, plus *fixed_cost*. A window longer than *budget* is a batch
    alone.

    Args:
        lengths: the number of tokens of each window.
        budget: most tokens of a batch.
        fixed_cost: the cost of starting a batch, in tokens; None: *budget* / 32.

    >>> batches([3, 9, 10, 3, 3], budget=96)
    [[2, 1], [0, 3, 4]]
    """
    fixed_cost = budget // FIXED_COST_DIVISOR if fixed_cost is None else fixed_cost
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    sizes = np.asarray(lengths, dtype=np.int64)[order]
    n = len(sizes)
    # Of the first i windows: the least cost, and where the last batch of that division starts.
    cost = np.full(n + 1, np.iinfo(np.int64).max)
    cost[0] = 0
    last_start = np.zeros(n + 1, dtype=np.int64)
    for start in range(n):
        most = min(n - start, max(1, budget // int(sizes[start])))
        ends = np.arange(start + 1, start + most + 1)
        costs = cost[start] + fixed_cost + sizes[start] * (ends - start)
        better = ends[costs < cost[ends]]
        cost[better] = costs[better - start - 1]
        last_start[better] = start
    reverse, end = [], n
    while end:
        reverse.append(order[last_start[end] : end].tolist())
        end = int(last_start[end])
    return reverse[::-1]


def fitting_tokens(config: Any, device: torch.device, dtype: torch.dtype) -> int:
    """The number of tokens that half of the free memory holds on CUDA, where memory limits the speed."""
    if device.type != "cuda":
        return CPU_TOKENS
    free, _ = torch.cuda.mem_get_info(device)
    width = config.hidden_size
    # The states of one layer are held at a time: the residual stream, queries, keys, values, and the MLP's middle.
    bytes_per_token = dtype.itemsize * (12 * width + 4 * (getattr(config, "intermediate_size", None) or 4 * width))
    least, most = CUDA_TOKENS
    return int(min(most, max(least, free // 2 // bytes_per_token)))
