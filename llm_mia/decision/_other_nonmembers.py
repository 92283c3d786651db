"""The known non-members of a table that is decided by the calibration of another table."""

from __future__ import annotations

import numpy as np

from ..calibration import chance_of_flags, flag_rank
from ..errors import CalibrationError
from ..records import Note
from ..scores import ScoreTable
from ._calibration import Calibration
from ._finding import independent, known_rows
from ._notes import NoteKind

__all__ = ["other_nonmembers"]

LEVEL = 0.001
"""Probability of a refusal where the table's non-members are like those that set the threshold."""


def other_nonmembers(table: ScoreTable, calibration: Calibration) -> list[Note]:
    """A note where the table has known non-members, and they are not those that set the threshold.

    How many of them are above it shows whether the false positive rate holds in this table.

    Raises:
        CalibrationError: so many are above the threshold that the rate does not hold (`chance_of_flags` at most 0.001).
    """
    rows = table.rows(0)
    rows = rows[np.isfinite(table.column(calibration.attack)[rows])]
    if not len(rows) or calibration.categories or known_rows(table, calibration) is not None:
        return []
    above = int(calibration.flagged(table.column(calibration.attack)[rows]).sum())
    rank = flag_rank(calibration.n, calibration.fpr, calibration.confidence)
    if independent(table, calibration, rows, None):
        chance = chance_of_flags([(above, len(rows), rank, calibration.n)])
        if chance <= LEVEL:
            raise CalibrationError(
                f"{table.name}: {above} of its {len(rows)} known non-members are above the threshold, which other "
                f"non-members set for FPR ≤ {calibration.fpr:g}, so this rate does not hold here: calibrate this table"
            )
    return [Note(NoteKind.OTHER_NONMEMBERS, {"above": above, "nonmembers": len(rows), "fpr": calibration.fpr})]
