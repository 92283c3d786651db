"""How a model is trained, as data: two trainings with equal recipe, base and texts give the same model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from ..errors import UsageError

__all__ = ["EarlyStopping", "Method", "Privacy", "Recipe"]

LARGEST_SEED = (1 << 63) - 1
"""The largest that torch takes as a signed number."""


class Method(StrEnum):
    """Which weights are trained, and where they begin."""

    FULL = "full"
    """All weights of the base model."""
    LORA = "lora"
    """A low-rank adapter (PEFT) on the base model, whose weights stay as they are."""
    SCRATCH = "scratch"
    """All weights of a model of the base's architecture and tokenizer, from random weights drawn by the seed."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """DP-SGD: what it guarantees, and how gradients are clipped.

    The unit that is protected is a text: a document that gives several texts is not protected as a whole.
    """

    epsilon: float
    """The largest ε that the accountant may report at the end."""
    delta: float | None = None
    """δ of the guarantee; None: 1 / (10 · number of texts)."""
    clip: float = 1.0
    """Largest L2 norm of the gradient of a text."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a number that makes no sense."""
        _refuse("epsilon", self.epsilon, 0 < self.epsilon < math.inf, "above 0")
        _refuse("delta", self.delta, self.delta is None or 0 < self.delta < 1, "above 0 and below 1")
        _refuse("clip", self.clip, 0 < self.clip < math.inf, "above 0")


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """Training ends when the loss on texts that are set aside no longer falls; the best epoch's weights are kept."""

    share: float = 0.1
    """Share of the training texts that is set aside, where no validation texts are given."""
    patience: int = 1
    """How many epochs in a row may bring no lower loss."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a number that makes no sense."""
        _refuse("share", self.share, 0 < self.share < 1, "above 0 and below 1")
        _refuse("patience", self.patience, self.patience >= 1, "at least 1")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained, apart from its base and its texts."""

    method: Method = Method.LORA
    epochs: int = 3
    batch_size: int = 8
    learning_rate: float | None = None
    """Of AdamW; None: the usual value of the method, see `rate`."""
    lora_rank: int = 8
    weight_decay: float = 0.0
    """Of AdamW, on all weights that are trained."""
    dropout: float | None = None
    """Probability with which an activation is dropped, in every layer that can drop, and in the adapter of LoRA; None:
    as the base model is configured."""
    label_smoothing: float = 0.0
    early_stopping: EarlyStopping | None = None
    privacy: Privacy | None = None
    """None: ordinary training."""
    deduplicate: bool = False
    """Whether a text that occurs more than once is trained on once."""
    seed: int = 0
    """Draws the order of the texts, dropout, noise, and the weights where they begin at random."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a value that makes no sense."""
        if self.method not in [*Method]:
            raise UsageError(f"`method` is {self.method!r}: it must be full, lora or scratch")
        object.__setattr__(self, "method", Method(self.method))
        for name in ("epochs", "batch_size", "lora_rank"):
            _refuse(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        _refuse("learning_rate", self.learning_rate, 0 < self.rate < math.inf, "above 0, and finite")
        _refuse("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or above, and finite")
        _refuse("seed", self.seed, 0 <= self.seed <= LARGEST_SEED, f"from 0 to {LARGEST_SEED}")
        for name in ("dropout", "label_smoothing"):
            _refuse(name, getattr(self, name), 0 <= (getattr(self, name) or 0) < 1, "from 0 to below 1")

    @property
    def rate(self) -> float:
        """The learning rate that is used."""
        usual = {Method.FULL: 1e-4, Method.LORA: 1e-3, Method.SCRATCH: 1e-3}
        return usual[self.method] if self.learning_rate is None else self.learning_rate


def _refuse(name: str, value: float | None, valid: bool, allowed: str) -> None:
    if not valid:
        raise UsageError(f"`{name}` is {value}: it must be {allowed}")
