"""Columns that are computed from signals: perplexities, and scores of the target and of other models."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..attacks import EVIDENCE, Attack, Evidence, EvidenceKind, LoadedSupplies, PassageSignals
from ..records import Passage, TokenSignals, text_sha256
from ..signals import Inputs, PlannedPass, passages_with_signals
from ..store import ALL_FIELDS, RunDirectory, StoredChunk
from ._others import OtherColumn
from ._score_columns import ScoreColumns

__all__ = ["PERPLEXITIES", "ComputedColumns", "scores_of"]

PERPLEXITIES = {"target_perplexity": "target", "reference_perplexity": "reference"}
"""Columns of perplexities, with the pass that each is of."""
Signals = Mapping[str, Sequence[TokenSignals]]
"""By name of the pass: the signals of each passage."""
Texts = Mapping[str, Sequence[tuple[str, ...]]]
"""By name of the pass: the continuations of each passage."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Columns that are computed from the same passes."""

    attacks: Mapping[str, Attack]
    """By name of the column."""
    kinds: Sequence[EvidenceKind]
    """The evidence that differs between passages."""
    passes: Mapping[str, str]
    """By name of a pass: the name of the `ModelPass` as which its signals are read."""
    trained_on: Collection[str] = ()
    """Digests of the texts that get no score, because the model was trained on them."""

    @classmethod
    def of(cls, attacks: Mapping[str, Attack], passes: Mapping[str, str], trained_on: Collection[str] = ()) -> _Group:
        """The columns of *attacks*, from those of *passes* that they read."""
        kinds = _kinds(attacks.values())
        declared = {each.name for kind in kinds for each in kind.passes}
        read = {name: declaration for name, declaration in passes.items() if declaration in declared}
        return cls(attacks, [kind for kind in kinds if kind.value], read, trained_on)

    def scores(
        self,
        passages: Sequence[Passage],
        signals: Signals,
        texts: Texts,
        shared: Mapping[str, Evidence],
        supplies: LoadedSupplies,
    ) -> dict[str, NDArray[np.float64]]:
        """Scores by name of the column, each of shape (passages,)."""
        read = {name: signals[name] for name in self.passes if name in signals}
        written = {name: texts[name] for name in self.passes if name in texts}
        rows = _assembled(passages, read, self.passes, written)
        evidence = [
            None
            if self._was_trained_on(row.passage)
            else {**shared, **{kind.name: _value(kind, row, supplies) for kind in self.kinds}}
            for row in rows
        ]
        return {
            name: np.array([math.nan if of_row is None else attack.score(of_row) for of_row in evidence])
            for name, attack in self.attacks.items()
        }

    def _was_trained_on(self, passage: Passage) -> bool:
        return bool(self.trained_on) and text_sha256(passage.text) in self.trained_on


@dataclass(frozen=True, slots=True)
class ComputedColumns:
    """Columns that are computed from signals."""

    groups: Sequence[_Group]
    shared: Mapping[str, Evidence]
    """The evidence that is the same for all passages."""
    supplies: LoadedSupplies

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        inputs: Inputs,
        planned: Sequence[PlannedPass],
        columns: ScoreColumns,
        supplies: LoadedSupplies,
        trained_on: Mapping[str, Collection[str]],
    ) -> ComputedColumns:
        """The new columns among *columns*, with their shared evidence, for which populations are read.

        *trained_on* holds, by role of another model, digests of the texts that the model was trained on.
        """
        kinds = _kinds([*columns.new, *(column.attack for column in columns.new_others)])
        elsewhere = [each for each in planned if each.inputs is not inputs]
        shared = {
            kind.name: kind.shared(supplies, _rows(run, _passes_of(kind, elsewhere), kind.reads))
            for kind in kinds
            if kind.shared
        }
        passes = {each.name: each.declaration for each in planned if each.inputs is inputs}
        groups = [_Group.of({attack.name: attack for attack in columns.new}, passes)] if columns.new else []
        by_model: dict[tuple[str, str], list[OtherColumn]] = {}
        for column in columns.new_others:
            by_model.setdefault((column.role, column.replaces), []).append(column)
        for (role, replaces), of_model in by_model.items():
            read = {name: declaration for name, declaration in passes.items() if declaration != replaces}
            attacks = {column.name: column.attack for column in of_model}
            groups.append(_Group.of(attacks, {**read, role: replaces}, trained_on.get(role, ())))
        return cls(groups, shared, supplies)

    @property
    def passes(self) -> list[str]:
        """The names of the passes that are read."""
        return list(dict.fromkeys(name for group in self.groups for name in group.passes))

    @property
    def reads(self) -> dict[str, frozenset[str]]:
        """By pass: the arrays of `TokenSignals` that are read, or ``continuations``."""
        read = {name: frozenset[str]() for name in self.passes}
        for group in self.groups:
            for name, declaration in group.passes.items():
                read[name] = read[name].union(*(attack.reads(declaration) for attack in group.attacks.values()))
        for name in self.perplexities:
            read[PERPLEXITIES[name]] |= {"logprob"}
        return read

    @property
    def perplexities(self) -> list[str]:
        """The columns of perplexities."""
        passes = self.passes
        return [name for name, of_pass in PERPLEXITIES.items() if of_pass in passes]

    def values(self, passages: Sequence[Passage], chunks: Mapping[str, StoredChunk]) -> dict[str, NDArray[np.float64]]:
        """Perplexities and scores by name of the column, each of shape (passages,)."""
        signals: dict[str, list[TokenSignals]] = {}
        texts: dict[str, list[tuple[str, ...]]] = {}
        for name, chunk in chunks.items():
            if chunk.holds_texts:
                texts[name] = [chunk.texts(row) for row in range(len(chunk))]
            else:
                signals[name] = [chunk.signals(row) for row in range(len(chunk))]
        values = {name: _perplexity(signals[PERPLEXITIES[name]]) for name in self.perplexities}
        for group in self.groups:
            values |= group.scores(passages, signals, texts, self.shared, self.supplies)
        return values


