"""Scores, signals and the record of the training → a row for each limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..backends import Backend, ModelSpec
from ..calibration import Floats
from ..decision import AUTO, Calibration, LabelledScores, calibrate, calibration_part, labelled_scores
from ..errors import CalibrationError
from ..extraction import Extraction
from ..records import Interval, Note
from ..scores import ScoreTable
from ..training import TrainingRecord, read_training
from ._planning import SELECTION_FPR, Planned, shown_epsilon
from ._record import GateRow, Obstacle, Quantity, RowVerdict

__all__ = ["Measured", "judge", "select_attack", "training_of"]

CONFIDENCE = "confidence"
"""The attack whose score is the mean token probability."""
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
"""Shares of all passages that are flagged for a bound on ε; the half that selects the attack selects the share."""
FEWEST = 20
"""Documents of members with a stretch that an extractable share needs: fewer would pass whatever was memorised."""
USUAL_SHARE = 0.1
"""What is flagged where no half selects."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The attack that was selected, and the passages that measure it."""

    calibration: Calibration
    """Of the non-members that measure it; its threshold is that of `SELECTION_FPR`."""
    scores: LabelledScores
    """On the part of the known set that did not select it."""
    selecting: LabelledScores | None
    """On the part that did; None where no part selected it."""

    @property
    def deciding(self) -> frozenset[str]:
        """The attacks whose scores the verdict rests on: those that were compared, and that which measures the gap."""
        return frozenset({*self.calibration.selection.aurocs, self.calibration.attack, CONFIDENCE})


def select_attack(table: ScoreTable) -> Measured:
    """The attack of *table* with the largest AUROC on half of the known documents, and the other half to measure it.

    A single attack is measured on all, and so is the attack that is fixed beforehand where too few are known to select.

    Raises:
        CalibrationError: too few non-members.
        ScoresError: scores of a class are missing.
    """
    table = _distinguishing(table)
    attack = AUTO if len(table.columns) > 1 else next(iter(table.columns))
    calibration = calibrate(table, attack, fpr=SELECTION_FPR)
    part = calibration_part(table, calibration)
    selecting = None
    if calibration.split is not None:
        kept = set(part.ids)
        selecting = table.only(np.array([name not in kept for name in table.ids], dtype=bool))
    return Measured(
        calibration,
        labelled_scores(part, calibration.attack),
        None if selecting is None else labelled_scores(selecting, calibration.attack),
    )


def _distinguishing(table: ScoreTable) -> ScoreTable:
    """The table without attacks that give more than half of the passages the same score, if others are left.

    On half of the passages such an attack may have nothing but equal scores, which no threshold divides. Labels play no
    part in this, so the choice among the others stays as it was.
    """
    kept = {name: scores for name, scores in table.columns.items() if not _mostly_equal(scores)}
    return replace(table, columns=kept) if kept else table


def _mostly_equal(scores: Floats) -> bool:
    counts = np.unique(scores[~np.isnan(scores)], return_counts=True)[1]
    return bool(len(counts)) and int(counts.max()) > len(scores) / 2


def training_of(target: Backend | ModelSpec) -> TrainingRecord | None:
    """The record of the target's training, in the folder of the model; None where there is none.

    Raises:
        ModelError: it cannot be read.
    """
    folder = Path(target.name) if isinstance(target, ModelSpec) else None
    return None if folder is None or not (folder / "training.json").is_file() else read_training(folder)


def judge(
    planned: Planned,
    table: ScoreTable,
    measured: Measured,
    extraction: Extraction | Note | None,
    training: TrainingRecord | None,
    *,
    confidence: float,
    strict: bool,
) -> GateRow:
    """The row of a limit; *extraction* is what was extracted, or why nothing was.

    *training* is the record of the target's training; None where there is none.

    Raises:
        CalibrationError: too few documents hold a stretch, and the user gave that limit.
    """
    row = GateRow(
        planned.quantity,
        planned.limit,
        planned.given,
        RowVerdict.NOT_APPLICABLE,
        fpr=planned.fpr,
        obstacle=planned.obstacle,
    )
    if planned.obstacle is not None:
        return row
    if planned.quantity is Quantity.EPSILON_DOCUMENTED:
        return _documented(row, training)
    if planned.quantity is Quantity.GAP:
        return _judged(_gap(row, table, confidence), strict=strict)
    if planned.quantity is Quantity.EXTRACTABLE:
        return _extractable(row, extraction, confidence, strict=strict)
    scores = measured.scores
    members = int((scores.labels == 1).sum())
    row = replace(row, attack=measured.calibration.attack, members=members, nonmembers=len(scores.labels) - members)
    interval = _of_attack(row, scores, measured, confidence)
    delta = 0.0 if row.quantity is Quantity.EPSILON_SHOWN else None
    return _judged(replace(row, value=interval.value, interval=interval, delta=delta), strict=strict)


