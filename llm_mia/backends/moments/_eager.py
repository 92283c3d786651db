"""The eager sweep: an operation at a time, on every device."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FLOOR", "TINIEST_STD", "eager_sweep"]

# A token of logit −inf has probability 0 and must add 0 · log 0 = 0 to the sums, not NaN.
FLOOR = -1e4
# For a certain model σ is 0, and attacks divide by it.
TINIEST_STD = 1e-6


def eager_sweep(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`Moments` of *logits*, shape (rows, vocabulary), for *targets*, shape (rows,)."""
    logits = logits.float()
    actual = logits.gather(1, targets[:, None])
    rank = (logits > actual).sum(1)
    peak = logits.amax(1, keepdim=True)
    u = (logits - peak).clamp_(min=FLOOR)
    weight = u.exp()
    total = weight.sum(1)
    log_total = total.log()
    mean = torch.linalg.vecdot(weight, u) / total
    # The second moment about the mean, not about the peak: a difference of large squares would lose the digits of σ
    # where a model is almost certain.
    u -= mean[:, None]
    std = (torch.linalg.vecdot(weight.mul_(u), u) / total).clamp_(min=0).sqrt_().clamp_(min=TINIEST_STD)
    return (actual - peak)[:, 0] - log_total, mean - log_total, std, -log_total, rank
