"""The models that are compared: each is trained into its folder, and reads all passages once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..backends import ModelSpec
from ..errors import ModelError
from ..passages import Passages
from ..signals import DryRun, Estimated, Inputs, Progress, write_signals
from ..store import UnwrittenRun, read_run
from ..training import Recipe, TrainingRecord, explained_damage, refuse_damaged
from ._output_defense import OutputDefense
from ._planning import PlannedDefense
from ._rows import REFERENCE

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
    canaries: int
    """How many of these are canaries."""
    window_tokens: int | None
    progress: Progress | None

    def folder(self, role: str) -> Path:
        """Of the model with this role."""
        return self.path / "models" / role

    def estimated(self, dry: DryRun, planned: Sequence[PlannedDefense]) -> Estimated:
        """What ends a dry run: how long the trainings and the passes will take."""
        from ..training import Training, estimate_models

        texts = tuple(self.texts)
        trainings = {
            each.role: Training(self.base, texts, self.folder(each.role), each.recipe(self.recipe), each.role)
            for each in planned
        }
        scaled = [
            name
            for each in planned
            if each.output is not None and each.output.needs_second_pass
            for name in self._passes_at_temperature(each.role, each.output)
        ]
        passes = list(dict.fromkeys([REFERENCE, *trainings, *scaled]))
        run, inputs = UnwrittenRun(self.path), Inputs.of(self.sources)
        window, progress = self.window_tokens, self.progress
        return estimate_models(
            dry,
            self.base,
            [*trainings.values()],
            passes,
            inputs,
            run,
            canaries=self.canaries,
            window_tokens=window,
            progress=progress,
        )

    def read_by_base(self) -> None:
        """Compute the signals of the base, which all models are compared with."""
        self._read(REFERENCE, self.base)

    def train(self, defense: PlannedDefense) -> TrainingRecord:
        """Train the model of *defense*, unless an earlier call has; and let it read all passages."""
        from ..training import train

        refuse_damaged(self.folder(defense.role))
        try:
            record = train(
                self.base,
                self.texts,
                self.folder(defense.role),
                defense.recipe(self.recipe),
                name=f"training {defense.role}",
                progress=self.progress,
            )
        except ModelError as error:
            # Where a defence drops activations, it is not the parameter `dropout` that the user has to leave out.
            message = str(error).replace("`dropout`", "dropout") if defense.training else str(error)
            raise ModelError(f"defence {defense.name!r}: {message}") from error
        self._read(defense.role, self._trained(defense.role))
        return record

    def read_at_temperature(self, defense: PlannedDefense) -> str:
        """Let the model of *defense* read all passages at the temperature of its outputs; returns the pass.

        Where the temperature cannot be computed back from what is shown, the base reads them at the same temperature:
        an attacker has the base, and may compare like with like.
        """
        assert defense.output is not None
        temperature = defense.output.temperature
        name, *of_base = self._passes_at_temperature(defense.role, defense.output)
        self._read(name, replace(self._trained(defense.role), temperature=temperature))
        for each in of_base:
            self._read(each, replace(self._base(), temperature=temperature))
        return name

    def _passes_at_temperature(self, role: str, output: OutputDefense) -> list[str]:
        """The names of the passes at the temperature of *output*: that of the model, and that of the base, if any."""
        of_base = [] if output.inverts else [base_at_temperature(output.temperature)]
        return [_at_temperature(role, output.temperature), *of_base]

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
