"""Blocks of logits → moments, by the fastest sweep that this machine has."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ._compiled import compiled_sweep
from ._eager import eager_sweep
from ._head import Head

__all__ = ["Moments", "Reducer"]

Sweep = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]

# Bytes of logits held at once. The matrix product wants many rows; a GPU, which is faster, wants more of them.
BLOCK_BYTES = {"cpu": 192 << 20, "cuda": 1 << 30}
# Step by step every intermediate result is a buffer of its own, and small ones stay in the cache.
EAGER_BLOCK_BYTES = 16_000_000


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


class Reducer:
    """Hidden states and the tokens that came → `Moments`, holding one block of logits at a time.

    Reductions run in float32 whatever the precision of the weights, and the token's own logit comes from the same
    product as all others: taken from another product it can differ in the last bit, and ranks slip by one. What a row
    gives does not depend on the other rows, beyond how a matrix product rounds.

    Args:
        head: makes logits of hidden states; None where logits themselves are given.
        vocabulary: how many logits a row has.
        like: a tensor on the device and of the precision of the hidden states.
        compiled: whether to compile the sweep (3 s, longer the first time on a machine) or to go step by step.
    """

    def __init__(self, head: Head | None, vocabulary: int, like: Tensor, *, compiled: bool = True) -> None:
        self.head = head
        self._fast = _fast_sweep(like, vocabulary) if compiled else None
        self._sweep: Sweep = self._fast or eager_sweep
        size = EAGER_BLOCK_BYTES if self._fast is None else BLOCK_BYTES.get(like.device.type, EAGER_BLOCK_BYTES)
        self._rows = max(1, size // (vocabulary * like.element_size()))
        self._vocabulary = vocabulary
        self._buffer = like.new_empty(0)

    @property
    def compiled(self) -> bool:
        """Whether the sweep is one loop (one kernel on CUDA) rather than a step at a time."""
        return self._fast is not None

    @torch.inference_mode()
    def __call__(self, states: Tensor, targets: Tensor) -> Moments:
        """The moments of *states*, shape (rows, width), or of logits, (rows, vocabulary), and of *targets*, (rows,)."""
        blocks = [self._sweep(logits, own) for logits, own in self._logits(states, targets)]
        return Moments(*(torch.cat(column) for column in zip(*blocks, strict=True)))

    def _logits(self, states: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        pieces = -(-len(states) // self._rows)
        for block, own in zip(states.tensor_split(pieces), targets.tensor_split(pieces), strict=True):
            if self.head is None:
                yield block, own
            else:
                yield self.head.logits(block, self._room(len(block))), own

    def _room(self, rows: int) -> Tensor:
        """One buffer for all blocks, as large as the largest so far."""
        if len(self._buffer) < rows:
            self._buffer = self._buffer.new_empty(rows, self._vocabulary)
        return self._buffer[:rows]


@torch.inference_mode()  # as where it will be called: for the compiler that is another case
def _fast_sweep(like: Tensor, vocabulary: int) -> Sweep | None:
    """A sweep in one loop, tried on a few rows here and compared; None where there is none, or where it is wrong."""
    sweep = _sweep_for(like.device.type)
    if sweep is None:
        return None
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(3, vocabulary, generator=generator)).to(like.device, like.dtype)
    targets = torch.randint(0, vocabulary, (3,), generator=generator).to(like.device)
    try:
        found = sweep(logits, targets)
    except Exception:  # noqa: BLE001 - no compiler, a broken one, a cache without write access: in steps it is as right
        return None
    expected = eager_sweep(logits, targets)
    same = all(torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-3) for a, b in zip(found, expected, strict=True))
    return sweep if same else None


def _sweep_for(device: str) -> Sweep | None:
    if device == "cpu":
        return compiled_sweep()
    if device == "cuda" and importlib.util.find_spec("triton"):
        from ._kernel import triton_sweep

        return triton_sweep
    return None
