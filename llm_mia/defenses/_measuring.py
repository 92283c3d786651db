"""From the signals of all models to the rows of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..calibration import nonmembers_needed
from ..records import Note
from ..signals import Inputs
from ..store import UnwrittenRun, read_run
from ..training import TrainingRecord
from ._canaries import Canaries, EmpiricalEpsilon, empirical_epsilon
from ._client import Client
from ._columns import (
    REFERENCE,
    Columns,
    Row,
    attack_scores,
    extractable_passages,
    possible_attacks,
    shown_scores,
    signals_rows,
    token_sums,
)
from ._leakage import Measuring
from ._models import base_at_temperature
from ._output_defense import OutputDefense
from ._perplexity import perplexity, perplexity_ratio
from ._planning import PlannedDefense
from ._record import Defended, DefenseNote, Defenses, Leakage, Plan, Utility
from ._split import PoolSplit

__all__ = ["Measured", "measure"]

FIXED = "reference"
"""The attack that is shown for every defence, whatever is strongest."""
GAP = "confidence"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What figures are computed from: signals of every model on every passage, and who was trained on."""

    path: Path
    inputs: Inputs
    """The pool, then the canaries."""
    split: PoolSplit
    canaries: Canaries | None
    fprs: tuple[float, ...]
    stretch: int
    probability: float

    @property
    def held_out_documents(self) -> list[str]:
        """The document of each held-out passage."""
        return [self.split.documents[row] for row in np.flatnonzero(self.split.labels == 0)]

    def of_pool(self, columns: Columns) -> Columns:
        """The *columns* without the canaries."""
        return {name: scores[: self.count] for name, scores in columns.items()}

    @property
    def count(self) -> int:
        """Passages of the pool."""
        return len(self.split.passages)

    def rows(self, name: str, base: str = REFERENCE) -> Iterator[Row]:
        """All passages with their signals in the pass *name*, and in the pass *base* of the base model."""
        return signals_rows(UnwrittenRun(self.path), self.inputs, name, base)  # several passes are read at once

    def matched_rows(self, name: str, defense: OutputDefense) -> Iterator[Row] | None:
        """The rows of the pass *name* with the base at the same temperature; None where the attacker needs no such."""
        if not defense.needs_second_pass or defense.variants:
            return None
        return self.rows(name, base_at_temperature(defense.temperature))

    def scores(self, name: str) -> Columns:
        """The scores of all passages and canaries by every attack, from the pass *name*."""
        return attack_scores(self.rows(name), possible_attacks())

    def sums(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Log-likelihoods and lengths of the held-out passages; see `token_sums`."""
        logs, tokens = token_sums(self.rows(name))
        held_out = np.flatnonzero(self.split.labels == 0)
        return logs[held_out], tokens[held_out]

    def extractable(self, name: str) -> NDArray[np.float64]:
        """See `extractable_passages`; of the pool."""
        of_pass = read_run(self.path).passes[name]
        opening = len(of_pass.model.opening)
        extractable = extractable_passages(
            self.rows(name), of_pass.window, opening, stretch=self.stretch, probability=self.probability
        )
        return extractable[: self.count]

    def shown_epsilon(self, columns: Columns, delta: float | None) -> EmpiricalEpsilon | None:
        """The ε that the canaries show at least; None without canaries."""
        if self.canaries is None:
            return None
        scores = columns[FIXED][self.count :]
        inside = len(self.canaries.inside)
        # Without DP-SGD nothing states a δ: 0 is the strictest.
        return empirical_epsilon(self.canaries, scores[:inside], scores[inside:], delta=delta or 0.0)


def measure(
    measured: Measured,
    plan: Plan,
    planned: Sequence[PlannedDefense],
    passes: Sequence[str],
    records: Mapping[str, TrainingRecord],
) -> Defenses:
    """The table of all *planned* defences, whose signals are in *passes*; *records* are by role of the model."""
    roles = list(dict.fromkeys(defense.role for defense in planned))
    columns = {role: measured.scores(role) for role in roles}
    names, undefended = list(columns[roles[0]]), roles[0]
    measuring = Measuring(measured.split, measured.fprs, measured.of_pool(columns[undefended]))
    models = {role: _model_row(measured, measuring, role, records[role], columns[role], undefended) for role in roles}
    rows = tuple(
        _with_outputs(measured, measuring, models[defense.role], defense, name, names)
        if defense.output is not None
        else replace(models[defense.role], name=defense.name)
        for defense, name in zip(planned, passes, strict=True)
    )
    split = measured.split
    return Defenses(
        path=measured.path,
        plan=plan,
        passages=measured.count,
        documents=split.document_count,
        members=int((split.labels == 1).sum()),
        nonmembers=int((split.labels == 0).sum()),
        choosing=len({name for name, chosen in zip(split.documents, split.choosing, strict=True) if chosen}),
        stretch=measured.stretch,
        probability=measured.probability,
        rows=(_without_change(rows[0]), *rows[1:]),
        notes=tuple(_notes(measured, rows)),
    )


def _model_row(
    measured: Measured, measuring: Measuring, role: str, record: TrainingRecord, columns: Columns, undefended: str
) -> Defended:
    """The row of a model whose outputs are shown whole."""
    of_pool = measured.of_pool(columns)
    logs, tokens, documents = *measured.sums(role), measured.held_out_documents
    others, _ = measured.sums(undefended)
    return Defended(
        name="",
        role=role,
        trained=role != undefended,
        outputs=False,
        leakage=_strongest(measuring, of_pool),
        fixed=measuring.leakage(of_pool, FIXED, FIXED),
        attacks=measuring.attacks(list(of_pool), of_pool),
        utility=Utility(perplexity(logs, tokens, documents), perplexity_ratio(logs, others, tokens, documents)),
        seconds=record.seconds,
        gap=measuring.gap(of_pool[GAP]),
        extractable=measuring.share_of_members(measured.extractable(role)),
        epsilon=record.epsilon,
        delta=record.delta,
        shown=measured.shown_epsilon(columns, record.delta),
        training=record,
    )


def _with_outputs(
    measured: Measured, measuring: Measuring, model: Defended, defense: PlannedDefense, name: str, names: Sequence[str]
) -> Defended:
    """The row of *model* whose outputs are defended; *name* is that of the pass of its signals."""
    assert defense.output is not None
    client = Client(defense.output.hides)
    rows, first = (islice(measured.rows(each), measured.count) for each in (name, defense.role))  # no canaries
    matched = measured.matched_rows(name, defense.output)
    by_variant = shown_scores(rows, first, possible_attacks(), defense.output, client, matched)
    columns, ways = measuring.best_ways({way: measured.of_pool(each) for way, each in by_variant.items()})
    return replace(
        model,
        name=defense.name,
        outputs=True,
        leakage=_strongest(measuring, columns),
        fixed=measuring.leakage(columns, FIXED, FIXED) if FIXED in columns else None,
        attacks=measuring.attacks(names, columns, ways),
        gap=measuring.gap(columns[GAP]) if GAP in columns else None,
        shown=None,
        client=client.utility(),
    )


def _strongest(measuring: Measuring, columns: Columns) -> Leakage | None:
    """What the strongest attack on *columns* achieves, compared with the strongest without defence."""
    attack, baseline = measuring.strongest(columns), measuring.strongest(measuring.undefended)
    return None if attack is None or baseline is None else measuring.leakage(columns, attack, baseline)


def _without_change(row: Defended) -> Defended:
    """The *row* of the model without defence, which is compared with nothing."""
    leakage, fixed = (None if each is None else replace(each, change=None) for each in (row.leakage, row.fixed))
    return replace(row, leakage=leakage, fixed=fixed)


def _notes(measured: Measured, rows: Sequence[Defended]) -> Iterator[Note]:
    split = measured.split
    joined = len({passage.document for passage in split.passages}) - split.document_count
    if joined:
        yield Note(DefenseNote.SHARED_TEXTS, {"joined": joined, "documents": split.document_count + joined})
    nonmembers = int((~split.choosing & (split.labels == 0)).sum())
    for rate in measured.fprs:
        if nonmembers < (needed := nonmembers_needed(rate)):
            figures = {"nonmembers": nonmembers, "rate": rate, "needed": needed}
            yield Note(DefenseNote.FEW_NONMEMBERS, figures)
    if rows[0].extractable is None:
        yield Note(DefenseNote.SHORT_MEMBERS, {"stretch": measured.stretch})
    shown = rows[0].shown
    if shown is not None:
        yield Note(DefenseNote.CANARIES, {"canaries": shown.canaries, "highest": shown.highest})
    for row in rows:
        record = row.training
        if record is not None and record.best_epoch is not None and not row.outputs:
            epochs = {"epoch": record.best_epoch, "epochs": record.recipe.epochs}
            yield Note(DefenseNote.EPOCHS_RUN, {"defence": row.name, **epochs})
    members = [passage for passage in split.passages if passage.label == 1]
    documents = len({passage.document for passage in members})
    if any(row.epsilon is not None for row in rows) and len(members) > documents:
        yield Note(DefenseNote.PASSAGE_PRIVACY, {"passages": round(len(members) / documents, 1)})
