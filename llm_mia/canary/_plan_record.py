"""What a plan of canaries is made of: the settings of its pilots, what each measured, and ``plan.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from ..errors import RunDirectoryError
from ..records import Interval
from ..store import read_record
from ..training import Recipe
from ._manifest import CanaryKind

__all__ = [
    "PILOTS",
    "PLAN",
    "SHOWN_TIMES",
    "CanaryDesign",
    "CanaryPlan",
    "Pilot",
    "PilotDocument",
    "PilotSettings",
    "PilotTexts",
    "PlannedPower",
    "RepeatsEffect",
    "read_plan",
]

PLAN, PILOTS = "plan.json", "pilots"
SHOWN_TIMES = (0.5, 1.0, 2.0, 4.0)
"""Of the documents of the design."""


class PilotTexts(StrEnum):
    """Where the documents of pilots come from."""

    PACKAGE = "package"
    """They are passages of Python's language reference, which comes with Python."""
    TEXTS = "texts"
    """The user supplied them."""
    CANARIES = "canaries"
    """They are the sealed variants of a folder of canaries."""


@dataclass(frozen=True, slots=True)
class PilotSettings:
    """All that decides what a pilot measures, apart from its number."""

    texts: PilotTexts
    texts_sha256: str
    """Digest of the texts, or of the variants."""
    kind: CanaryKind
    """How the variants of a document differ."""
    variants: int
    """Of a document; where documents have unequal numbers, the most."""
    model: str
    """The model that is trained, as the user named it."""
    model_sha256: str | None
    """Digest of its files; None where they were not on this machine yet."""
    repeats: tuple[int, ...]
    """How often public variants are among the trained texts: each number for another part of the documents."""
    documents: int
    """Of each of these numbers, in a pilot."""
    others: int
    """Other texts that are trained on, once."""
    recipe: Recipe
    """How the model is trained; its seed is that of the plan, and each pilot has another."""
    window_tokens: int | None = None
    """Longest input fed to a model while variants are scored; None: its context, and at most 2,048."""


@dataclass(frozen=True, slots=True)
class PilotDocument:
    """The variants of a document of a pilot: numbers alone."""

    repeats: int
    """How often its public variant is among the trained texts."""
    public: int
    """Which variant is public, from 0."""
    scores: Mapping[str, tuple[float, ...]]
    """By attack, those of its variants."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a pilot measured: a training, and the scores of all variants by the trained model."""

    number: int
    """From 1."""
    documents: tuple[PilotDocument, ...]
    unused: int
    """Documents that were trained on, and of which a variant has no score."""
    published: int
    """How many of the trained texts are public variants."""
    trained: int
    """All trained texts."""
    tokens: int
    """Of all trained texts."""
    cut: int
    """How many of the trained texts are longer than the model's context, where they were cut."""
    loss: float
    """Mean loss of the training, nats per token."""
    seconds: float
    """Time that training and scoring took, without what a stop has lost."""
    dtype: str
    """Precision in which the variants were scored."""


@dataclass(frozen=True, slots=True)
class CanaryDesign:
    """What is planned: canaries that are to be published, and the test of them."""

    documents: int
    variants: int
    repeats: int
    """How often a model sees each public variant."""
    level: float
    """The p-value that the test is to reach."""
    goal: float
    """The power that is wanted."""


@dataclass(frozen=True, slots=True)
class RepeatsEffect:
    """The effect that pilots measured at a number of repeats, by an attack."""

    attack: str
    repeats: int
    documents: int
    """Of all pilots together."""
    effect: Interval
    """The mean over documents of (score of the public variant − mean of the sealed) ÷ spread of all variants, with a
    95 % interval over pilots and their documents."""
    needed: Interval
    """The fewest documents that reach the wanted power; infinite where none do."""


@dataclass(frozen=True, slots=True)
class PlannedPower:
    """The power of a number of documents."""

    attack: str
    repeats: int
    documents: int
    power: Interval
    """The probability that the test reaches the level, at the effect of the pilots and at the ends of its interval."""


@dataclass(frozen=True, slots=True)
class CanaryPlan:
    """The result of `plan_canaries`; `read_plan` returns an equal record."""

    path: Path = field(compare=False)
    """The folder."""
    design: CanaryDesign
    settings: PilotSettings
    pilots: int
    """How many models were trained."""
    effects: tuple[RepeatsEffect, ...]
    """Of each attack and number of repeats; the attack that decides first."""
    powers: tuple[PlannedPower, ...]
    """Of the attack that decides: of each number of repeats and some numbers of documents."""
    without_reference: PlannedPower
    """The power of the design by ``loss``, which needs no reference model."""
    published_share: float
    """Share of the trained texts of the pilots that are public variants."""
    trained: int
    """Texts that a model was trained on, of the last pilot."""
    unused: int
    """Documents of the pilots that have no effect, because a variant has no score."""
    cut: int
    """Trained texts of all pilots that are longer than the model's context, where they were cut."""
    seconds: float
    """Time that all pilots took."""
    notes: tuple[str, ...] = ()
    """What a reader ought to know about the texts of the pilots."""

    @property
    def power(self) -> Interval:
        """Of the design."""
        return self.power_of(self.design.repeats, self.design.documents)

    @property
    def needed(self) -> Interval:
        """The documents that reach the wanted power at the repeats of the design."""
        return next(each.needed for each in self.effects if each.repeats == self.design.repeats)

    def power_of(self, repeats: int, documents: int) -> Interval:
        """Of a number of repeats and of documents that `powers` holds."""
        return next(each.power for each in self.powers if (each.repeats, each.documents) == (repeats, documents))

    @property
    def shown(self) -> tuple[int, ...]:
        """The numbers of documents that a table has a column for: half of the design, the design, twice, four times."""
        numbers = {each.documents for each in self.powers}
        wanted = {round(times * self.design.documents) for times in SHOWN_TIMES}
        return tuple(sorted(numbers & wanted))

    @property
    def enough(self) -> bool:
        """Whether the design has the wanted power at the measured effect."""
        return self.power.value >= self.design.goal

    @property
    def surely_enough(self) -> bool:
        """Whether it has that also at the lower end of the interval."""
        return self.power.low >= self.design.goal

    @property
    def any_number(self) -> bool:
        """Whether some number of documents reaches the wanted power at the measured effect."""
        return math.isfinite(self.needed.value)


def read_plan(path: str | Path) -> CanaryPlan:
    """The plan in the folder *path*, equal to what `plan_canaries` returned.

    Raises:
        RunDirectoryError: no ``plan.json`` there, or not what `plan_canaries` wrote.
    """
    path = Path(path)
    plan = read_record(CanaryPlan, path / PLAN, RunDirectoryError, "run the same command again")
    return replace(plan, path=path)
