"""Errors that mean that the memory was too small."""

from __future__ import annotations

import torch

__all__ = ["MEMORY_ERRORS", "is_out_of_memory"]

MEMORY_ERRORS = (RuntimeError, MemoryError)
"""The classes of all errors that `is_out_of_memory` recognises."""

# Only some allocators raise an error of a special class; the errors of others are recognised by their text.
TEXTS = (
    "DefaultCPUAllocator: can't allocate memory",  # Linux
    "DefaultCPUAllocator: not enough memory",  # macOS and Windows
    "unable to mmap memory",
    "std::bad_alloc",  # thrown in C++, passed on by PyTorch
    "CUDA error: out of memory",  # the driver, rather than PyTorch's allocator
    "MPS backend out of memory",
    "STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN, cuSPARSE
    # oneDNN, which multiplies bfloat16 on a CPU, lacks memory for generated code, for scratch space or for a result.
    # Where it cannot create a primitive *descriptor*, it does not support the operation: that is another error.
    "could not create a memory object",
    "could not execute a primitive",
)
WHOLE_TEXT = "could not create a primitive"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether *error* means that the memory was too small.

    oneDNN gives no reason where it cannot create or execute something; lack of memory is the usual reason.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return text.strip() == WHOLE_TEXT or any(part in text for part in TEXTS)
