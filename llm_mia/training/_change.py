"""Whether a training has moved the weights that it was to move, and no others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import ModelError
from ._loop import trained_weights
from ._model import Trainee

__all__ = ["Weights"]

LARGEST_CHANGE = 1000.0
"""A step of AdamW moves a weight by about the learning rate: with weights of a size of 0.02, a thousand steps in the
same direction need a rate of 0.02 for it, and usual rates are 0.001 or less. The loss alone does not show this: a norm
in the last layer may turn huge weights into equal predictions."""


class Weights:
    """The weights of a model as they were when this object was created."""

    def __init__(self, trainee: Trainee) -> None:
        self._base = trainee.base
        self._trained = {
            name: w.detach().to("cpu", copy=True) for name, w in trained_weights(trainee.base.model).items()
        }
        self._frozen = _checksum(trainee)
        self._trainee = trainee

    def change(self) -> float:
        """L2 norm of the change of the trained weights, divided by the norm of the weights before.

        Raises:
            ModelError: no weight has changed, the weights have changed beyond measure, or a weight that was to stay
                has changed.
        """
        name, squares = self._base.info.id, [0.0, 0.0, 0.0]
        now = trained_weights(self._base.model)
        for key, before in self._trained.items():
            after = now[key].detach().cpu()
            for at, tensor in enumerate((after - before, before, after)):
                squares[at] += float(tensor.double().square().sum())
        if squares[0] == 0:
            raise ModelError(
                f"model {name!r}: no weight changed in the training: the optimizer changes other weights than the "
                "model computes with, or the changes are below the precision of float32; give a higher `learning_rate`"
            )
        if not math.isfinite(squares[0]):
            raise ModelError(f"model {name!r}: a weight is no longer a number: give a lower `learning_rate`")
        change = math.sqrt(squares[0] / (squares[1] or squares[2]))
        if change > LARGEST_CHANGE:
            raise ModelError(
                f"model {name!r}: the training diverged: its weights changed by {change:.2g} times their size, so "
                "nothing of the model is left: give a lower `learning_rate`"
            )
        if _checksum(self._trainee) != self._frozen:
            raise ModelError(
                f"model {name!r}: weights of the base changed, although only its adapter is trained: give another model"
            )
        return change


def _checksum(trainee: Trainee) -> list[int]:
    """The sum of the bits of each weight that is not trained: a change of a single weight changes it."""
    frozen = (weights.detach() for weights in trainee.base.model.parameters() if not weights.requires_grad)
    return [int(_bits(weights).sum(dtype=torch.int64)) for weights in frozen]


def _bits(weights: Tensor) -> Tensor:
    return weights.view(torch.int32 if weights.element_size() == 4 else torch.uint8)
