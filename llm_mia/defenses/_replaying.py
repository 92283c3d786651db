"""The signals of a run → scores of attacks on what a defence of the outputs shows, a part of the passages at a time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..attacks import Attack, Evidence, EvidenceKind, LoadedSupplies, PassageSignals
from ..records import Passage, TokenSignals
from ..scores import UNKNOWN, ScoreTable
from ..scoring import Documents
from ..signals import Inputs, PlannedPass
from ._client import Client
from ._completing import BOUNDED, INVERTED, JOINED, MATCHED, OMITTED, bounded, omitted
from ._output_defense import OutputDefense
from ._stored import StoredPasses

__all__ = ["Replaying", "column_of"]

Signals = Mapping[str, TokenSignals]
"""By name of the pass."""


def column_of(attack: str, variant: str) -> str:
    """The name of the column of *attack* where the attacker takes what is shown in the way *variant*.

    >>> column_of("loss", "bounded"), column_of("loss", "")
    ('loss (bounded)', 'loss')
    """
    return f"{attack} ({variant})" if variant else attack


@dataclass(frozen=True, slots=True)
class _Row:
    """A passage with its signals."""

    passage: Passage
    unmasked: Signals
    """Of all passes, at temperature 1."""
    shown: Signals
    """What the defence shows of the passes of the target."""
    matched: Signals
    """Of the passes of other models at the temperature of the defence, as far as the second run holds them."""
    texts: Mapping[str, tuple[str, ...]]
    """By name of the pass: continuations, which every defence of the outputs shows."""

    def seen(self, variant: str, names: Sequence[str]) -> dict[str, TokenSignals]:
        """What the attacker computes with, of the passes *names*."""
        steps = variant.split(JOINED)
        if INVERTED in steps:
            return {name: self.unmasked[name] for name in names}
        others = self.matched if MATCHED in steps else self.unmasked
        signals = {name: self.shown.get(name, others.get(name, self.unmasked[name])) for name in names}
        masked = [name for name in names if name in self.shown]
        if OMITTED in steps:
            return omitted(signals, masked)
        return {**signals, **{name: bounded(signals[name]) for name in masked if BOUNDED in steps}}

    def lost(self, seen: Signals) -> bool:
        """Whether every token of a pass is hidden."""
        return any(len(self.unmasked[name]) and not len(of_pass) for name, of_pass in seen.items())


@dataclass(frozen=True, slots=True)
class _Group:
    """Attacks that read the same passes."""

    attacks: list[Attack]
    kinds: list[EvidenceKind]
    """The evidence that differs between passages."""
    passes: Mapping[str, str]
    """By name of a pass: the name of its `ModelPass`."""

    def scores(
        self, row: _Row, variant: str, shared: Mapping[str, Evidence], supplies: LoadedSupplies
    ) -> dict[str, float]:
        """The score of each attack; −∞ where every token of a pass is hidden, because the model does not expect any."""
        seen = row.seen(variant, [name for name in self.passes if name not in row.texts])
        if row.lost(seen):
            return dict.fromkeys((attack.name for attack in self.attacks), -math.inf)
        texts = {self.passes[name]: written for name, written in row.texts.items() if name in self.passes}
        assembled = PassageSignals(row.passage, _by_declaration(seen, self.passes), texts)
        evidence = {**shared, **{kind.name: kind.value(assembled, supplies) for kind in self.kinds if kind.value}}
        return {attack.name: attack.score(evidence) for attack in self.attacks}


@dataclass(slots=True)
class Replaying:
    """A replay of the signals of a run under a defence."""

    first: StoredPasses
    """At temperature 1."""
    second: StoredPasses
    """At the temperature of the defence; `first` where that is 1."""
    inputs: Inputs
    defense: OutputDefense
    attacks: Sequence[Attack]
    """Those that can be computed on what the defence shows."""
    planned: Mapping[str, PlannedPass]
    """The passes that they read, by name."""
    supplies: LoadedSupplies
    reasons: Mapping[str, str]
    """By attack: why it has no score on what the defence shows."""
    client: Client
    """Counts what a benign client loses."""
    most: int | None = None
    """How many passages of the inputs are replayed, from the first; None: all."""

    @property
    def variants(self) -> tuple[str, ...]:
        """What the attacker may do with what is seen: `OutputDefense.variants`."""
        return self.defense.variants(matched=bool(self._matched()))

    def _matched(self) -> list[str]:
        """The passes of other models over the passages that are there at the temperature of the defence, too.

        Raises `UsageError` where a model there is another.
        """
        held = []
        for name, each in self.planned.items() if self.defense.needs_second_pass else ():
            if each.role == "target" or not self._of_passages(name) or not self.second.holds(each):
                continue
            if self.second.model(name).temperature == self.defense.temperature:
                self.first.refuse_other_model(self.second, name)
                held.append(name)
        return held

    def table(self) -> ScoreTable:
        """The scores: a column for each attack and variant."""
        groups, variants = self._groups(), self.variants or ("",)
        shared = {variant: self._shared(variant) for variant in variants}
        documents = Documents(self.inputs.check.repeated.tolist())
        ids, named, labels = list[str](), list[str](), list[int]()
        columns: dict[str, list[float]] = {column_of(a.name, v): [] for a in self.attacks for v in variants}
        for block in self._blocks(self.inputs, [name for name in self.planned if self._of_passages(name)]):
            rows = block if self.most is None else block[: max(0, self.most - len(ids))]
            passages = [row.passage for row in rows]
            ids += [passage.id for passage in passages]
            named += documents.of_next(passages)
            labels += [UNKNOWN if passage.label is None else passage.label for passage in passages]
            for row in rows:
                self.client.read(row.passage, row.unmasked["target"], row.shown["target"])
                for variant in variants:
                    for group in groups:
                        for attack, score in group.scores(row, variant, shared[variant], self.supplies).items():
                            columns[column_of(attack, variant)].append(score)
        scores: dict[str, NDArray[np.float64]] = {name: np.array(of_column) for name, of_column in columns.items()}
        name = f"{self.first.run.path} with {self.defense.name}"
        return ScoreTable(name, ids, named, np.array(labels, np.int8), scores, no_scores=self.reasons)

    def _of_passages(self, name: str) -> bool:
        return self.planned[name].inputs is self.inputs

    def _groups(self) -> list[_Group]:
        by_passes: dict[tuple[str, ...], list[Attack]] = {}
        for attack in self.attacks:
            declared = {each.name for kind in attack.kinds for each in kind.passes}
            names = (n for n, each in self.planned.items() if each.declaration in declared and self._of_passages(n))
            by_passes.setdefault(tuple(names), []).append(attack)
        return [
            _Group(
                attacks,
                list({kind.name: kind for attack in attacks for kind in attack.kinds if kind.value}.values()),
                {name: self.planned[name].declaration for name in names},
            )
            for names, attacks in by_passes.items()
        ]

    def _shared(self, variant: str) -> dict[str, Evidence]:
        """The evidence that is the same for all passages."""
        kinds = {kind.name: kind for attack in self.attacks for kind in attack.kinds if kind.shared}
        return {
            name: kind.shared(self.supplies, self._population(kind, variant))
            for name, kind in kinds.items()
            if kind.shared
        }

    def _population(self, kind: EvidenceKind, variant: str) -> Iterator[PassageSignals]:
        """The passages of a population with what is seen of their signals.

        Where every token of a passage is hidden, none can be omitted: the attacker takes the bounds.
        """
        declared = {each.name for each in kind.passes}
        passes = {
            name: each.declaration
            for name, each in self.planned.items()
            if each.declaration in declared and not self._of_passages(name)
        }
        if not passes:
            return
        for rows in self._blocks(self.planned[next(iter(passes))].inputs, list(passes)):
            for row in rows:
                seen = row.seen(variant, list(passes))
                if row.lost(seen):
                    seen = row.seen(variant.replace(OMITTED, BOUNDED), list(passes))
                yield PassageSignals(row.passage, _by_declaration(seen, passes))

    def _blocks(self, inputs: Inputs, names: Sequence[str]) -> Iterator[list[_Row]]:
        """The passages of *inputs*, some hundreds at a time, with the signals of the passes *names*."""
        written = [name for name in names if self.planned[name].samples is not None]
        names = [name for name in names if name not in written]
        masked = [name for name in names if self.planned[name].role == "target"]
        matched = [name for name in self._matched() if name in names]
        first = self.first.chunks(inputs, names)
        second = self.second.chunks(inputs, [*masked, *matched, *written])
        for (passages, chunks), (_, scaled) in zip(first, second, strict=True):
            yield [
                _Row(
                    passage,
                    {name: chunks[name].signals(row) for name in names},
                    {
                        name: self.defense.apply(scaled[name].signals(row), text_seed=_seed_of(name, passage))
                        for name in masked
                    },
                    {name: scaled[name].signals(row) for name in matched},
                    {name: scaled[name].texts(row) for name in written},
                )
                for row, passage in enumerate(passages)
            ]


def _by_declaration(seen: Signals, passes: Mapping[str, str]) -> dict[str, tuple[TokenSignals, ...]]:
    declared: dict[str, list[TokenSignals]] = {}
    for name, of_pass in seen.items():
        declared.setdefault(passes[name], []).append(of_pass)
    return {name: tuple(several) for name, several in declared.items()}


def _seed_of(name: str, passage: Passage) -> int:
    """A number that depends on the text that is sent: the passage in the version of the pass *name*."""
    return int.from_bytes(hashlib.sha256(f"{name}\0{passage.text}".encode()).digest()[:8])
