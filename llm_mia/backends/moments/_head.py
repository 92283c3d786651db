"""The output layer of a model, with what some families do to its logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Head"]


@dataclass(frozen=True, slots=True)
class Head:
    """Hidden states (rows, width) → logits (rows, vocabulary)."""

    weight: Tensor
    """Shape (vocabulary, width)."""
    bias: Tensor | None = None
    """Shape (vocabulary,)."""
    scale: float = 1.0
    """Factor on the logits (Cohere's ``logit_scale``, one over Granite's ``logits_scaling``)."""
    cap: float | None = None
    """Soft cap: logits become ``cap · tanh(logits / cap)`` (Gemma 2 and 3)."""

    @classmethod
    def of(cls, model: Any) -> Head | None:
        """The head of a transformers *model*; None where it is no plain linear layer (quantised, offloaded)."""
        layer, config = model.get_output_embeddings(), model.config.get_text_config()
        # Subclasses of Linear, such as quantised ones, hold weights that are no matrix of numbers.
        if type(layer) is not torch.nn.Linear or layer.weight.is_meta:
            return None
        scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
        return cls(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None))

    def logits(self, states: Tensor, out: Tensor | None = None) -> Tensor:
        """The logits of *states*, written into *out* where it is given: fresh memory costs a fault for every page."""
        if self.bias is None:
            logits = torch.mm(states, self.weight.t(), out=out)
        else:
            logits = torch.addmm(self.bias, states, self.weight.t(), out=out)
        if self.scale != 1.0:
            logits.mul_(self.scale)
        if self.cap is not None:
            logits.div_(self.cap).tanh_().mul_(self.cap)
        return logits
