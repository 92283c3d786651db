"""The decisions on the candidates of each category."""

from __future__ import annotations

import numpy as np

from ..calibration import CountBound, conformal_p_values
from ..scores import ScoreTable
from ._calibration import Calibration, Category
from ._finding import Ints, Tested, independent, known_rows
from ._flags import CategoryFlags, bounds_of
from ._origin import categories_of
from ._rules import Rule

__all__ = ["flags_by_category"]


def flags_by_category(
    table: ScoreTable, calibration: Calibration, tested: Tested, rule: Rule, risk: float | None
) -> dict[str, CategoryFlags]:
    """Candidates, flags, threshold and smallest number of members of each category of *calibration*.

    The number is a lower bound with confidence 1 − *risk* for each category by itself, where its candidates and its
    non-members are documents by themselves; without *risk* there is none.
    """
    if not calibration.categories:
        return {}
    if risk is not None and not independent(table, calibration, tested.rows, known_rows(table, calibration)):
        risk = None
    none = np.empty(0, dtype=np.intp)
    positions: dict[int, Ints] = {}
    categories = categories_of(table, calibration, tested.rows)
    for category, rows in calibration.rows_by_category(len(tested.rows), categories):
        here = np.arange(len(tested.rows))[rows]  # names may be pooled into one category
        positions[id(category)] = np.union1d(positions.get(id(category), none), here)
    return {
        name: _of_category(category, calibration, tested, positions.get(id(category), none), rule, risk)
        for name, category in calibration.categories.items()
    }


def _of_category(
    category: Category, calibration: Calibration, tested: Tested, rows: Ints, rule: Rule, risk: float | None
) -> CategoryFlags:
    members: CountBound | None = None
    if risk is not None and len(rows):
        p_values = conformal_p_values(tested.scores[rows], category.scores)
        members, _ = bounds_of(tested.scores[rows], category.scores, p_values, calibration, rule, risk)
    return CategoryFlags(len(rows), int(tested.chosen[rows].sum()), category.n, category.threshold, members)
