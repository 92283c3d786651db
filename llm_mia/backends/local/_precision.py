"""Which precision ``auto`` means: on a CPU the one that multiplies faster there, measured when a model is loaded."""

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

__all__ = ["DTYPES", "VARIABLE", "automatic", "faster"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
VARIABLE = "LLM_MIA_DTYPE"
"""The environment variable that says what ``auto`` means."""

# bfloat16 keeps 8 bits of 24, so it must pay: it is chosen from this ratio of speeds on.
WORTHWHILE = 1.3
# Rows multiplied at once, and the largest matrix: enough for the processor's full rate, a few milliseconds altogether.
ROWS, MOST_WIDTH, MOST_INTERMEDIATE = 128, 1024, 2048
# The fastest of so many rounds counts, for noise only ever adds time; no further round begins after so many seconds.
ROUNDS, LEAST_ROUNDS, SECONDS = 12, 3, 0.03


def automatic(config: Any, device: str) -> DTypeChoice:
    """What ``dtype="auto"`` means for a model of *config* on *device*.

    The environment variable ``LLM_MIA_DTYPE`` decides where it is set. Else it is bfloat16 on CUDA where the hardware
    multiplies it; on a CPU, bfloat16 where a matrix product of the model's sizes is at least 1.3 times as fast in it as
    in float32; and float32 everywhere else. The same sizes give the same answer as long as the process lives.

    Raises:
        ModelError: the environment variable holds something else than a precision.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        if wanted not in DTYPES:
            raise ModelError(f"the environment variable {VARIABLE} is {wanted!r}: it must be {', '.join(DTYPES)}")
        return DTypeChoice(wanted, "environment")
    if device != "cpu":
        there = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return DTypeChoice("bfloat16" if there else "float32", "device")
    width = _size(config, "hidden_size") or MOST_WIDTH
    intermediate = _size(config, "intermediate_size") or 4 * width
    return _measured(min(width, MOST_WIDTH), min(intermediate, MOST_INTERMEDIATE), torch.get_num_threads())


def faster(float32_seconds: float, bfloat16_seconds: float) -> str:
    """The precision to choose for two measured times of the same work.

    >>> faster(1.2, 1.0), faster(1.4, 1.0)
    ('float32', 'bfloat16')
    """
    return "bfloat16" if float32_seconds >= WORTHWHILE * bfloat16_seconds else "float32"


def _size(config: Any, name: str) -> int:
    """The size called *name*; 0 where the configuration has none, or one a layer."""
    size = getattr(config, name, None)
    return size if isinstance(size, int) else 0


@functools.cache
def _measured(width: int, intermediate: int, _threads: int) -> DTypeChoice:
    with torch.inference_mode():
        products = [_product(width, intermediate, dtype) for dtype in (torch.float32, torch.bfloat16)]
        for product in products:
            product()  # the first call picks a kernel and makes its code
        float32, bfloat16 = _fastest(products)
    operations = 2e-9 * ROWS * width * intermediate
    return DTypeChoice(
        faster(float32, bfloat16), "measured", round(operations / float32, 2), round(operations / bfloat16, 2)
    )


def _product(width: int, intermediate: int, dtype: torch.dtype) -> Callable[[], object]:
    rows, weight = torch.full((ROWS, width), 0.5, dtype=dtype), torch.full((intermediate, width), 0.5, dtype=dtype)
    return lambda: linear(rows, weight)


def _fastest(products: list[Callable[[], object]]) -> list[float]:
    """The shortest time of each in seconds, taken in turns, so that what else the machine does meets all of them."""
    best = [float("inf")] * len(products)
    begin = time.perf_counter()
    for done in range(ROUNDS):
        if done >= LEAST_ROUNDS and time.perf_counter() - begin > SECONDS:
            break
        for i, product in enumerate(products):
            start = time.perf_counter()
            product()
            best[i] = min(best[i], time.perf_counter() - start)
    return best
