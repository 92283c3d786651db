"""How well attacks separate known members from known non-members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import ScoresError, UsageError
from ..metrics import ConfidenceGap, PairedComparison, Rates
from ..records import Interval, Note
from ..scores import ScoreTable
from ._calibrating import add_decider_column, calibration_part
from ._calibration import Calibration
from ._equal_scores import join_equal_scores
from ._notes import NoteKind
from ._origin import categories_of, check_origin
from ._score_checks import order_notes, refuse_non_scores, reversed_note, validation_notes

__all__ = [
    "AtThreshold",
    "Comparison",
    "Evaluation",
    "LabelledScores",
    "compare",
    "confidence_gap",
    "evaluate",
    "evaluation_notes",
    "evaluation_part",
    "labelled_scores",
    "rates_at",
]

FALSE_POSITIVE_RATES = (0.1, 0.05, 0.01, 0.001)
COINCIDENCE = 0.01
"""Share of the scores that set a threshold which may equal scores of other passages by chance."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well an attack separates known members from known non-members."""

    attack: str
    n_members: int
    n_nonmembers: int
    unscored: int
    """Known passages without a score, which no figure here counts."""
    auroc: Interval
    tpr_at_fpr: Mapping[float, Interval]
    fpr_at_95_tpr: Interval
    unscored_ids: tuple[str, ...] = ()
    """The passages without a score."""
    by_shadows: bool = False
    """Whether these are scores of shadow models in the target's place, which know as members what they were trained
    on; else of known passages under the target."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """Scores of an attack on known passages that have a score; shapes (n,)."""

    rows: NDArray[np.intp]
    """In the table."""
    scores: NDArray[np.float64]
    labels: NDArray[np.int8]
    """1 member, 0 non-member."""
    documents: list[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two attacks on the same known passages."""

    first: str
    second: str
    paired: PairedComparison
    n: int
    """Known passages that both have scored."""


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What the threshold of a calibration does on a known set that did not set it."""

    attack: str
    tpr: Interval
    """Share of the members above it."""
    fpr: Interval | None
    """Share of the non-members above it; None where these set it."""
    epsilon: float | None
    """With `confidence`, the training is not ε-differentially private for any ε below this; None where nobody states
    that members and non-members were drawn at random, where passages share documents, or where the rate of false
    positives is not known."""
    confidence: float
    """Of the intervals, and of ε."""
    notes: tuple[Note, ...]


def evaluate(table: ScoreTable, attacks: Sequence[str] = ()) -> list[Evaluation]:
    """AUROC, TPR at 10, 5, 1 and 0.1 % FPR, and FPR at 95 % TPR of each attack, each with a 95 % interval.

    Intervals go by document where documents hold several passages; else the interval of the AUROC is DeLong's.

    Raises:
        ScoresError: the table lacks a column, or members, or non-members.
    """
    known, names = _known(table), list(attacks) or table.all_scores("attacks")
    refuse_non_scores(table, names)
    return [_evaluate(table, attack, known) for attack in names]


def evaluation_notes(table: ScoreTable, evaluations: Sequence[Evaluation]) -> list[Note]:
    """Notes on what was not checked, on columns whose sign seems reversed, and on those that follow the row order."""
    foreign = table.record is None
    signs = [note for each in evaluations for note in reversed_note(each.attack, each.auroc, foreign=foreign)]
    return [
        *validation_notes(table, evaluated=True),
        *signs,
        *order_notes(table, [each.attack for each in evaluations]),
    ]


def compare(table: ScoreTable, first: str, second: str) -> Comparison:
    """The difference of two attacks' AUROCs on the passages that both have scored, with its interval and p-value.

    The interval holds the difference with about 95 % confidence.

    Raises:
        UsageError: both are the same attack.
        ScoresError: as `evaluate` does.
    """
    if first == second:
        raise UsageError(f"{first!r} is compared with itself: name two different attacks")
    known = _known(table)
    refuse_non_scores(table, [first, second])
    rows = _scored(table, second, _scored(table, first, known))
    groups, labels = table.groups(), table.labels[rows]
    _refuse_missing_class(table, f"{first} and {second} together have", labels)
    documents = [groups[row] for row in rows]
    paired = metrics.compare_attacks(table.column(first)[rows], table.column(second)[rows], labels, documents)
    return Comparison(first, second, paired, len(rows))


def rates_at(
    table: ScoreTable, calibration: Calibration, *, confidence: float = 0.95, randomised: bool = False
) -> AtThreshold:
    """True and false positive rate at the threshold of *calibration*, on the known set of another table.

    Each interval holds its rate with at least *confidence* where each passage is a document by itself; where passages
    share documents, it comes from a bootstrap over documents, and holds about so often. The threshold must not have
    been set by the table's non-members; where it was by any of them, no rate of false positives is given.
    Passages that a stack was fitted on are left out, and in the table calibrated on those that selected the attack. A
    passage without a finite score counts as not flagged.

    Args:
        table: of a known set; its candidates are ignored.
        calibration: what `calibrate` gave.
        confidence: of the intervals, and of the lower bound on ε.
        randomised: members and non-members were drawn at random from one pool before the training. Only then is there a
            lower bound on ε (`llm_mia.metrics.epsilon_of_one_run`): any other difference between them would raise it.

    Raises:
        ScoresError: the table lacks the attack, or members, or non-members.
        CalibrationError: the calibration is of another model.
    """
    notes = check_origin(table, calibration)
    table = add_decider_column(table, calibration)
    set_here = _share_of_threshold(table, calibration) > COINCIDENCE
    part = _evaluation_part(table, calibration)
    if len(part) < len(table):
        notes.append(Note(NoteKind.FITTED_LEFT_OUT, {"count": len(table) - len(part)}))
    rates, independent = _rates(part, calibration, confidence)
    epsilon = None
    if set_here:
        notes.append(Note(NoteKind.THRESHOLD_SET_HERE))
    elif not independent:
        notes.append(Note(NoteKind.EPSILON_UNBOUNDED))
    elif not randomised:
        notes.append(Note(NoteKind.EPSILON_NOT_RANDOMISED))
    else:
        counts = rates.true_positives, rates.members, rates.false_positives, rates.nonmembers
        epsilon = metrics.epsilon_of_one_run(*counts, confidence)
    fpr = None if set_here else rates.fpr
    return AtThreshold(calibration.attack, rates.tpr, fpr, epsilon, confidence, tuple(notes))


def evaluation_part(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table with the column that *calibration* decides by, without the passages that selected it or fitted it.

    A stack recognises the passages that it was fitted on in any table; its scores are too good there. Which passages
    selected a column is known in the table calibrated on.

    Raises:
        CalibrationError: the table is not the table calibrated on, though the non-members' scores are the same.
    """
    return _evaluation_part(add_decider_column(table, calibration), calibration)


