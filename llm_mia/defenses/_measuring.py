"""From the signals of all models to the rows of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..calibration import nonmembers_needed
from ..records import Note
from ..scores import ScoreTable
from ..signals import Inputs
from ..store import UnwrittenRun, read_run
from ..training import TrainingRecord
from ._canaries import Canaries, EmpiricalEpsilon, empirical_epsilon
from ._judging import judge
from ._leakage import Columns, Measuring, compare_with_lowest, mark_lower
from ._models import base_at_temperature
from ._output_defense import OutputDefense, parse_defense
from ._perplexity import perplexity, perplexity_ratio
from ._planning import PlannedDefense
from ._record import BASELINE, Defended, DefenseNote, Defenses, Leakage, MeasuredAttack, Plan, Utility
from ._replay_plan import TARGET, plan_replay
from ._replaying import Replaying, column_of
from ._results import OutputUtility
from ._rows import REFERENCE, SUPPLIES, Row, extractable_passages, possible_attacks, signals_rows, token_sums
from ._split import PoolSplit
from ._stored import StoredPasses

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

    @property
    def count(self) -> int:
        """Passages of the pool."""
        return len(self.split.passages)

    def rows(self, name: str) -> Iterator[Row]:
        """All passages with their signals in the pass *name*, and in that of the base model."""
        return signals_rows(UnwrittenRun(self.path), self.inputs, name)

    def seen(self, role: str, output: OutputDefense, name: str = "", *, most: int | None = None) -> Seen:
        """What attacks have of the model with this *role* where *output* masks what it shows.

        Args:
            role: also the name of the pass at temperature 1.
            output: what is shown.
            name: of the pass at the temperature of *output*; empty: *role*.
            most: how many passages are read, from the first; None: the canaries, too.
        """
        run, base = UnwrittenRun(self.path), base_at_temperature(output.temperature)
        first = StoredPasses(run, {TARGET: role, REFERENCE: REFERENCE})
        second = StoredPasses(run, {TARGET: name, REFERENCE: base}) if output.needs_second_pass else first
        replaying = plan_replay(possible_attacks(), SUPPLIES, output, self.inputs, first, second, most=most)
        return Seen.of(replaying, self.split, [attack.name for attack in possible_attacks()])

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


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What attacks make of the outputs of a model."""

    columns: Columns
    """The scores, each in the way that is best for the attacker on the half that chooses."""
    attacks: tuple[MeasuredAttack, ...]
    client: OutputUtility

    @classmethod
    def of(cls, replaying: Replaying, split: PoolSplit, names: Sequence[str]) -> Seen:
        """What the attacks *names* make of a replay."""
        whole = replaying.table()
        pool = len(split.passages)
        scores = {name: of_all[:pool] for name, of_all in whole.columns.items()}
        table = ScoreTable(
            whole.name, whole.ids[:pool], split.documents, split.labels, scores, no_scores=whole.no_scores
        )
        results = judge(table, replaying.defense.name, names, replaying.variants, fprs=(), choosing=split.choosing)
        usual = (replaying.variants or ("",))[0]
        columns = {
            each.attack: whole.column(column_of(each.attack, each.variant or usual))
            for each in results
            if each.attack not in whole.no_scores
        }
        attacks = tuple(MeasuredAttack(each.attack, each.auroc, each.variant) for each in results)
        return cls(columns, attacks, replaying.client.utility())

    def of_pool(self, count: int) -> Columns:
        """The columns without the canaries; *count* passages are of the pool."""
        return {name: scores[:count] for name, scores in self.columns.items()}


def measure(
    measured: Measured,
    plan: Plan,
    planned: Sequence[PlannedDefense],
    passes: Sequence[str],
    records: Mapping[str, TrainingRecord],
) -> Defenses:
    """The table of all *planned* defences, whose signals are in *passes*; *records* are by role of the model."""
    roles = list(dict.fromkeys(defense.role for defense in planned))
    seen = {role: measured.seen(role, parse_defense(BASELINE)) for role in roles}
    measuring = Measuring(measured.split, measured.fprs, seen[roles[0]].of_pool(measured.count))
    names = {defense.role: defense.model for defense in reversed(planned)}
    models = {
        role: replace(_model_row(measured, measuring, role, records[role], seen[role], roles[0]), model=names[role])
        for role in roles
    }
    built = [
        _with_outputs(measured, measuring, models[defense.role], defense, name)
        if defense.output is not None
        else (replace(models[defense.role], name=defense.name), seen[defense.role].of_pool(measured.count))
        for defense, name in zip(planned, passes, strict=True)
    ]
    rows = tuple(row for row, _ in built)
    scores = [None if row.leakage is None else columns[row.leakage.attack] for row, columns in built]
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
        rows=(_without_change(rows[0]), *_tested(rows[1:], scores[1:], measuring)),
        notes=tuple(_notes(measured, rows, planned)),
    )


