"""Ordinary training: batches drawn without replacement, and AdamW on their mean next-token loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..backends.local import MEMORY_ERRORS, LocalBackend, first_line, is_out_of_memory
from ..errors import ModelError
from ._recipe import Recipe

__all__ = [
    "IGNORED",
    "Guarantee",
    "OrdinaryUpdates",
    "Updates",
    "explained_failure",
    "next_token_loss",
    "pad_with_targets",
    "refuse_no_number",
]

# The label of padding, which the loss ignores.
IGNORED = -100
# Texts are computed together while the shortest has this share of the tokens of the longest: the rest is padding.
LEAST_FILLED = 0.7
# On a CPU logits are computed for at most so many numbers at once, or for as many as the model has weights: they stay
# in the cache then. A model of 0.4 million weights trains twice as fast; a large model would have to read its weights
# more often.
MOST_LOGITS = 1 << 21


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What DP-SGD guarantees after its last step."""

    epsilon: float
    delta: float
    noise_multiplier: float


class Updates(Protocol):
    """How texts become changes of the weights. The loop knows no more of an optimizer than this."""

    def draw(self, texts: int, generator: torch.Generator) -> list[list[int]]:
        """The texts of each step of an epoch, by their position; a step may hold none."""

    def update(self, batch: Sequence[Tensor], step: int) -> float:
        """Change the weights by a step on *batch*, which is the step number *step* of the training, counted from 1.

        The model is in training mode, and what is random draws from torch's default generators, which the loop keeps.

        Returns:
            The loss of the batch before the change, summed over the predicted tokens, in nats.

        Raises:
            ModelError: the loss or its gradient is no number, or the model fails.
        """

    def state(self) -> dict[str, Any]:
        """What the next steps depend on, apart from the weights and torch's default generators.

        Only what ``torch.load(weights_only=True)`` reads: tensors, numbers, strings, lists, tuples and dictionaries.
        """

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` has returned in another process."""

    def guarantee(self) -> Guarantee | None:
        """What the steps so far guarantee; None for ordinary training."""


class OrdinaryUpdates:
    """AdamW with a clipped gradient on the mean loss of each batch; every epoch uses each text once.

    Texts of like length are computed together, because padding costs time; where the memory is too small, fewer texts
    are. Neither changes the gradient of the step beyond rounding.
    """

    CLIP = 1.0
    """The largest L2 norm of a gradient."""

    def __init__(self, base: LocalBackend, recipe: Recipe) -> None:
        trained = [weights for weights in base.model.parameters() if weights.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True)
        # The weights are where they belong: a model may be spread over several devices.
        self._accelerator = Accelerator(device_placement=False)
        self._model, self._optimizer = self._accelerator.prepare(base.model, optimizer)
        self._trained, self._recipe = trained, recipe
        self._name, self._device = base.info.id, base.device
        self._largest = recipe.batch_size
        """How many texts the memory holds at once."""
        self._most_tokens = _most_tokens(base)

    def draw(self, texts: int, generator: torch.Generator) -> list[list[int]]:
        """The positions in random order, cut into batches."""
        order, size = torch.randperm(texts, generator=generator).tolist(), self._recipe.batch_size
        return [order[start : start + size] for start in range(0, texts, size)]

    def update(self, batch: Sequence[Tensor], step: int) -> float:
        """Change the weights by a step on *batch*; see `Updates.update`."""
        with explained_failure(self._name, batch):
            loss = self._set_gradients(batch)
            norm = self._accelerator.clip_grad_norm_(self._trained, self.CLIP)
        refuse_no_number(self._name, step, loss, norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=False)  # freeing and allocating half a gigabyte costs a second
        return loss

    def _set_gradients(self, batch: Sequence[Tensor]) -> float:
        """Set the gradients of the loss of *batch*, in groups that the memory holds; returns the summed loss."""
        counted = sum(len(ids) - 1 for ids in batch)
        while True:
            try:
                total = 0.0
                for group in groups_of_like_length(batch, self._largest, self._most_tokens):
                    tokens = sum(len(ids) - 1 for ids in group)
                    objective, loss = losses(self._model, group, self._device, self._recipe.label_smoothing)
                    self._accelerator.backward(objective * (tokens / counted))
                    total += float(loss) * tokens
                return total
            except MEMORY_ERRORS as error:
                size = min(self._largest, len(batch))
                if not is_out_of_memory(error) or size == 1:
                    raise
                self._largest = size // 2
            self._optimizer.zero_grad(set_to_none=False)
            torch.cuda.empty_cache()

    def state(self) -> dict[str, Any]:
        """The optimizer's, and how many texts the memory holds, on which the rounding of gradients depends."""
        return {"optimizer": self._optimizer.state_dict(), "largest": self._largest}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from *state*."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._largest = state["largest"]

    def guarantee(self) -> None:
        """None: ordinary training guarantees nothing."""


def _most_tokens(base: LocalBackend) -> int:
    """How many tokens, padding included, are computed at once where there is memory for more."""
    if base.device.type != "cpu":
        return 1 << 62
    weights: int = sum(each.numel() for each in base.model.parameters())
    vocabulary: int = base.model.config.get_text_config().vocab_size
    return max(MOST_LOGITS, weights) // vocabulary


def groups_of_like_length(batch: Sequence[Tensor], largest: int, most_tokens: int = 1 << 62) -> Iterator[list[Tensor]]:
    """The texts of *batch* in groups of at most *largest* texts and *most_tokens* tokens, whose lengths differ little.

    The longest come first: they need most memory.
    """
    group: list[Tensor] = []
    for ids in sorted(batch, key=len, reverse=True):
        if group and (
            len(group) == largest
            or (len(group) + 1) * len(group[0]) > most_tokens
            or len(ids) < LEAST_FILLED * len(group[0])
        ):
            yield group
            group = []
        group.append(ids)
    if group:
        yield group


def refuse_no_number(name: str, step: int, loss: float, norm: Tensor | float = 0.0) -> None:
    """Stop a training whose weights would be ruined by its next change.

    Raises:
        ModelError: the loss of the model *name* in the step number *step*, or the norm of its gradient, is infinite or
            no number.
    """
    for value, what in ((float(loss), "loss"), (float(norm), "gradient")):
        if not torch.isfinite(torch.tensor(value)):
            raise ModelError(
                f"model {name!r}: the training diverged in step {step}, where the {what} is {value}: give a lower "
                "`learning_rate`"
            )


@contextmanager
def explained_failure(name: str, batch: Sequence[Tensor]) -> Iterator[None]:
    """Turn an error of the model *name* on a *batch* into a `ModelError`."""
    try:
        yield
    except Exception as error:  # hundreds of model classes, each of which fails in its own way
        size = f"a step of {len(batch)} texts, the longest of {max(map(len, batch), default=0)} tokens"
        problem = f"fails in {size} ({first_line(error)}): give another model"
        if is_out_of_memory(error):
            problem = f"is out of memory in {size}, computed one text at a time: give shorter texts, or a smaller model"
        raise ModelError(f"model {name!r} {problem}") from error


def next_token_loss(model: Any, batch: Sequence[Tensor], device: torch.device) -> Tensor:
    """The mean cross-entropy of the tokens of a *batch* of texts, without the first token of each text."""
    logits, targets = predictions(model, batch, device)
    return cross_entropy(logits, targets, ignore_index=IGNORED)


def losses(model: Any, batch: Sequence[Tensor], device: torch.device, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """The mean that is minimised, and the mean next-token loss, which are equal without *label_smoothing*."""
    if not label_smoothing:
        loss = next_token_loss(model, batch, device)
        return loss, loss.detach()
    logits, targets = predictions(model, batch, device)
    smoothed = cross_entropy(logits, targets, ignore_index=IGNORED, label_smoothing=label_smoothing)
    return smoothed, cross_entropy(logits.detach(), targets, ignore_index=IGNORED)


def pad_with_targets(batch: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """The texts of *batch*, padded to the longest, and the token that follows each place; `IGNORED` where none does."""
    ids = torch.nn.utils.rnn.pad_sequence(list(batch), batch_first=True, padding_value=0).to(device)
    following = [torch.cat([each[1:], torch.tensor([IGNORED])]) for each in batch]
    return ids, torch.nn.utils.rnn.pad_sequence(following, batch_first=True, padding_value=IGNORED).to(device)


def predictions(model: Any, batch: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Logits in float32, a row for each place of the padded *batch*, and the token that follows each of them."""
    ids, targets = pad_with_targets(batch, device)
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return logits.flatten(0, 1).float(), targets.flatten().to(logits.device)
