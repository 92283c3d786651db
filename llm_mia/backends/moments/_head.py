"""The output layer of a model, with the scale and the cap that some families apply to its logits."""

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
    """Factor on the logits (Cohere's ``logit_scale``, the reciprocal of Granite's ``logits_scaling``)."""
    cap: float | None = None
    """Soft cap: the logits become ``cap · tanh(logits / cap)`` (Gemma 2 and 3)."""

    @classmethod
    def of(cls, model: Any) -> Head | None:
        """The head of a transformers *model*; None where it is not a plain linear layer (quantised, offloaded)."""
        layer, config = model.get_output_embeddings(), model.config.get_text_config()
        # Subclasses of Linear, such as quantised layers, hold weights that are not a matrix of numbers.
        if type(layer) is not torch.nn.Linear or layer.weight.is_meta:
            return None
        scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
        return cls(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None))

    def logits(self, states: Tensor, out: Tensor | None = None) -> Tensor:
        """The logits of *states*, written into *out* where it is given: new memory costs time for page faults."""
        if self.bias is None:
            logits = torch.mm(states, self.weight.t(), out=out)
        else:
            logits = torch.addmm(self.bias, states, self.weight.t(), out=out)
        if self.scale != 1.0:
            logits.mul_(self.scale)
        if self.cap is not None:
            logits.div_(self.cap).tanh_().mul_(self.cap)
        return logits
