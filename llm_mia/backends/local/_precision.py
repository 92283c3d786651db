"""The precision that ``auto`` means. On a CPU it depends on the speed of matrix products, measured at loading."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import linear

from ...errors import ModelError
from ...records import DTypeChoice

__all__ = ["DTYPES", "VARIABLE", "choose_dtype", "faster_dtype"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
VARIABLE = "LLM_MIA_DTYPE"
"""The environment variable that sets what ``auto`` means."""

# bfloat16 keeps 8 bits of 24, so it is chosen only where it is at least this many times as fast.
LEAST_SPEEDUP = 1.3
# Rows multiplied at once, and the largest matrix: enough for the full speed of the processor, in a few milliseconds.
ROWS, MOST_WIDTH, MOST_INTERMEDIATE = 128, 1024, 2048
# The fastest of these rounds counts, since noise only adds time; no further round starts after these seconds.
ROUNDS, LEAST_ROUNDS, SECONDS = 12, 3, 0.03


def choose_dtype(config: Any, device: str) -> DTypeChoice:
    """What ``dtype="auto"`` means for a model of *config* on *device*.

    It is the value of the environment variable ``LLM_MIA_DTYPE`` where that is set. Otherwise it is bfloat16 on a CUDA
    device with hardware for it, and on a CPU where a matrix product of the model's sizes is at least 1.3 times as fast
    as in float32; everywhere else it is float32. Within a process the same sizes give the same answer.

    Raises:
        ModelError: the environment variable does not hold the name of a precision.
    """
    value = os.environ.get(VARIABLE)
    if value:
        if value not in DTYPES:
            raise ModelError(f"the environment variable {VARIABLE} is {value!r}: it must be {', '.join(DTYPES)}")
        return DTypeChoice(value, "environment")
    if device != "cpu":
        supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return DTypeChoice("bfloat16" if supported else "float32", "device")
    width = _size(config, "hidden_size") or MOST_WIDTH
    intermediate = _size(config, "intermediate_size") or 4 * width
    return _measure(min(width, MOST_WIDTH), min(intermediate, MOST_INTERMEDIATE), torch.get_num_threads())


def faster_dtype(float32_seconds: float, bfloat16_seconds: float) -> str:
    """The precision to choose for two measured times of the same work.

    >>> faster_dtype(1.2, 1.0), faster_dtype(1.4, 1.0)
    ('float32', 'bfloat16')
    """
    return "bfloat16" if float32_seconds >= LEAST_SPEEDUP * bfloat16_seconds else "float32"


def _size(config: Any, name: str) -> int:
    """The entry *name* of a configuration; 0 where it is missing, or a list with an entry for each layer."""
    size = getattr(config, name, None)
    return size if isinstance(size, int) else 0


@functools.cache
def _measure(width: int, intermediate: int, _threads: int) -> DTypeChoice:
    with torch.inference_mode():
        products = [_product(width, intermediate, dtype) for dtype in (torch.float32, torch.bfloat16)]
        for product in products:
            product()  # the first call chooses a kernel and generates its code
        float32, bfloat16 = _shortest_times(products)
    operations = 2e-9 * ROWS * width * intermediate
    return DTypeChoice(
        faster_dtype(float32, bfloat16), "measured", round(operations / float32, 2), round(operations / bfloat16, 2)
    )


def _product(width: int, intermediate: int, dtype: torch.dtype) -> Callable[[], object]:
    rows, weight = torch.full((ROWS, width), 0.5, dtype=dtype), torch.full((intermediate, width), 0.5, dtype=dtype)
    return lambda: linear(rows, weight)


def _shortest_times(products: list[Callable[[], object]]) -> list[float]:
    """The shortest time of each product in seconds; they take turns, so that other processes slow them alike."""
    best = [float("inf")] * len(products)
    first = time.perf_counter()
    for completed in range(ROUNDS):
        if completed >= LEAST_ROUNDS and time.perf_counter() - first > SECONDS:
            break
        for i, product in enumerate(products):
            start = time.perf_counter()
            product()
            best[i] = min(best[i], time.perf_counter() - start)
    return best
