"""Which errors mean that the memory did not suffice."""

from __future__ import annotations

import torch

__all__ = ["MEMORY_ERRORS", "out_of_memory"]

MEMORY_ERRORS = (RuntimeError, MemoryError)
"""The classes of all errors that `out_of_memory` recognises."""

# Only some allocators have a class of their own; the others are known by what they write.
TEXTS = (
    "DefaultCPUAllocator: can't allocate memory",  # Linux
    "DefaultCPUAllocator: not enough memory",  # macOS and Windows
    "unable to mmap memory",
    "std::bad_alloc",  # thrown in C++, passed on by PyTorch
    "CUDA error: out of memory",  # the driver, rather than PyTorch's allocator
    "MPS backend out of memory",
    "STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN, cuSPARSE
    # oneDNN, which multiplies bfloat16 on a CPU: no memory for generated code, for scratch space or for a result.
    # A primitive *descriptor* that it could not create is an operation that it does not have.
    "could not create a memory object",
    "could not execute a primitive",
)
EXACTLY = "could not create a primitive"


def out_of_memory(error: BaseException) -> bool:
    """Whether *error* means that the memory did not suffice.

    oneDNN does not name its reason: of what it could not create or execute, lack of memory is the usual one. A caller
    that halves its batch until one window is left then gives the error as the cause of its own.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return text.strip() == EXACTLY or any(part in text for part in TEXTS)
