"""Passages of a table that have no score, for unknown reasons: a finding has to hold whatever their scores are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError
from ..records import Note
from ..scores import UNKNOWN, ScoreTable
from ._calibrating import calibrate, calibration_part
from ._calibration import Calibration
from ._concluding import doubt
from ._flags import CategoryFlags, Flags
from ._missing_scores import lacks_score_for_unknown_reason
from ._notes import NoteKind
from ._rules import Unit

__all__ = ["count_unscored"]

HALF = 0.5
"""Any rate: p-values do not depend on it."""

Bools = NDArray[np.bool_]
Decide = Callable[[ScoreTable, Calibration], Flags]


def count_unscored(flags: Flags, table: ScoreTable, calibration: Calibration, decide: Decide) -> Flags:
    """The flags with the finding, and the bounds, that hold wherever the passages without a score would lie.

    Each non-member without a score counts as if it had the highest score, and each candidate as if it had the lowest.

    A passage that is too short is left out, see `lacks_score_for_unknown_reason`. Of the others, if high scores of
    non-members were missing, the threshold would be too low; if low scores of candidates were, too large a share of the
    others would be flagged. So there the larger p-value counts. The flags and their threshold stay as they are: in the
    worst case more non-members lie above it, and so many flags are less improbable.

    Args:
        flags: the decision on *table*.
        table: with the column that *calibration* decides by.
        calibration: what was calibrated on the non-members that have a score.
        decide: gives the decision on another table by another calibration.
    """
    if flags.finding is None or not lacks_score_for_unknown_reason(table, calibration.attack).any():
        return flags
    try:
        part = calibration_part(table, calibration)
    except CalibrationError:  # other non-members set the threshold; the calibration's notes count those without a score
        return flags
    missing, known = lacks_score_for_unknown_reason(part, calibration.attack) & (part.labels != 1), part.labels == 0
    if not missing.any():
        return flags
    worst = decide(*_at_the_ends(part, calibration, missing))
    if worst.finding is None or worst.finding.chance <= flags.finding.chance:
        return flags
    passages = int((missing & (part.labels == UNKNOWN)).sum())
    figures = {
        "nonmembers": int((missing & known).sum()),
        "of_nonmembers": int(known.sum()),
        "candidates": passages if flags.unit is Unit.PASSAGES else flags.rows_by_column.unscored,
        "of_candidates": len(flags.rows),
        "unit": flags.unit.value,
        "without": flags.finding.chance,
        "with": worst.finding.chance,
    }
    return replace(
        flags,
        finding=worst.finding,
        standing=doubt(flags.standing, worst.finding),
        members=worst.members,
        share=worst.share,
        categories=_bounded_by(flags, worst),
        notes=[*flags.notes, Note(NoteKind.UNSCORED_HIGHEST, figures)],
    )


def _at_the_ends(table: ScoreTable, calibration: Calibration, missing: Bools) -> tuple[ScoreTable, Calibration]:
    """The table without *missing* scores, and a calibration with the same threshold.

    Non-members get scores above everything, candidates get the lowest: of a document, their mean is not far below.

    Among these non-members the threshold has another false positive rate; of several categories the largest.
    """
    attack, scores = calibration.attack, table.column(calibration.attack).copy()
    finite = scores[np.isfinite(scores)]
    highest, lowest = (np.flatnonzero(missing & (table.labels == label)) for label in (0, UNKNOWN))
    # All different: no copies.
    scores[highest] = finite.max() + (1 + np.arange(len(highest))) * (1 + np.ptp(finite))
    scores[lowest] = finite.min() - np.arange(1, len(lowest) + 1) / (100 * max(1, len(lowest))) * np.ptp(finite)
    # A stack was fitted before; under its name another would be.
    attack = f"{attack} of {len(calibration.stack.columns)} columns" if calibration.stack else attack
    filled = replace(table, columns={attack: scores}, foreign=False)
    pool = {name for category in calibration.categories.values() for name in category.pooled}
    among = calibrate(filled, attack, fpr=HALF, pool=pool)
    thresholds = calibration.thresholds
    limits = np.array([*thresholds.values()] or [calibration.threshold])
    fpr = float(among.p_values(np.nextafter(limits, np.inf), [*thresholds] or None).max())
    return filled, calibrate(filled, attack, fpr=fpr, pool=pool)


def _bounded_by(flags: Flags, worst: Flags) -> dict[str, CategoryFlags]:
    return {
        name: replace(category, members=worst.categories[name].members if name in worst.categories else None)
        for name, category in flags.categories.items()
    }
