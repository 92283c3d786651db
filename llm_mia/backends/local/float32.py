"""The same model in float32, and whether the memory holds it together with the model that is loaded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from ...errors import ModelError
from ._libraries import name_model_in_errors, silence_libraries
from ._memory import is_out_of_memory

__all__ = ["copy_in_float32", "free_bytes", "load_in_float32"]

T = TypeVar("T")
# Besides the weights: what is held while they are converted, and the states and logits of a few hundred tokens.
RESERVE, FIXED_RESERVE = 1.25, 1 << 28
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def copy_in_float32(model: Any) -> Any:
    """A copy in float32 of a model that is in memory; rounding of its weights is part of both."""
    return copy.deepcopy(model).float()


def load_in_float32(load: Callable[[], T], model: Any, device: torch.device, name: str) -> T:
    """What *load* returns: *model*, which is in memory as well, in float32.

    Raises:
        MemoryError: the memory is too small for both.
        ModelError: it cannot be loaded in float32.
    """
    _refuse_little_memory(model, device)
    try:
        with silence_libraries(), name_model_in_errors(name):
            return load()
    except ModelError as error:
        if error.__cause__ is not None and is_out_of_memory(error.__cause__):
            raise MemoryError(str(error)) from error
        raise


def _refuse_little_memory(model: Any, device: torch.device) -> None:
    """Raise `MemoryError` where the free memory of *device* is too small for *model* in float32, or is not known."""
    devices = {parameter.device for parameter in model.parameters()}
    needed = RESERVE * 4 * sum(parameter.numel() for parameter in model.parameters()) + FIXED_RESERVE
    free = free_bytes(device) if devices == {device} else None
    if free is None or free < needed:
        known = "not known" if free is None else f"{free / 1e9:.1f} GB"
        raise MemoryError(f"the model takes {needed / 1e9:.1f} GB in float32, and the free memory is {known}")


def free_bytes(device: torch.device) -> int | None:
    """The free memory of *device*; None where it is not known, as for a model that is spread over several."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = MEMINFO.read_text("ascii").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    try:  # a container may be allowed less than the machine has
        limit, used = ((CGROUP / name).read_text("ascii").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return free
    return free if limit == "max" else min(free, int(limit) - int(used))