def confidence_gap(table: ScoreTable) -> ConfidenceGap | None:
    """The gap in mean token probability between members and non-members.

    None where ``confidence`` was not scored, or where other software wrote the table, whose column may mean another
    thing.
    """
    if table.record is None or "confidence" not in table.columns:
        return None
    members, nonmembers = (_scored(table, "confidence", table.rows(label)) for label in (1, 0))
    scores, groups = table.column("confidence"), table.groups()
    return metrics.confidence_gap(
        scores[members], scores[nonmembers], documents=[groups[row] for row in (*members, *nonmembers)]
    )


def _rates(table: ScoreTable, calibration: Calibration, confidence: float) -> tuple[Rates, bool]:
    """Rates above the threshold, and whether each passage is a document by itself."""
    rows, groups = _known(table), table.groups()
    scores = table.column(calibration.attack)[rows]
    categories = categories_of(table, calibration, rows)
    flagged = calibration.flagged(np.where(np.isinf(scores), np.nan, scores), categories)
    documents = [groups[row] for row in rows]
    rates = metrics.rates_at_threshold(
        flagged.astype(np.float64), table.labels[rows], 0.5, documents=documents, confidence=confidence
    )
    return rates, len(set(documents)) == len(documents)


def _known(table: ScoreTable) -> NDArray[np.intp]:
    missing = [name for name, label in (("members (1)", 1), ("non-members (0)", 0)) if not len(table.rows(label))]
    if missing:
        raise ScoresError(
            f"{table.name}: no row has the label of {' or '.join(missing)}: both are needed, "
            "so score known passages of that kind too, with their label"
        )
    return np.flatnonzero(table.labels >= 0)


def labelled_scores(table: ScoreTable, attack: str) -> LabelledScores:
    """The scores of *attack* on the known set, as `evaluate` counts them.

    Raises:
        ScoresError: the table lacks the column, or scores of members or of non-members.
    """
    table, _ = join_equal_scores(table, attack)
    rows = _scored(table, attack, _known(table))
    labels, groups = table.labels[rows], table.groups()
    _refuse_missing_class(table, f"{attack} has", labels)
    return LabelledScores(rows, table.column(attack)[rows], labels, [groups[row] for row in rows])


def _evaluate(table: ScoreTable, attack: str, known: NDArray[np.intp]) -> Evaluation:
    labelled = labelled_scores(table, attack)
    scores, labels, documents = labelled.scores, labelled.labels, labelled.documents
    grouped = len(set(documents)) < len(documents)
    return Evaluation(
        attack=attack,
        n_members=int((labels == 1).sum()),
        n_nonmembers=int((labels == 0).sum()),
        unscored=len(known) - len(scores),
        auroc=metrics.auroc(scores, labels, documents=documents) if grouped else metrics.delong(scores, labels),
        tpr_at_fpr={f: metrics.tpr_at_fpr(scores, labels, f, documents=documents) for f in FALSE_POSITIVE_RATES},
        fpr_at_95_tpr=metrics.fpr_at_tpr(scores, labels, 0.95, documents=documents),
        unscored_ids=tuple(table.ids[row] for row in np.setdiff1d(known, labelled.rows)),
        by_shadows=bool(table.places),
    )


def _refuse_missing_class(table: ScoreTable, subject: str, labels: NDArray[np.int8]) -> None:
    if len(np.unique(labels)) < 2:
        raise ScoresError(f"{table.name}: {subject} no score for any known member, or for any known non-member")


def _scored(table: ScoreTable, attack: str, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[~np.isnan(table.column(attack)[rows])]


def _evaluation_part(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    if _share_of_threshold(table, calibration) > 0.5:
        return calibration_part(table, calibration)
    if calibration.stack is not None:
        return table.only(~calibration.stack.was_fitted_on(table))
    return table


def _share_of_threshold(table: ScoreTable, calibration: Calibration) -> float:
    """How many of the scores that set the threshold are among those of the table's non-members, by value."""
    scores = table.column(calibration.attack)[table.rows(0)]
    return float(np.isin(calibration.scores, scores).mean())
