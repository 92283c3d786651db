"""Audits in memory, of texts whose scores are known: checks of the known set, threshold, flags, finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.decision import Flags, calibrate, flag
from llm_mia.records import Passage, Standing
from llm_mia.validity import KnownScores, KnownSet, RequestedRates

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Texts:
    """The passages of an audit. What the checks derive from texts alone is computed once, for all targets."""

    members: Sequence[Passage]
    nonmembers: Sequence[Passage]
    candidates: Sequence[Passage]
    fpr: float = 0.05

    @cached_property
    def labelled(self) -> list[Passage]:
        """All passages, in the order in which their scores are given."""
        sides = ((self.members, 1), (self.nonmembers, 0), (self.candidates, None))
        return [replace(passage, label=label) for side, label in sides for passage in side]

    @cached_property
    def known_set(self) -> KnownSet:
        """The known set, whose texts are checked in the first call of `validity` and not again."""
        rates = RequestedRates(self.fpr)
        return KnownSet(self.members, self.nonmembers, self.candidates, rates=rates)

    def known_scores(self, columns: Columns, **more: Any) -> KnownScores:
        """The columns as the checks of an audit take them."""
        first, last = len(self.members), len(self.members) + len(self.nonmembers)
        return KnownScores(
            {name: values[:first] for name, values in columns.items()},
            {name: values[first:last] for name, values in columns.items()},
            {name: values[last:] for name, values in columns.items()},
            **more,
        )


@dataclass(frozen=True, eq=False)
class Case:
    """An audit of *texts* by the scores of a target, and by those of other models."""

    texts: Texts
    scores: Columns
    """By attack, each in the order of `Texts.labelled`."""
    others: Mapping[str, Columns] = field(default_factory=dict)
    """By role."""
    language_models: bool = True
    """Whether the other models are language models; an n-gram model is none."""

    @cached_property
    def table(self) -> ScoreTable:
        """The scores as every stage takes them."""
        passages = self.texts.labelled
        table = ScoreTable.of(
            dict(self.scores),
            [passage.label for passage in passages],
            ids=[passage.id for passage in passages],
            documents=[passage.document for passage in passages],
            name="real scores",
        )
        return replace(table, others=self.others) if self.others else table

    @cached_property
    def standing(self) -> Standing | None:
        """Of the known set, by the checks of texts and scores that an audit makes."""
        about = {} if self.language_models else {"language_model": False}
        others = {role: self.texts.known_scores(columns, **about) for role, columns in self.others.items()}
        # An earlier version of the package knows no other models here.
        scores = self.texts.known_scores(self.scores, **({"others": others} if others else {}))
        return self.texts.known_set.validity(scores).standing

    def flags(self, attack: str, *, checked: bool) -> Flags:
        """The decisions on the candidates; the standing of the known set counts only if it is *checked*."""
        table = replace(self.table, standing=self.standing) if checked else self.table
        return flag(table, calibrate(table, attack, fpr=self.texts.fpr))


@dataclass(slots=True)
class Findings:
    """How often an attack ends in a finding, over cases of which only some known sets are checked, for their cost.

    The share of findings is that of p-values within the level, times the share of these that remain findings in the
    cases that were checked.
    """

    most_checks: int
    cases: int = 0
    improbable: int = 0
    """p-values within the level."""
    checked: int = 0
    """Of these, with a known set that was checked."""
    stated: int = 0
    """Of the checked ones, those that remain findings."""
    flagged: float = 0
    """Mean share of the candidates that are flagged, times `cases`."""

    def add(self, case: Case, attack: str) -> None:
        """Count a case."""
        flags = case.flags(attack, checked=False)
        self.cases += 1
        self.flagged += flags.flagged / len(flags.rows)
        if not flags.significant:
            return
        self.improbable += 1
        if self.checked < self.most_checks:
            self.checked += 1
            self.stated += case.flags(attack, checked=True).significant

    @property
    def share(self) -> float:
        """Of cases with a finding."""
        return self.improbable / self.cases * (self.stated / self.checked if self.checked else 0)

    @property
    def about(self) -> str:
        """What the share consists of."""
        realised = f"flags {100 * self.flagged / self.cases:.3g} % of the candidates"
        within = f"p within the level in {100 * self.improbable / self.cases:.3g} % of {self.cases} draws"
        return f"{realised}; {within}, of which {self.stated} of {self.checked} checked remain findings"