def scores_of(
    attacks: Sequence[Attack], passages: Sequence[Passage], signals: Signals
) -> dict[str, NDArray[np.float64]]:
    """Scores by name of the attack, each of shape (passages,).

    Args:
        attacks: that take nothing but passages and their signals.
        passages: that are scored.
        signals: by role of the model, each of every passage.
    """
    declared = [declared for attack in attacks for kind in attack.kinds for declared in kind.passes]
    passes = {role: each.name for role in signals for each in declared if each.matches(role)}
    group = _Group.of({attack.name: attack for attack in attacks}, passes)
    return group.scores(passages, signals, {}, {}, LoadedSupplies(roles=tuple(signals)))


def _kinds(attacks: Collection[Attack]) -> list[EvidenceKind]:
    """The kinds of evidence that *attacks* take, in the order of `EVIDENCE`."""
    used = {name for attack in attacks for name in attack.evidence}
    return [kind for name, kind in EVIDENCE.items() if name in used]


def _value(kind: EvidenceKind, row: PassageSignals, supplies: LoadedSupplies) -> Evidence:
    assert kind.value is not None
    return kind.value(row, supplies)


def _passes_of(kind: EvidenceKind, planned: Sequence[PlannedPass]) -> list[PlannedPass]:
    declared = {each.name for each in kind.passes}
    return [each for each in planned if each.declaration in declared]


def _rows(run: RunDirectory, planned: Sequence[PlannedPass], fields: Collection[str]) -> Iterator[PassageSignals]:
    """The passages over which *planned* go, with their signals; none where no pass is planned."""
    if not planned:
        return
    passes = {each.name: each.declaration for each in planned}
    reads = dict.fromkeys(passes, fields or ALL_FIELDS)
    for passages, chunks in passages_with_signals(run, planned[0].inputs, list(passes), reads):
        signals = {name: [chunk.signals(row) for row in range(len(chunk))] for name, chunk in chunks.items()}
        yield from _assembled(passages, signals, passes, {})


def _assembled(
    passages: Sequence[Passage], signals: Signals, passes: Mapping[str, str], texts: Texts
) -> Iterator[PassageSignals]:
    """Each passage with its signals and texts by `ModelPass.name`; *signals*, *passes* and *texts* are by pass."""
    declared: dict[str, list[Sequence[TokenSignals]]] = {}
    for name, of_pass in signals.items():
        declared.setdefault(passes[name], []).append(of_pass)
    for at, passage in enumerate(passages):
        yield PassageSignals(
            passage,
            {name: tuple(of_pass[at] for of_pass in several) for name, several in declared.items()},
            {passes[name]: of_pass[at] for name, of_pass in texts.items()},
        )


def _perplexity(signals: Sequence[TokenSignals]) -> NDArray[np.float64]:
    """Exponential of the mean negative log-likelihood of the tokens; NaN where none was scored."""
    means = np.array([each.logprob.mean(dtype=np.float64) if len(each) else np.nan for each in signals])
    with np.errstate(over="ignore"):
        perplexities: NDArray[np.float64] = np.exp(-means)
    return perplexities
