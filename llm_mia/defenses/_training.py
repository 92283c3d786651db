"""Defences that change how a model is trained: each is a function from a recipe to a recipe."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..training import EarlyStopping, Privacy, Recipe

__all__ = ["TRAINING_DEFENSES", "TrainingDefense", "parse_training_defense", "unknown_defense"]

Value = float | int | None
Change = Callable[[Recipe, Mapping[str, Value]], Recipe]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a defence: its default, and what it may be."""

    default: Value
    """None: the training chooses."""
    low: float
    """Excluded."""
    high: float
    """Excluded, but for whole numbers."""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TrainingDefense:
    """A change of the recipe by which a model is trained."""

    name: str
    """As the user named it, settings included: ``dp:epsilon=8``."""
    settings: Mapping[str, Value]
    """All settings with their values."""
    change: Change

    def changed(self, recipe: Recipe) -> Recipe:
        """The recipe of the defended training.

        Raises:
            UsageError: the defence changes nothing in *recipe*, or is no defence in its place.
        """
        defended = self.change(recipe, self.settings)
        if defended == recipe:
            raise UsageError(f"defence {self.name!r} changes nothing: the training without defence has it already")
        return defended


@dataclass(frozen=True, slots=True)
class _Kind:
    """A defence of the training before its settings have values."""

    description: str
    change: Change
    settings: Mapping[str, Setting]


def _private(recipe: Recipe, given: Mapping[str, Value]) -> Recipe:
    epsilon, delta, clip = given["epsilon"], given["delta"], given["clip"]
    assert epsilon is not None
    assert clip is not None
    return replace(recipe, privacy=Privacy(float(epsilon), None if delta is None else float(delta), float(clip)))


def _fewer_epochs(recipe: Recipe, given: Mapping[str, Value]) -> Recipe:
    epochs = int(given["n"] or 0)
    if epochs >= recipe.epochs:
        raise UsageError(
            f"defence 'epochs:n={epochs}' is to train less than the {recipe.epochs} `epochs` without defence: lower n"
        )
    return replace(recipe, epochs=epochs)


TRAINING_DEFENSES: Mapping[str, _Kind] = {
    "dp": _Kind(
        "DP-SGD: gradients are clipped and get noise, so that no text changes the model by more than ε allows",
        _private,
        {
            "epsilon": Setting(8.0, 0.0, math.inf),
            "delta": Setting(None, 0.0, 1.0),
            "clip": Setting(1.0, 0.0, math.inf),
        },
    ),
    "dropout": _Kind(
        "activations are dropped at random while the model is trained",
        lambda recipe, given: replace(recipe, dropout=given["p"]),
        {"p": Setting(0.2, 0.0, 1.0)},
    ),
    "weight_decay": _Kind(
        "weights are pulled towards zero",
        lambda recipe, given: replace(recipe, weight_decay=float(given["w"] or 0)),
        {"w": Setting(0.1, 0.0, math.inf)},
    ),
    "early_stopping": _Kind(
        "training ends when the loss on texts that are set aside no longer falls",
        lambda recipe, given: replace(
            recipe, early_stopping=EarlyStopping(float(given["share"] or 0), int(given["patience"] or 0))
        ),
        {"patience": Setting(1, 1, 1000, whole=True), "share": Setting(0.1, 0.0, 1.0)},
    ),
    "label_smoothing": _Kind(
        "a share of the probability of each token is spread over all tokens, so that the model is less confident",
        lambda recipe, given: replace(recipe, label_smoothing=float(given["a"] or 0)),
        {"a": Setting(0.1, 0.0, 1.0)},
    ),
    "epochs": _Kind("each text is read less often", _fewer_epochs, {"n": Setting(1, 1, 10_000, whole=True)}),
    "deduplication": _Kind(
        "a text that occurs more than once is trained on once",
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
    name, colon, settings = spec.partition(":")
    kind = TRAINING_DEFENSES.get(name)
    if kind is None:
        raise unknown_defense(name, TRAINING_DEFENSES)
    given: dict[str, Value] = {}
    for setting in settings.split(",") if colon else ():
        key, _, value = setting.partition("=")
        if key not in kind.settings:
            known = ", ".join(kind.settings) or "none"
            raise UsageError(f"defence {name!r} has no setting {key!r}; it has: {known}")
        if key in given:
            raise UsageError(f"defence {name!r}: setting {key!r} is given twice")
        given[key] = _number(name, key, value, kind.settings[key])
    defaults = {key: setting.default for key, setting in kind.settings.items()}
    return TrainingDefense(spec, {**defaults, **given}, kind.change)


def unknown_defense(name: str, known: Collection[str]) -> UsageError:
    """The error for a *name* that no defence has, with the nearest of the *known* names."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return UsageError(f"no defence is named {name!r}: {hint}")


def _number(name: str, key: str, value: str, setting: Setting) -> float | int:
    try:
        number: float | int = int(value) if setting.whole else float(value)
    except ValueError:
        kind = "a whole number" if setting.whole else "a number"
        raise UsageError(f"defence {name!r}: {key}={value} is not {kind}") from None
    if setting.whole:
        if not setting.low <= number <= setting.high:
            raise UsageError(
                f"defence {name!r}: {key}={value} is out of range; it must be {setting.low:g} to {setting.high:g}"
            )
    elif not setting.low < number < setting.high:
        bound = "" if math.isinf(setting.high) else f" and below {setting.high:g}"
        raise UsageError(f"defence {name!r}: {key}={value} is out of range; it must be above {setting.low:g}{bound}")
    return number
