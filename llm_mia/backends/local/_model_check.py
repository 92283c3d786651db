"""What is tried with a model before it is used: whether it is causal, and whether its logits come from its head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...errors import ModelError
from ..moments import Head
from ._causality import refuse_looking_ahead
from ._forward import Forward

__all__ = ["checked_head"]


@torch.inference_mode()
def checked_head(forward: Forward, model: Any, device: torch.device, tolerance: float) -> Head | None:
    """The head that gives the logits of *model*; None where only the model gives them. An unfit model is refused.

    Args:
        forward: the forward pass of *model*.
        model: a model of transformers, in evaluation mode.
        device: where token ids have to be.
        tolerance: the largest difference between two computations of the same logits, relative to their spread.

    Raises:
        ModelError: the model looks ahead, or gives no numbers.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.config.get_text_config().vocab_size, (1, 12), generator=generator).to(device)
    expected = model(input_ids=ids, use_cache=False).logits.float()
    spread = float(expected[expected.isfinite()].std()) or 1.0
    if bool((expected.isnan() | expected.isposinf()).any()):  # −∞ is right for a token that the model excludes
        raise ModelError("its logits are not numbers: its weights are damaged, or exceed the range of the `dtype`")
    refuse_looking_ahead(model, ids, tolerance)
    forward.try_twice_the_length(ids, expected, tolerance)
    head = _head(forward, model, ids, expected, tolerance * spread)
    forward.attention.check(ids, expected, tolerance)  # last, so that all that is compared above is computed alike
    return head


def _head(forward: Forward, model: Any, ids: Tensor, expected: Tensor, tolerance: float) -> Head | None:
    """The head of *model*, where it gives the *expected* logits up to *tolerance*."""
    head = None if model.base_model is model else Head.of(model)
    if head is None:
        return None
    states = forward.states(ids, head)[0]
    if states.shape[-1] != head.weight.shape[-1]:  # ELECTRA has a layer between the two
        return None
    logits = head.logits(states)[None].float().to(expected.device)
    same = logits.shape == expected.shape and float((logits - expected).abs().max()) <= tolerance
    return head if same else None
