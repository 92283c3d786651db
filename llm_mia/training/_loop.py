"""The training loop: epochs, validation, early stopping and checkpoints, the same for every method.

How a batch becomes a change of the weights is no part of it: that is a `Updates` (`_updates.py`). Ordinary training is
`OrdinaryUpdates`; DP-SGD is another class with the same methods (`_private.py`), which may wrap the model's layers,
draw its batches by Poisson sampling, and add noise. The loop draws batches by `Updates.draw`, calls `Updates.update` for
each, and stores `Updates.state` with the weights and the state of torch's default generators, so a training that
continues from a checkpoint takes the same steps as one that was never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..backends.local import LocalBackend
from ._recipe import Recipe
from ._texts import TrainingTexts
from ._updates import Updates, explained_failure, groups_of_like_length, next_token_loss

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


@dataclass(slots=True)
class Loop:
    """A training from its `state` to its last epoch."""

    base: LocalBackend
    """The model that is trained; wrapping its layers leaves its names as they are."""
    updates: Updates
    texts: TrainingTexts
    recipe: Recipe
    state: LoopState
    order: torch.Generator
    """Draws the batches of each epoch."""
    store: Callable[[bool], None]
    """Called after every step, and after every epoch with True: it may store a checkpoint."""
    keep: Callable[[int], None]
    """Called after every epoch with its number, counted from 1."""

    def run(self) -> None:
        """Train until the last epoch, or until the validation loss no longer falls."""
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
                    self.store(False)
            self._end_epoch()
            state.seconds = time.monotonic() - began
            self.keep(state.epoch)
            self.store(True)
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
        state.validation_losses.append(self._validation_loss())
        if self.recipe.early_stopping is None:
            return
        if state.validation_losses[-1] == min(state.validation_losses) and state.validation_losses.count(
            state.validation_losses[-1]
        ) == 1:
            state.best_epoch = state.epoch
            state.best = {name: w.detach().clone() for name, w in trained_weights(self.base.model).items()}

    def _validation_loss(self) -> float:
        return mean_loss(self.base, self.texts.validation, self.recipe.batch_size)


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
