"""Which implementation of attention is the quickest for an input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["QuickAttention"]

SHORT = 256
"""Tokens. PyTorch's fused attention for CPUs takes a fifth of a pass in bfloat16, and products of matrices, as
transformers call `eager`, take a fifth of that for inputs up to this length; beyond they are slower. In float32 they
are slower throughout."""


class QuickAttention:
    """Has a model compute attention by products of matrices, where this is quicker and gives the same.

    The two differ by the rounding of bfloat16, as two sizes of batches do.

    Args:
        model: a model of transformers.
        device: of its inputs.
    """

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        fused = getattr(model.config, "_attn_implementation", None) == "sdpa"
        self._may_apply = fused and device.type == "cpu" and model.dtype == torch.bfloat16
        self._applies = False

    @contextmanager
    def within(self, tokens: int) -> Iterator[None]:
        """While it is open, the model computes inputs of so many *tokens* in the quickest way."""
        if not self._applies or tokens > SHORT:
            yield
            return
        self._model.set_attn_implementation("eager")
        try:
            yield
        finally:
            self._model.set_attn_implementation("sdpa")

    def check(self, ids: Tensor, expected: Tensor, tolerance: float) -> None:
        """From now on have the model compute products, if they give the same logits; else leave it as it is.

        Args:
            ids: token ids, shape (1, n).
            expected: their logits by the fused attention, shape (1, n, vocabulary).
            tolerance: the largest difference of the logits of a token that is rounding, as a share of their norm.
        """
        if not self._may_apply:
            return
        self._applies = True
        try:
            with self.within(ids.shape[1]):
                logits = self._model(input_ids=ids, use_cache=False).logits.float()
        except Exception:  # noqa: BLE001 - hundreds of model classes, some of which know no other implementation
            self._applies = False
            return
        fused, products = expected.nan_to_num(neginf=0.0), logits.nan_to_num(neginf=0.0)
        difference = (products - fused).norm(dim=-1) / fused.norm(dim=-1).clamp(min=1e-30)
        self._applies = float(difference.median()) <= tolerance  # rounding may send a token to another expert
