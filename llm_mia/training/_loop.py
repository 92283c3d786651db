"""The training loop: epochs, validation, early stopping and checkpoints, the same for every method.

How a batch becomes a change of the weights is no part of it: that is a `Updates` (`_updates.py`). Ordinary training is
`OrdinaryUpdates`; DP-SGD is another class with the same methods (`_private.py`), which may wrap the model's layers,
draw its batches by Poisson sampling, and add noise. The loop draws batches by `Updates.draw` and calls `Updates.update`
for each. A checkpoint holds `Updates.state`, the weights, and the state of torch's default generators, so a training
that continues takes the same steps as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..backends.local import LocalBackend
from ._recipe import Recipe
from ._texts import TrainingTexts
from ._updates import Updates, explained_failure, groups_of_like_length, next_token_loss, refuse_no_number

__all__ = ["Loop", "LoopState", "trained_weights"]


@dataclass(slots=True)
class LoopState:
    """How far a training has come, apart from weights, optimizer and random numbers."""

    epoch: int = 0
    """Epochs that are finished."""
    batches: list[list[int]] = field(default_factory=list)
    """The texts of each step of the present epoch; empty between epochs."""
    position: int = 0
    """Steps of the present epoch that are finished."""
    steps: int = 0
    """All steps that are finished."""
    tokens: int = 0
    """All tokens that were fed."""
    loss: float = 0.0
    """Summed loss of the present epoch."""
    predicted: int = 0
    """Tokens that were predicted in the present epoch."""
    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    best: dict[str, Tensor] | None = None
    """The trained weights after the best epoch, where the training stops early."""
    seconds: float = 0.0


def trained_weights(model: Any) -> dict[str, Tensor]:
    """The weights that are trained, by their names in *model*."""
    return {name: weights for name, weights in model.named_parameters() if weights.requires_grad}


class Loop:
    """A training from its `state` to its last epoch.

    Args:
        base: the model that is trained; whatever wraps its layers leaves the names of the weights as they are.
        updates: changes its weights.
        texts: the texts.
        recipe: how long it is trained.
    """

    def __init__(self, base: LocalBackend, updates: Updates, texts: TrainingTexts, recipe: Recipe) -> None:
        self.base, self.updates, self.texts, self.recipe = base, updates, texts, recipe
        self.state = LoopState()
        self.order = torch.Generator().manual_seed(recipe.seed)
        """Draws the batches of each epoch."""

    def run(self) -> Iterator[bool]:
        """Train until the last epoch, or until the validation loss no longer falls.

        Yields:
            After every step, whether it was the last of its epoch. Then `state` is complete, and may be stored.
        """
        state, began = self.state, time.monotonic() - self.state.seconds
        self.base.model.train()
        while not self.finished:
            if not state.batches:
                state.batches = self.updates.draw(len(self.texts.trained), self.order)
            while state.position < len(state.batches):
                batch = [self.texts.trained[i] for i in state.batches[state.position]]
                state.loss += self.updates.update(batch, state.steps + 1)
                state.predicted += sum(len(ids) - 1 for ids in batch)
                state.tokens += sum(map(len, batch))
                state.steps += 1
                state.position += 1
                state.seconds = time.monotonic() - began
                if state.position < len(state.batches):
                    yield False
            self._end_epoch()
            state.seconds = time.monotonic() - began
            yield True
        if state.best is not None:
            with torch.no_grad():
                for name, weights in trained_weights(self.base.model).items():
                    weights.copy_(state.best[name])
        self.base.model.eval()

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or so many epochs brought no lower validation loss as patience allows."""
        state, stopping = self.state, self.recipe.early_stopping
        if state.epoch >= self.recipe.epochs:
            return True
        return stopping is not None and state.epoch - (state.best_epoch or 0) >= stopping.patience and state.epoch > 0

    def _end_epoch(self) -> None:
        state = self.state
        state.losses.append(state.loss / max(1, state.predicted))
        state.epoch, state.batches, state.position, state.loss, state.predicted = state.epoch + 1, [], 0, 0.0, 0
        if not self.texts.validation:
            return
        loss = mean_loss(self.base, self.texts.validation, self.recipe.batch_size)
        refuse_no_number(self.base.info.id, state.steps, loss)
        lowest = min(state.validation_losses, default=math.inf)
        state.validation_losses.append(loss)
        if self.recipe.early_stopping is not None and loss < lowest:
            state.best_epoch = state.epoch
            state.best = {name: w.detach().clone() for name, w in trained_weights(self.base.model).items()}


def mean_loss(base: LocalBackend, texts: Sequence[Tensor], batch_size: int) -> float:
    """The mean loss of the predicted tokens of *texts*, in evaluation mode; the model is in training mode after it."""
    total, predicted = 0.0, 0
    base.model.eval()
    with torch.no_grad():
        for group in groups_of_like_length(texts, batch_size):
            tokens = sum(len(ids) - 1 for ids in group)
            with explained_failure(base.info.id, group):
                total += float(next_token_loss(base.model, group, base.device)) * tokens
            predicted += tokens
    base.model.train()
    return total / predicted
