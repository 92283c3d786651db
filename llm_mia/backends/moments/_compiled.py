"""The sweep through PyTorch's compiler: two readings of a block of logits, no buffer between."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ._eager import FLOOR, TINIEST_STD, eager_sweep

__all__ = ["compiled_sweep"]

Five = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _sweep(logits: Tensor, targets: Tensor) -> Five:
    """`Moments` of *logits*, shape (rows, vocabulary), from S_k = Σ e^u u^k with u = logit − peak.

    log Z = log S₀, μ = S₁/S₀ − log Z, σ² = S₂/S₀ − (S₁/S₀)². Where a model is sure the mass lies at u = 0 and the
    squares are small, so their difference keeps its digits.
    """
    logits = logits.float()
    own = logits.gather(1, targets[:, None])
    peak = logits.amax(1, keepdim=True)
    u = (logits - peak).clamp(min=FLOOR)
    weight = u.exp()
    first = weight * u
    total = weight.sum(1)
    mean = first.sum(1) / total
    std = ((first * u).sum(1) / total - mean * mean).clamp(min=0).sqrt().clamp(min=TINIEST_STD)
    log_total = total.log()
    return (own - peak)[:, 0] - log_total, mean - log_total, std, -log_total, (logits > own).sum(1)


@functools.cache
def compiled_sweep() -> Callable[[Tensor, Tensor], Five]:
    """`_sweep` as one vectorised loop, compiled when it is first called for a precision.

    The compiler keeps what it made in a cache of its own, so only the first run on a machine waits for all of it.
    """
    with (
        _no_advice()
    ):  # workers would compile side by side, but there is one loop, and they outlive a run that is killed
        compiled = torch.compile(_sweep, dynamic=True, options={"compile_threads": 1})

    def sweep(logits: Tensor, targets: Tensor) -> Five:
        if len(logits) == 1:  # the compiler makes another loop for shapes with a 1
            return eager_sweep(logits, targets)
        with _no_advice():
            return compiled(logits, targets)

    return sweep


@contextlib.contextmanager
def _no_advice() -> Iterator[None]:
    """Without the warnings between parts of PyTorch: a user can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
