"""The models that are compared: each is trained into its folder, and reads all passages once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..backends import ModelSpec
from ..passages import Passages
from ..signals import Progress, write_signals
from ..store import read_run
from ..training import Recipe, TrainingRecord, explained_damage, refuse_damaged
from ._columns import REFERENCE
from ._planning import PlannedDefense

__all__ = ["Workshop", "base_at_temperature"]


def base_at_temperature(temperature: float) -> str:
    """The name of the pass of the base at a *temperature*."""
    return _at_temperature("base", temperature)


def _at_temperature(role: str, temperature: float) -> str:
    return f"{role}-temperature-{temperature:g}".replace(".", "_")


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

        refuse_damaged(self.folder(defense.role))
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
        """Let the model of *defense* read all passages at the temperature of its outputs; returns the pass.

        Where the temperature cannot be computed back from what is shown, the base reads them at the same temperature:
        an attacker has the base, and may compare like with like.
        """
        assert defense.output is not None
        temperature = defense.output.temperature
        name = _at_temperature(defense.role, temperature)
        self._read(name, replace(self._trained(defense.role), temperature=temperature))
        if not defense.output.variants:
            self._read(base_at_temperature(temperature), replace(self._base(), temperature=temperature))
        return name

    def _base(self) -> ModelSpec:
        """The base in the precision in which it has read the passages, whatever 'auto' would choose now."""
        return self.base.in_precision(read_run(self.path).passes[REFERENCE].model.dtype)

    def _trained(self, role: str) -> ModelSpec:
        # In the precision of the base: scores compare both.
        return replace(self._base(), name=self.folder(role), revision=None, pre_tokenizer=None)

    def _read(self, name: str, model: ModelSpec) -> None:
        with explained_damage([] if model.name == self.base.name else [Path(model.name)]):
            write_signals(
                self.sources, {name: model}, out=self.path, window_tokens=self.window_tokens, progress=self.progress
            )
