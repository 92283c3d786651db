"""The sweep as a Triton kernel, for CUDA: it reads the logits once. Importing it needs Triton."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._eager import FLOOR, TINIEST_STD

__all__ = ["SETTINGS", "sweep_kernel", "triton_sweep"]

SETTINGS = {
    "BLOCK": 4096,
    # Less than any logit but −inf, and finite: −inf minus −inf would be NaN.
    "LOWEST": -3e38,
    "FLOOR": FLOOR,
    "TINIEST": TINIEST_STD,
}


@triton.jit  # type: ignore[untyped-decorator]
def sweep_kernel(  # type: ignore[no-untyped-def]
    logits, targets, logprob, mean, std, top, rank, stride, vocabulary,  # noqa: ANN001
    BLOCK: tl.constexpr, LOWEST: tl.constexpr, FLOOR: tl.constexpr, TINIEST: tl.constexpr,  # noqa: N803
) -> None:  # fmt: skip
    """A program for each row: it goes through the vocabulary in blocks, with the running maximum m and sums S_k.

    S_k = Σ e^u u^k with u = logit − m.
    When the maximum moves by d = m − m′ ≤ 0, with a = e^d: S₂ ← a(S₂ + 2d·S₁ + d²·S₀), S₁ ← a(S₁ + d·S₀), S₀ ← a·S₀,
    and then the block is added.
    """
    row = tl.program_id(0).to(tl.int64)
    base = logits + row * stride
    actual = tl.load(base + tl.load(targets + row)).to(tl.float32)
    peak = tl.full((), LOWEST, tl.float32)
    s0 = tl.full((), 0.0, tl.float32)
    s1 = tl.full((), 0.0, tl.float32)
    s2 = tl.full((), 0.0, tl.float32)
    above = tl.full((), 0, tl.int32)
    for start in range(0, vocabulary, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        x = tl.load(base + columns, mask=columns < vocabulary, other=float("-inf")).to(tl.float32)
        above += tl.sum((x > actual).to(tl.int32), 0)
        moved = tl.maximum(peak, tl.max(x, 0))
        d = tl.maximum(peak - moved, FLOOR)
        a = tl.exp(d)
        s2 = a * (s2 + 2 * d * s1 + d * d * s0)
        s1 = a * (s1 + d * s0)
        s0 = a * s0
        # A NaN among the logits makes the row NaN, as in the other sweeps; a plain maximum would drop it.
        u = tl.maximum(x - moved, FLOOR, propagate_nan=tl.PropagateNan.ALL)
        weight = tl.exp(u)
        s0 += tl.sum(weight, 0)
        s1 += tl.sum(weight * u, 0)
        s2 += tl.sum(weight * u * u, 0)
        peak = moved
    log_total = tl.log(s0)
    m = s1 / s0
    tl.store(logprob + row, actual - peak - log_total)
    tl.store(mean + row, m - log_total)
    tl.store(std + row, tl.maximum(tl.sqrt(tl.maximum(s2 / s0 - m * m, 0.0)), TINIEST))
    tl.store(top + row, -log_total)
    tl.store(rank + row, above.to(tl.int64))


def triton_sweep(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`Moments` of *logits*, shape (rows, vocabulary), for *targets*, shape (rows,)."""
    rows, vocabulary = logits.shape
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    logprob, mean, std, top = (torch.empty(rows, dtype=torch.float32, device=logits.device) for _ in range(4))
    rank = torch.empty(rows, dtype=torch.int64, device=logits.device)
    if rows:
        sweep_kernel[(rows,)](logits, targets, logprob, mean, std, top, rank, logits.stride(0), vocabulary, **SETTINGS)
    return logprob, mean, std, top, rank
