"""The sweep by PyTorch's compiler: it reads a block of logits twice and stores no intermediate result."""

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

    log Z = log S₀, μ = S₁/S₀ − log Z, σ² = S₂/S₀ − (S₁/S₀)². Where a model is almost certain, the mass lies at u = 0
    and the squares are small, so their difference keeps its digits.
    """
    logits = logits.float()
    actual = logits.gather(1, targets[:, None])
    peak = logits.amax(1, keepdim=True)
    u = (logits - peak).clamp(min=FLOOR)
    weight = u.exp()
    first = weight * u
    total = weight.sum(1)
    mean = first.sum(1) / total
    std = ((first * u).sum(1) / total - mean * mean).clamp(min=0).sqrt().clamp(min=TINIEST_STD)
    log_total = total.log()
    return (actual - peak)[:, 0] - log_total, mean - log_total, std, -log_total, (logits > actual).sum(1)


@functools.cache
def compiled_sweep() -> Callable[[Tensor, Tensor], Five]:
    """`_sweep` as a single vectorised loop, compiled at the first call for a precision.

    The compiler keeps its results in a cache on disk, so only the first run on a machine waits for all of it.
    """
    # Without workers: there is only this loop to compile, and workers outlive a run that is killed.
    with _ignore_warnings():
        compiled = torch.compile(_sweep, dynamic=True, options={"compile_threads": 1})

    def sweep(logits: Tensor, targets: Tensor) -> Five:
        if len(logits) == 1:  # the compiler would generate another loop for shapes with a 1
            return eager_sweep(logits, targets)
        with _ignore_warnings():
            return compiled(logits, targets)

    return sweep


@contextlib.contextmanager
def _ignore_warnings() -> Iterator[None]:
    """Ignore warnings of PyTorch about PyTorch: the user cannot act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
