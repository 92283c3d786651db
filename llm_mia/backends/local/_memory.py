"""How to tell that the memory did not suffice."""

from __future__ import annotations

import torch

__all__ = ["out_of_memory"]


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the memory did not suffice; only CUDA has a class of its own for that."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)
