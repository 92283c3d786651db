"""Hidden states × head → per-token statistics, without ever holding tokens × vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Moments", "token_moments"]

# Floats in one block of logits: 16 MB a buffer, small enough to stay in a shared cache, large enough for a full GEMM.
BLOCK_ELEMENTS = 4_194_304
# A token of logit −inf has probability 0 and must add 0 · log 0 = 0 to the sums, not NaN.
FLOOR = -1e4
# A model that is certain has σ = 0; nobody may divide by it.
TINIEST_STD = 1e-6


class Moments(NamedTuple):
    """Five statistics of the next-token distribution p and the token x that came, each of shape (rows,)."""

    logprob: Tensor
    """log p(x), nats, float32."""
    mean: Tensor
    """Σ p(v) log p(v), nats, float32."""
    std: Tensor
    """Standard deviation of log p(v) for v ∼ p, nats, float32; at least 1e-6."""
    top: Tensor
    """max log p(v), nats, float32."""
    rank: Tensor
    """How many tokens have a strictly larger logit than x, int64."""


def token_moments(hidden: Tensor, targets: Tensor, head: Callable[[Tensor], Tensor], vocabulary: int) -> Moments:
    """The statistics of every row of *hidden*, shape (rows, width), against *targets*, shape (rows,).

    *head* maps hidden states (block, width) to logits (block, *vocabulary*). Reductions run in float32 whatever the
    precision of the weights, and the token's own logit comes from the same product as all others: taken from another
    product it can differ in the last bit, and ranks slip by one.
    """
    rows = max(1, BLOCK_ELEMENTS // vocabulary)
    blocks = [_block(head(h), t) for h, t in zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)]
    return Moments(*(torch.cat(column) for column in zip(*blocks, strict=True)))


def _block(logits: Tensor, targets: Tensor) -> Moments:
    logits = logits.float()
    own = logits.gather(1, targets[:, None])
    rank = (logits > own).sum(1)
    peak = logits.amax(1, keepdim=True)
    u = (logits - peak).clamp_(min=FLOOR)
    weight = u.exp()
    total = weight.sum(1)
    log_total = total.log()
    mean = torch.linalg.vecdot(weight, u) / total
    # Second moment about the mean, not about the peak: the difference of two large squares would lose σ of sure models.
    u -= mean[:, None]
    std = (torch.linalg.vecdot(weight.mul_(u), u) / total).clamp_(min=0).sqrt_().clamp_(min=TINIEST_STD)
    return Moments((own - peak)[:, 0] - log_total, mean - log_total, std, -log_total, rank)
