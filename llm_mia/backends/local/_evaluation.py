"""Evaluation mode of a model while it computes."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["evaluation_mode"]

_locks: weakref.WeakKeyDictionary[Any, threading.RLock] = weakref.WeakKeyDictionary()
_locks_lock = threading.Lock()


@contextlib.contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Switch dropout and the like off while the block runs; then every module has the mode that it had before.

    Threads that share a model take turns: the mode belongs to the model, so the thread that is done first would switch
    dropout on for the others. Mixed precision is off too, because the record names the precision of the weights.
    """
    with _lock_of(model), torch.autocast(next(model.parameters()).device.type, enabled=False):
        training = [module for module in model.modules() if module.training]
        try:
            for module in training:
                module.training = False
            yield
        finally:
            for module in training:
                module.training = True


def _lock_of(model: Any) -> threading.RLock:
    with _locks_lock:
        return _locks.setdefault(model, threading.RLock())
