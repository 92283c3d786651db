"""A training as a value: what is trained, on what, and where the model goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..backends import ModelSpec
from ..errors import ModelError
from ..signals import Progress
from ._recipe import Recipe
from ._record import TrainingRecord
from ._side_by_side import Ask
from ._train import train

__all__ = ["Training"]


@dataclass(frozen=True, slots=True)
class Training:
    """A model to train: the arguments of `train`, and the name of the model in messages."""

    base: ModelSpec
    texts: tuple[str, ...]
    out: Path
    recipe: Recipe
    name: str

    def run(self, progress: Progress | None) -> TrainingRecord:
        """Train the model by `train`, unless it is trained; a `ModelError` begins with the name."""
        try:
            return train(self.base, self.texts, self.out, self.recipe, name=f"training {self.name}", progress=progress)
        except ModelError as error:
            raise ModelError(f"{self.name}: {error}") from error

    @property
    def verb(self) -> str:
        """What a process does with the model."""
        return "trained"

    @property
    def passages(self) -> int:
        """The number of texts."""
        return len(self.texts)

    @property
    def bytes(self) -> int:
        """Of all texts."""
        return sum(len(text.encode()) for text in self.texts)

    def compute(self, report: Progress, ask: Ask) -> None:  # noqa: ARG002 - a training has no questions
        """Train the model in a process of `compute_side_by_side`."""
        self.run(report)
