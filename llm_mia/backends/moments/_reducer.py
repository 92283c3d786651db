"""Blocks of logits → moments, by the fastest sweep on this machine."""

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

# Bytes of logits held at once. A matrix product is faster with many rows; a GPU needs more rows than a CPU.
BLOCK_BYTES = {"cpu": 192 << 20, "cuda": 1 << 30}
# The eager sweep stores every intermediate result in a separate buffer, and small buffers stay in the cache.
EAGER_BLOCK_BYTES = 16_000_000


class Moments(NamedTuple):
    """Five statistics of the next-token distribution p and the actual next token x, each of shape (rows,)."""

    logprob: Tensor
    """log p(x), nats, float32."""
    mean: Tensor
    """Σ p(v) log p(v), nats, float32."""
    std: Tensor
    """Standard deviation of log p(v) for v ∼ p, nats, float32; at least 1e-6."""
    top: Tensor
    """max log p(v), nats, float32."""
    rank: Tensor
    """The number of tokens with a strictly larger logit than x, int64."""


class Reducer:
    """Computes `Moments` from hidden states and the actual next tokens, and holds a block of logits at a time.

    Reductions run in float32 whatever the precision of the weights. The logit of the actual token comes from the same
    product as all others: from another product it could differ in the last bit, and change the rank by 1. The moments
    of a row do not depend on the other rows, beyond the rounding of a matrix product.

    Args:
        head: computes logits from hidden states; None where the input is logits.
        vocabulary: the number of logits in a row.
        like: a tensor with the device and the precision of the hidden states.
        compiled: whether to compile the sweep (3 s, longer the first time on a machine) or to run it eagerly.
        block_bytes: most bytes of logits held at once; None: what is fastest on the device.
        temperature: divides the logits, in float32; the moments are then those of softmax(logits / temperature).
    """

    def __init__(
        self,
        head: Head | None,
        vocabulary: int,
        like: Tensor,
        *,
        compiled: bool = True,
        block_bytes: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.head = head
        self._temperature = temperature
        self._fast = _fast_sweep(like, vocabulary) if compiled else None
        self._sweep: Sweep = self._fast or eager_sweep
        if block_bytes is None and self._fast is not None:
            block_bytes = BLOCK_BYTES.get(like.device.type)
        # At another temperature there is a second block, of the divided logits in float32.
        size = like.element_size() + (0 if temperature == 1 else torch.float32.itemsize)
        self._rows = max(1, (block_bytes or EAGER_BLOCK_BYTES) // (vocabulary * size))
        self._vocabulary = vocabulary
        self._buffer = like.new_empty(0)

    @property
    def compiled(self) -> bool:
        """Whether the sweep is a single compiled loop (a single kernel on CUDA), and not the eager sweep."""
        return self._fast is not None

    @torch.inference_mode()
    def __call__(self, states: Tensor, targets: Tensor) -> Moments:
        """The moments of *states*, shape (rows, width), or of logits, (rows, vocabulary), for *targets*, (rows,)."""
        blocks = [self._sweep(*block) for block in self._blocks(states, targets)]
        return Moments(*(torch.cat(column) for column in zip(*blocks, strict=True)))

    def _blocks(self, states: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits and targets, by blocks of rows."""
        count = -(-len(states) // self._rows)
        for block, block_targets in zip(states.tensor_split(count), targets.tensor_split(count), strict=True):
            logits = block if self.head is None else self.head.logits(block, self._buffer_of(len(block)))
            # In float32: in bfloat16 the quotient would be rounded once more, and tokens would exchange their ranks.
            yield logits if self._temperature == 1 else logits.float() / self._temperature, block_targets

    def _buffer_of(self, rows: int) -> Tensor:
        """The buffer that all blocks share, with *rows* rows."""
        if len(self._buffer) < rows:
            self._buffer = self._buffer.new_empty(rows, self._vocabulary)
        return self._buffer[:rows]


@torch.inference_mode()  # as in the later calls: the compiler treats inference mode as a separate case
def _fast_sweep(like: Tensor, vocabulary: int) -> Sweep | None:
    """The compiled sweep, checked on a few rows; None where there is none, or where its results are wrong."""
    sweep = _sweep_for(like.device.type)
    if sweep is None:
        return None
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(3, vocabulary, generator=generator)).to(like.device, like.dtype)
    targets = torch.randint(0, vocabulary, (3,), generator=generator).to(like.device)
    try:
        moments = sweep(logits, targets)
    except Exception:  # noqa: BLE001 - no compiler, a broken compiler, a cache without write access: the eager sweep is right
        return None
    expected = eager_sweep(logits, targets)
    pairs = zip(moments, expected, strict=True)
    return sweep if all(torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-3) for a, b in pairs) else None


def _sweep_for(device: str) -> Sweep | None:
    if device == "cpu":
        return compiled_sweep()
    if device == "cuda" and importlib.util.find_spec("triton"):
        from .triton_kernel import triton_sweep

        return triton_sweep
    return None
