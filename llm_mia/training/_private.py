"""DP-SGD: each text changes the weights no more than noise does, and an accountant says by how much at most.

What is protected is a text: training on the texts and training without a text of them give models that nobody can tell
apart better than ε and δ allow. **A document that gives several texts is not protected as a unit**, and neither is a
text that occurs several times; `deduplicate` removes the copies.

What the guarantee does not cover: the number of texts, the recipe, and the losses in ``training.json``, which are those
of the texts, without noise. The noise comes from torch's ordinary generator, from the seed of the recipe, so that a
training can be repeated and continued: it holds against whoever does not know the seed. Opacus' secure generator, which
also protects against attacks on the rounding of the noise, is not used. For a model that is handed on, choose a secret
seed and keep ``training.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..backends.local import MEMORY_ERRORS, LocalBackend, is_out_of_memory
from ..errors import ModelError, UsageError
from ._accounting import Sampling, epsilon_spent, noise_needed, require_opacus
from ._model import Trainee, dropping
from ._recipe import Recipe
from ._text_gradients import TextGradients
from ._texts import TrainingTexts
from ._updates import Guarantee, explained_failure, groups_of_like_length, refuse_no_number

__all__ = ["PrivateUpdates"]


class PrivateUpdates:
    """AdamW on the sum of the clipped gradients of the texts of a step, with Gaussian noise; see `Updates`.

    Each step takes each text with the same probability (Poisson sampling), so its number of texts varies, and a step
    without texts still adds noise.

    Raises:
        MissingExtraError: Opacus is not installed.
        UsageError: ε is out of reach, or the recipe uses texts in a way that DP-SGD does not protect.
        ModelError: a layer keeps something of the texts.
    """

    def __init__(self, trainee: Trainee, texts: TrainingTexts, recipe: Recipe) -> None:
        require_opacus()
        from opacus.optimizers import DPOptimizer

        privacy = recipe.privacy
        assert privacy is not None
        if texts.set_aside:
            raise UsageError(
                "`early_stopping` chooses an epoch by texts that it sets aside, which `privacy` does not protect: give "
                "other texts as `validation`, or leave out `early_stopping`"
            )
        count = len(texts.trained)
        self._sampling = Sampling(count, recipe.batch_size, recipe.epochs)
        self._delta = 1 / (10 * count) if privacy.delta is None else privacy.delta
        self._noise = noise_needed(privacy, self._sampling, self._delta)
        self._base: LocalBackend = trainee.base
        self._gradients = TextGradients(trainee.base, recipe.label_smoothing)
        trained = self._gradients.trained
        self._optimizer = DPOptimizer(
            torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True),
            noise_multiplier=self._noise,
            max_grad_norm=privacy.clip,
            expected_batch_size=count * self._sampling.probability,
        )
        trainee.base.model.train()
        with dropping(trainee, 0.0), explained_failure(trainee.base.info.id, texts.trained[:2]):
            several = self._gradients.choose(texts.trained)
        self._largest = min(recipe.batch_size, self._gradients.most_texts) if several else 1

    def draw(self, texts: int, generator: torch.Generator) -> list[list[int]]:
        """The texts of each step of an epoch: each with the same probability, independently of all else."""
        steps, probability = self._sampling.steps_of_epoch, self._sampling.probability
        taken = torch.rand(steps, texts, generator=generator) < probability
        return [step.nonzero().flatten().tolist() for step in taken]

    def update(self, batch: Sequence[Tensor], step: int) -> float:
        """Change the weights by a step on *batch*; see `Updates.update`."""
        self._refuse_other_weights()
        with explained_failure(self._base.info.id, batch):
            loss = self._sum_clipped(batch)
        summed = [weights.summed_grad for weights in self._gradients.trained]
        norm = float(torch.stack([each.norm().cpu() for each in summed]).norm())
        refuse_no_number(self._base.info.id, step, loss, norm)
        if batch and norm == 0:
            raise ModelError(
                f"model {self._base.info.id!r}: in step {step}, no text has a gradient for the weights that are "
                "trained, so DP-SGD would change them by noise alone: an adapter must be in the model, and the model "
                "on its device, before the training begins"
            )
        self._optimizer.add_noise()
        self._optimizer.scale_grad()
        self._optimizer.original_optimizer.step()
        self._optimizer.zero_grad()
        return loss

    def _sum_clipped(self, batch: Sequence[Tensor]) -> float:
        """Sum the clipped gradients of the texts of *batch*, in groups that the memory holds; returns the loss."""
        if not batch:
            self._gradients.set_none()
            self._optimizer.clip_and_accumulate()
            return 0.0
        total, groups = 0.0, [*groups_of_like_length(batch, self._largest)]
        while groups:
            try:
                loss = self._gradients.compute(groups[0])
                self._optimizer.clip_and_accumulate()
            except MEMORY_ERRORS as error:
                if not is_out_of_memory(error) or self._largest == 1:
                    raise
            else:
                total += loss
                del groups[0]
                continue
            self._largest = 1
            self._gradients.only_alone()
            torch.cuda.empty_cache()
            groups = [[ids] for group in groups for ids in group]
        return total

    def _refuse_other_weights(self) -> None:
        """Raise `ModelError` where the model computes with other weights than those that the optimizer changes."""
        now = {id(weights) for weights in self._base.model.parameters() if weights.requires_grad}
        if now != {id(weights) for weights in self._gradients.trained}:
            raise ModelError(
                f"model {self._base.info.id!r}: DP-SGD would change other weights than those that compute, because "
                "weights were added or moved after the training was prepared: an adapter must be in the model, and the "
                "model on its device, before the training begins"
            )

    def state(self) -> dict[str, Any]:
        """The optimizer's, and how many texts are computed at once, on which the rounding of gradients depends.

        The noise is drawn from torch's default generators, whose state the loop keeps. What is spent depends on the
        recipe and the number of texts alone.
        """
        return {"optimizer": self._optimizer.state_dict(), "largest": self._largest}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from *state*."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._largest = state["largest"]

    def guarantee(self) -> Guarantee:
        """What all steps of the recipe guarantee together; a training that stops early spends no more."""
        return Guarantee(epsilon_spent(self._noise, self._sampling, self._delta), self._delta, self._noise)
