"""Evaluation mode for as long as a model computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

__all__ = ["evaluating"]


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch dropout and the like off while the block runs; then every module has the mode that it had before."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True