def _judged(row: GateRow, *, strict: bool) -> GateRow:
    """The row with its verdict: by the lower end of the interval, or where *strict* by the upper end."""
    if row.interval is None:
        return row
    exceeds = (row.interval.high if strict else row.interval.low) > row.limit
    return replace(row, verdict=RowVerdict.FAILED if exceeds else RowVerdict.PASSED)


def _of_attack(row: GateRow, scores: LabelledScores, measured: Measured, confidence: float) -> Interval:
    known = scores.scores, scores.labels
    if row.quantity is Quantity.AUROC:
        return metrics.auroc(*known, documents=scores.documents, confidence=confidence)
    if row.quantity is Quantity.TPR:
        assert row.fpr is not None
        return metrics.tpr_at_fpr(*known, row.fpr, documents=scores.documents, confidence=confidence)
    one_sided = 1 - (1 - confidence) / 2
    share = USUAL_SHARE
    if measured.selecting is not None:
        half = measured.selecting
        share = max(SHARES, key=lambda each: _epsilon(half, each, one_sided))
    low = _epsilon(scores, share, one_sided)
    return Interval(low, low, math.inf, confidence)


def _epsilon(scores: LabelledScores, share: float, confidence: float) -> float:
    """The lower bound on ε where the *share* of all passages with the highest scores is flagged.

    The threshold depends on the scores of members and non-members together, and not on which are which.
    """
    flagged, member = scores.scores > np.quantile(scores.scores, 1 - share, method="higher"), scores.labels == 1
    counts = _count(flagged & member), _count(member), _count(flagged & ~member), _count(~member)
    return shown_epsilon(*counts, confidence)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(mask.sum())


def _gap(row: GateRow, table: ScoreTable, confidence: float) -> GateRow:
    if CONFIDENCE not in table.columns or np.isnan(table.columns[CONFIDENCE]).all():
        return replace(row, obstacle=Note(Obstacle.NO_CONFIDENCE))
    scores, groups = table.column(CONFIDENCE), table.groups()
    members, nonmembers = (_scored(scores, table.rows(label)) for label in (1, 0))
    documents = [groups[at] for at in (*members, *nonmembers)]
    gap = metrics.confidence_gap(scores[members], scores[nonmembers], documents=documents, confidence=confidence).gap
    return replace(
        row, value=gap.value, interval=gap, attack=CONFIDENCE, members=len(members), nonmembers=len(nonmembers)
    )


def _scored(scores: Floats, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[~np.isnan(scores[rows])]


def _documented(row: GateRow, training: TrainingRecord | None) -> GateRow:
    """The ε of the training's record, which is no measurement and has no interval."""
    if training is None or training.epsilon is None:
        return replace(row, obstacle=Note(Obstacle.NOT_DOCUMENTED, {"training": training is not None}))
    verdict = RowVerdict.FAILED if training.epsilon > row.limit else RowVerdict.PASSED
    return replace(row, value=training.epsilon, delta=training.delta, verdict=verdict)


def _extractable(row: GateRow, extraction: Extraction | Note | None, confidence: float, *, strict: bool) -> GateRow:
    if extraction is None or isinstance(extraction, Note):
        return replace(row, obstacle=extraction)
    members, nonmembers = ([each for each in extraction.documents if each.label == label] for label in (1, 0))
    counted = [each for each in members if each.stretches]
    if len(counted) < FEWEST:
        why = (
            f"{len(counted):,} of {len(members):,} documents of members hold a stretch of {extraction.stretch} tokens, "
            f"and at least {FEWEST} must"
        )
        if row.given:
            raise CalibrationError(f"`max_extractable` cannot be judged: {why}: give longer passages, or more")
        return replace(row, obstacle=Note(Obstacle.NOT_SEARCHED, {"why": why}))
    with_spans = sum(each.spans_counted > 0 for each in counted)
    share = metrics.clopper_pearson(with_spans, len(counted), confidence)
    others = [each for each in nonmembers if each.stretches]
    row = replace(row, value=share.value, interval=share, members=len(counted), nonmembers=len(others))
    row = _judged(row, strict=strict)
    like = None if extraction.nonmembers is None else extraction.nonmembers.like
    if row.verdict is RowVerdict.FAILED and not strict and like is not None and not like.beyond_chance:
        figures = {"with_spans": like.nonmembers_with_spans, "nonmembers": like.nonmembers}
        return replace(row, verdict=RowVerdict.NOT_APPLICABLE, obstacle=Note(Obstacle.AS_NONMEMBERS, figures))
    return row
