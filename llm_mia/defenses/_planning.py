"""Which defences are compared: names of both kinds, training and outputs, in a single list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..settings import unknown_name
from ..training import Recipe, check_privacy
from ._output_defense import OUTPUT_DEFENSES, OutputDefense, parse_defense
from ._record import BASELINE
from ._training import TRAINING_DEFENSES, TrainingDefense, parse_training_defense

__all__ = ["PlannedDefense", "plan_defenses"]

ROLE_OF_BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class PlannedDefense:
    """A defence that is to be measured."""

    name: str
    """As the user named it; ``none``: without defence."""
    training: tuple[TrainingDefense, ...]
    """Those that change the training; empty: the model without defence serves."""
    output: OutputDefense | None
    """What changes the outputs; None: the whole distribution is shown."""

    @property
    def role(self) -> str:
        """Of its model: a folder under ``models/``, and the name of a pass; the same however the defence is typed."""
        spelled = "-".join(sorted(defense.canonical for defense in self.training))
        return re.sub(r"[^a-z0-9]+", "-", spelled.lower()).strip("-") or ROLE_OF_BASELINE

    @property
    def model(self) -> str:
        """The defences of its training, as the user named them; ``none`` where there are none."""
        return "+".join(defense.name for defense in self.training) or BASELINE

    @property
    def canonical(self) -> tuple[str, str]:
        """What is the same for two names of the same defence."""
        return self.role, "" if self.output is None else self.output.canonical

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe of its model; *recipe* is that without defence.

        Raises:
            UsageError: a defence changes nothing.
        """
        for defense in self.training:
            recipe = defense.changed(recipe)
        return recipe


def plan_defenses(named: Sequence[str], recipe: Recipe, texts: Sequence[str]) -> tuple[PlannedDefense, ...]:
    """The model without defence, then each of the defences *named*, checked before anything is trained.

    A name may combine defences: ``dp:epsilon=8+rounding:d=2``.

    Args:
        named: with settings, as ``dropout:p=0.2``.
        recipe: of the training without defence.
        texts: that are trained on.

    Raises:
        UsageError: a defence that is unknown, is named twice, or changes nothing in this training; a setting out of its
            range.
        MissingExtraError: DP-SGD is named, and Opacus is not installed.
    """
    planned = [PlannedDefense(BASELINE, (), None), *map(_parse, named)]
    _refuse_repeated(planned)
    for defense in planned:
        changed = defense.recipe(recipe)
        _check_privacy(defense.name, changed, len(texts))
        if changed.deduplicate and not recipe.deduplicate and len(set(texts)) == len(texts):
            raise UsageError(f"defence {defense.name!r}: no text of the members occurs twice: leave it out")
    return tuple(planned)


def _refuse_repeated(planned: Sequence[PlannedDefense]) -> None:
    first = dict[tuple[str, str], PlannedDefense]()
    for defense in planned:
        before = first.setdefault(defense.canonical, defense)
        if before is defense:
            continue
        if before is planned[0]:
            raise UsageError(f"defence {defense.name!r}: the model without defence is always measured: leave it out")
        if before.name == defense.name:
            raise UsageError(f"defence {before.name!r} is named twice: remove the second")
        raise UsageError(f"defences {before.name!r} and {defense.name!r} are the same: remove the second")


def _check_privacy(name: str, recipe: Recipe, texts: int) -> None:
    """Refuse DP-SGD that cannot be, in the words of a defence: ε and δ are settings of it, and no parameters."""
    if recipe.privacy is not None and recipe.early_stopping is not None:
        raise UsageError(
            f"defence {name!r}: early stopping looks at texts that DP-SGD does not protect: name the two separately"
        )
    try:
        check_privacy(recipe, texts)
    except UsageError as error:
        raise UsageError(f"defence {name!r}: " + re.sub("`(epsilon|delta)`", r"\1", str(error))) from None


def _parse(spec: str) -> PlannedDefense:
    parts = re.split(r"\+(?=[A-Za-z_])", spec.strip())
    training = [part for part in parts if _name(part) in TRAINING_DEFENSES]
    outputs = [part for part in parts if part not in training]
    for name in map(_name, outputs):
        if name not in OUTPUT_DEFENSES:
            raise UsageError(unknown_name("defence", name, (*TRAINING_DEFENSES, *OUTPUT_DEFENSES)))
    kinds = [_name(part) for part in training]
    if len(set(kinds)) < len(kinds):
        raise UsageError(f"defence {spec!r} names {max(kinds, key=kinds.count)!r} twice: remove the second")
    output = parse_defense("+".join(outputs)) if outputs else None
    return PlannedDefense(spec, tuple(map(parse_training_defense, training)), output)


def _name(part: str) -> str:
    return part.partition(":")[0]
