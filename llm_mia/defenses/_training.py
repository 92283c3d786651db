"""Defences that change how a model is trained: each is a function from a recipe to a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..settings import Numbers, unknown_name
from ..training import EarlyStopping, Privacy, Recipe
from ._settings import Given, Setting, canonical_name, settings_of

__all__ = ["TRAINING_DEFENSES", "TrainingDefense", "parse_training_defense"]

Change = Callable[[Recipe, Given], Recipe]
SHARE = Numbers(0, 1, above_low=True, below_high=True)
POSITIVE = Numbers(0, math.inf, above_low=True, below_high=True)


@dataclass(frozen=True, slots=True)
class TrainingDefense:
    """A change of the recipe by which a model is trained."""

    name: str
    """As the user named it, settings included: ``dp:epsilon=8``."""
    kind: str
    settings: Given
    """All settings with their values."""
    change: Change

    @property
    def canonical(self) -> str:
        """The same name for the same settings."""
        return canonical_name(self.kind, self.settings)

    def changed(self, recipe: Recipe) -> Recipe:
        """The recipe of the defended training.

        Raises:
            UsageError: the defence changes nothing in *recipe*, or is to lower the epochs and does not.
        """
        defended = self.change(recipe, self.settings)
        if defended == recipe:
            raise UsageError(
                f"defence {self.name!r} changes nothing: the training without defence has the same setting"
            )
        return defended


@dataclass(frozen=True, slots=True)
class _Kind:
    """A defence of the training before its settings have values."""

    change: Change
    settings: Mapping[str, Setting]


def _private(recipe: Recipe, given: Given) -> Recipe:
    delta = None if given["delta"] is None else float(given["delta"])
    return replace(recipe, privacy=Privacy(_number(given, "epsilon"), delta, _number(given, "clip")))


def _number(given: Given, name: str) -> float:
    value = given[name]
    assert value is not None, "it has a default"
    return float(value)


def _fewer_epochs(recipe: Recipe, given: Given) -> Recipe:
    epochs = int(_number(given, "n"))
    if epochs >= recipe.epochs:
        raise UsageError(
            f"defence 'epochs:n={epochs}' must train for fewer than the {recipe.epochs} `epochs` without it: lower n"
        )
    return replace(recipe, epochs=epochs)


TRAINING_DEFENSES: Mapping[str, _Kind] = {
    "dp": _Kind(
        _private,
        {
            "epsilon": Setting(8.0, POSITIVE),
            "delta": Setting(None, SHARE),
            "clip": Setting(1.0, POSITIVE),
        },
    ),
    "dropout": _Kind(
        lambda recipe, given: replace(recipe, dropout=_number(given, "p")),
        {"p": Setting(0.2, SHARE)},
    ),
    "weight_decay": _Kind(
        lambda recipe, given: replace(recipe, weight_decay=_number(given, "w")),
        {"w": Setting(0.1, POSITIVE)},
    ),
    "early_stopping": _Kind(
        lambda recipe, given: replace(
            recipe, early_stopping=EarlyStopping(_number(given, "share"), int(_number(given, "patience")))
        ),
        {"patience": Setting(1, Numbers(1, 1000, whole=True)), "share": Setting(0.1, SHARE)},
    ),
    "label_smoothing": _Kind(
        lambda recipe, given: replace(recipe, label_smoothing=_number(given, "a")),
        {"a": Setting(0.1, SHARE)},
    ),
    "epochs": _Kind(_fewer_epochs, {"n": Setting(1, Numbers(1, 10_000, whole=True))}),
    "deduplication": _Kind(
        lambda recipe, _: replace(recipe, deduplicate=True),
        {},
    ),
}
"""By name: the defences of the training."""


def parse_training_defense(spec: str) -> TrainingDefense:
    """The defence that *spec* names: ``dropout`` or ``dropout:p=0.2``.

    Raises:
        UsageError: no such defence, no such setting, or a value out of its range.

    >>> parse_training_defense("early_stopping:patience=2").settings
    {'patience': 2, 'share': 0.1}
    """
    name = spec.partition(":")[0]
    kind = TRAINING_DEFENSES.get(name)
    if kind is None:
        raise UsageError(unknown_name("defence", name, TRAINING_DEFENSES))
    return TrainingDefense(spec, name, settings_of(spec, kind.settings), kind.change)
