"""Why passages of a table have no score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import values_at
from ..scores import ScoreTable

__all__ = ["lacks_score_for_unknown_reason"]


def lacks_score_for_unknown_reason(table: ScoreTable, attack: str) -> NDArray[np.bool_]:
    """Which passages have no score by *attack*, so that the missing score may depend on what it would have been.

    In a run a passage has no score if it is too short, among candidates as among non-members. Only of a passage that
    ends each process which computes it (`PassRecord.left_out`) the reason is unknown, as of all in a table of another
    program.
    """
    missing = np.isnan(table.column(attack))
    if table.record is None:
        return missing
    left_out = {each.id for of_pass in table.record.passes.values() for each in of_pass.left_out}
    if left_out:
        rows = np.flatnonzero(missing)
        missing[rows] = [name in left_out for name in values_at(table.ids, rows)]
        return missing
    return np.zeros(len(table), dtype=bool)