def _model_row(
    measured: Measured, measuring: Measuring, role: str, record: TrainingRecord, seen: Seen, undefended: str
) -> Defended:
    """The row of a model whose outputs are shown whole."""
    of_pool = seen.of_pool(measured.count)
    logs, tokens, documents = *measured.sums(role), measured.held_out_documents
    others, _ = measured.sums(undefended)
    return Defended(
        name="",
        role=role,
        trained=role != undefended,
        outputs=False,
        leakage=_strongest(measuring, of_pool),
        fixed=measuring.leakage(of_pool, FIXED, FIXED),
        attacks=seen.attacks,
        utility=Utility(perplexity(logs, tokens, documents), perplexity_ratio(logs, others, tokens, documents)),
        seconds=record.seconds,
        gap=measuring.gap(of_pool[GAP]),
        extractable=measuring.share_of_members(measured.extractable(role)),
        epsilon=record.epsilon,
        delta=record.delta,
        shown=measured.shown_epsilon(seen.columns, record.delta),
        training=record,
    )


def _with_outputs(
    measured: Measured, measuring: Measuring, model: Defended, defense: PlannedDefense, name: str
) -> tuple[Defended, Columns]:
    """The row of *model* whose outputs are defended, and the scores; *name* is that of the pass of its signals."""
    assert defense.output is not None
    seen = measured.seen(defense.role, defense.output, name, most=measured.count)
    columns = seen.columns
    row = replace(
        model,
        name=defense.name,
        outputs=True,
        leakage=_strongest(measuring, columns),
        fixed=measuring.leakage(columns, FIXED, FIXED) if FIXED in columns else None,
        attacks=seen.attacks,
        gap=measuring.gap(columns[GAP]) if GAP in columns else None,
        shown=None,
        client=seen.client,
    )
    return row, columns


def _strongest(measuring: Measuring, columns: Columns) -> Leakage | None:
    """What the strongest attack on *columns* achieves, compared with the strongest without defence."""
    attack, baseline = measuring.strongest(columns), measuring.strongest(measuring.undefended)
    return None if attack is None or baseline is None else measuring.leakage(columns, attack, baseline)


def _tested(
    rows: Sequence[Defended], scores: Sequence[NDArray[np.float64] | None], measuring: Measuring
) -> Iterator[Defended]:
    """The defended *rows*, each with whether it lowers what leaks, and how far from the lowest; *scores* attack it."""
    leakages = compare_with_lowest(mark_lower([row.leakage for row in rows]), scores, measuring)
    for row, leakage, fixed in zip(rows, leakages, mark_lower([row.fixed for row in rows]), strict=True):
        yield replace(row, leakage=leakage, fixed=fixed)


def _without_change(row: Defended) -> Defended:
    """The *row* of the model without defence, which is compared with nothing."""
    leakage, fixed = (
        None if each is None else replace(each, change=None, p_value=None, p_lower=None)
        for each in (row.leakage, row.fixed)
    )
    return replace(row, leakage=leakage, fixed=fixed)


def _notes(measured: Measured, rows: Sequence[Defended], planned: Sequence[PlannedDefense]) -> Iterator[Note]:
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
    for defense in planned:
        if defense.output is not None and defense.output.wears_off:
            yield Note(DefenseNote.MORE_QUERIES, {"defence": defense.name})
    members = [passage for passage in split.passages if passage.label == 1]
    documents = len({passage.document for passage in members})
    if any(row.epsilon is not None for row in rows) and len(members) > documents:
        yield Note(DefenseNote.PASSAGE_PRIVACY, {"passages": round(len(members) / documents, 1)})
