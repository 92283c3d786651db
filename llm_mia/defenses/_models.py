"""The models that are compared: each is trained into its folder, and reads all passages once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..backends import ModelSpec
from ..passages import Passages
from ..signals import Progress, write_signals
from ..store import read_run
from ..training import Recipe, TrainingRecord
from ._columns import REFERENCE
from ._planning import PlannedDefense

__all__ = ["Workshop"]


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """A folder in which models are trained from the same base on the same texts; the same calls continue it."""

    path: Path
    base: ModelSpec
    recipe: Recipe
    """Of the training without defence."""
    texts: Sequence[str]
    """The members, and the canaries that are trained on."""
    sources: Sequence[Passages]
    """What every model reads: members, non-members and canaries."""
    window_tokens: int | None
    progress: Progress | None

    def folder(self, role: str) -> Path:
        """Of the model with this role."""
        return self.path / "models" / role

    def read_by_base(self) -> None:
        """Compute the signals of the base, which all models are compared with."""
        self._read(REFERENCE, self.base)

    def train(self, defense: PlannedDefense) -> TrainingRecord:
        """Train the model of *defense*, unless an earlier call has; and let it read all passages."""
        from ..training import train

        record = train(
            self.base,
            self.texts,
            self.folder(defense.role),
            defense.recipe(self.recipe),
            name=f"training {defense.role}",
            progress=self.progress,
        )
        self._read(defense.role, self._trained(defense.role))
        return record

    def read_at_temperature(self, defense: PlannedDefense) -> str:
        """Let the model of *defense* read all passages at the temperature of its outputs; returns the pass."""
        assert defense.output is not None
        temperature = defense.output.temperature
        name = f"{defense.role}-temperature-{temperature:g}".replace(".", "_")
        self._read(name, replace(self._trained(defense.role), temperature=temperature))
        return name

    def _trained(self, role: str) -> ModelSpec:
        # In the precision of the base, whatever 'auto' would choose: scores compare both.
        base = self.base.in_precision(read_run(self.path).passes[REFERENCE].model.dtype)
        return replace(base, name=self.folder(role), revision=None, pre_tokenizer=None)

    def _read(self, name: str, model: ModelSpec) -> None:
        write_signals(
            self.sources, {name: model}, out=self.path, window_tokens=self.window_tokens, progress=self.progress
        )
