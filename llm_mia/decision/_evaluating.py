"""How well attacks separate known members from known non-members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import ScoresError
from ..metrics import ConfidenceGap, PairedComparison
from ..records import Interval
from ..scores import ScoreTable
from ._calibrating import held_out, with_decider
from ._calibration import Calibration
from ._origin import categories_of, check_origin
from ._stack import Stack

__all__ = ["AtThreshold", "Comparison", "Evaluation", "compare", "evaluate", "exposure", "rates_at", "unseen"]

FALSE_POSITIVE_RATES = (0.1, 0.05, 0.01, 0.001)
COINCIDENCE = 0.01
"""Share of the scores that set a threshold which may stand among others' by chance."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well one attack separates known members from known non-members."""

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
    """What the threshold of a calibration does on a known set that didn't set it."""

    attack: str
    tpr: Interval
    """Share of the members above it."""
    fpr: Interval | None
    """Share of the non-members above it; None where they are those that set it."""
    epsilon: float | None
    """No training with differential privacy below this ε leaks so much; None where passages aren't independent
    trials, or the rate of false positives isn't known."""
    confidence: float
    """Of the intervals, and of ε."""
    notes: tuple[str, ...]


def evaluate(table: ScoreTable, attacks: Sequence[str] = ()) -> list[Evaluation]:
    """AUROC, TPR at 10, 5, 1 and 0.1 % FPR, and FPR at 95 % TPR of each attack, each with a 95 % interval.

    Intervals go by document where documents hold several passages; else that of the AUROC is DeLong's.

    Raises:
        ScoresError: the table lacks a column, or members, or non-members.
    """
    known = _known(table)
    return [_evaluate(table, attack, known) for attack in attacks or table.columns]


def compare(table: ScoreTable, first: str, second: str) -> Comparison:
    """The interval holds the difference of the two attacks' AUROCs with about 95 % confidence; both on the passages
    that both have scored.

    Raises `ScoresError` as `evaluate` does.
    """
    known = _known(table)
    rows = _scored(table, second, _scored(table, first, known))
    groups, labels = table.groups(), table.labels[rows]
    _check_both(table, f"{first} and {second} together have", labels)
    documents = [groups[row] for row in rows]
    paired = metrics.compare_attacks(table.column(first)[rows], table.column(second)[rows], labels, documents)
    return Comparison(first, second, paired, len(rows))


def rates_at(table: ScoreTable, calibration: Calibration, *, confidence: float = 0.95) -> AtThreshold:
    """Each interval holds its rate with at least *confidence*, exact where passages are independent.

    The threshold must not have been set by the table's own non-members; where it was by any of them, no rate of false
    positives is given. Passages that a stack was fitted on are left out, and in the table calibrated on those that an
    attack was chosen on; one without a finite score counts as not flagged.

    Raises:
        ScoresError: the table lacks the attack, or members, or non-members.
        CalibrationError: the calibration is another model's.
    """
    notes = check_origin(table, calibration)
    table = with_decider(table, calibration)
    same = _share_of_threshold(table, calibration) > COINCIDENCE
    table, left_out = _unseen(table, calibration)
    notes += [f"{left_out} known passages that the decider was fitted or chosen on are left out"] if left_out else []
    rows, groups = _known(table), table.groups()
    scores = table.column(calibration.attack)[rows]
    categories = categories_of(table, calibration, rows)
    flagged = calibration.flagged(np.where(np.isinf(scores), np.nan, scores), categories)
    documents = [groups[row] for row in rows]
    found = metrics.rates_at_threshold(
        flagged.astype(np.float64), table.labels[rows], 0.5, documents=documents, confidence=confidence
    )
    epsilon = None
    if same:
        notes.append(
            "some or all of the table's non-members set this threshold: their rate above it shows nothing; give others"
        )
    elif len(set(documents)) < len(documents):
        notes.append("passages share documents and are no independent trials: no ε is bounded")
    else:
        counts = found.true_positives, found.members, found.false_positives, found.nonmembers
        epsilon = metrics.epsilon_lower_bound(*counts, confidence)
    fpr = None if same else found.fpr
    return AtThreshold(calibration.attack, found.tpr, fpr, epsilon, confidence, tuple(notes))


def unseen(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table with the column that *calibration* decides by, less the passages that it was chosen or fitted on.

    A stack knows what it was fitted on in any table: there it looks too good. What one column was chosen on is known in
    the table calibrated on.

    Raises `CalibrationError` where the table isn't what was calibrated on, though the non-members' scores say so.
    """
    return _unseen(with_decider(table, calibration), calibration)[0]


def exposure(table: ScoreTable) -> ConfidenceGap | None:
    """The gap in mean token probability between members and non-members.

    None where ``confidence`` wasn't scored, or where somebody else's table may mean another thing by it.
    """
    if table.record is None or "confidence" not in table.columns:
        return None
    members, nonmembers = (_scored(table, "confidence", table.rows(label)) for label in (1, 0))
    scores, groups = table.column("confidence"), table.groups()
    return metrics.confidence_gap(
        scores[members], scores[nonmembers], documents=[groups[row] for row in (*members, *nonmembers)]
    )


def _known(table: ScoreTable) -> NDArray[np.intp]:
    missing = [name for name, label in (("members (1)", 1), ("non-members (0)", 0)) if not len(table.rows(label))]
    if missing:
        raise ScoresError(f"{table.name}: no row is labelled as {' or '.join(missing)}; both are needed")
    return np.flatnonzero(table.labels >= 0)


def _evaluate(table: ScoreTable, attack: str, known: NDArray[np.intp]) -> Evaluation:
    scored = _scored(table, attack, known)
    scores, labels, groups = table.column(attack)[scored], table.labels[scored], table.groups()
    documents = [groups[row] for row in scored]
    _check_both(table, f"{attack} has", labels)
    grouped = len(set(documents)) < len(documents)
    return Evaluation(
        attack=attack,
        n_members=int((labels == 1).sum()),
        n_nonmembers=int((labels == 0).sum()),
        unscored=len(known) - len(scored),
        auroc=metrics.auroc(scores, labels, documents=documents) if grouped else metrics.delong(scores, labels),
        tpr_at_fpr={f: metrics.tpr_at_fpr(scores, labels, f, documents=documents) for f in FALSE_POSITIVE_RATES},
        fpr_at_95_tpr=metrics.fpr_at_tpr(scores, labels, 0.95, documents=documents),
        unscored_ids=tuple(table.ids[row] for row in np.setdiff1d(known, scored)),
    )


def _check_both(table: ScoreTable, whose: str, labels: NDArray[np.int8]) -> None:
    if len(np.unique(labels)) < 2:
        raise ScoresError(f"{table.name}: {whose} no score for any known member, or for any known non-member")


def _scored(table: ScoreTable, attack: str, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[~np.isnan(table.column(attack)[rows])]


def _unseen(table: ScoreTable, calibration: Calibration) -> tuple[ScoreTable, int]:
    """The table less what the decider was chosen or fitted on, and how many passages that are."""
    if _share_of_threshold(table, calibration) > 0.5:
        left = held_out(table, calibration)
    elif calibration.stack:
        left = table.only(~Stack.read(calibration.stack).saw(table))
    else:
        left = table
    return left, len(table) - len(left)


def _share_of_threshold(table: ScoreTable, calibration: Calibration) -> float:
    """How much of what set the threshold stands among the table's non-members, told by equal scores."""
    own = table.column(calibration.attack)[table.rows(0)]
    return float(np.isin(calibration.scores, own).mean())
