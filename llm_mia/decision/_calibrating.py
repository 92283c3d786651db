"""Known non-members of a table → a calibration."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import calibration as _calibration
from ..calibration import Calibration
from ..errors import CalibrationError, ScoresError
from ..scores import ScoreTable
from ._choosing import choose, fit_part
from ._origin import first_ids, made_by

__all__ = ["AUTO", "calibrate", "calibrating_rows", "held_out", "read_calibration"]

AUTO = "auto"
"""In the place of an attack: the one that separates the fit part of the known set best."""


def calibrate(
    table: ScoreTable,
    attack: str,
    *,
    fpr: float,
    confidence: float | None = None,
    pool: Collection[str] = (),
    fraction: float = 0.5,
    seed: int = 0,
) -> Calibration:
    """A non-member exchangeable with the table's non-members is flagged with probability at most *fpr*.

    On average over known sets like this one, or with *confidence* in this one; in each category of the table by itself
    where it was read by some, those of *pool* together. Non-members without a score cannot be flagged and are not
    calibrated on. With the attack ``auto`` a *fraction* of the documents is kept apart to choose it on.

    Raises:
        ScoresError: the table has no such column or no non-members.
        CalibrationError: the non-members are too few for *fpr*, or their scores are infinite or all equal.
    """
    known = table.rows(0)
    if not len(known):
        raise ScoresError(f"{table.name}: no row is labelled as a non-member (0), so there is nothing to calibrate on")
    choice = choose(table, fraction=fraction, seed=seed, fpr=fpr, confidence=confidence) if attack == AUTO else None
    if choice is not None:
        attack, known = choice.attack, known[~choice.fit[known]]
    rows = _scored(table, attack, known)
    groups = table.groups()
    return _calibration.calibrate(
        table.column(attack)[rows],
        attack=attack,
        fpr=fpr,
        confidence=confidence,
        n_documents=len({groups[row] for row in rows}),
        calibrated_on=made_by(table, attack),
        categories=[table.categories[row] for row in rows] if table.by else None,
        pool=pool,
        split=choice.split if choice else None,
        chosen=choice.record if choice else None,
        by=table.by,
        validity=table.validity,
    )


def held_out(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table without the passages that the attack of *calibration* was chosen on.

    Raises `CalibrationError` where its known set isn't the one that was split.
    """
    return table.only(~fit_part(table, calibration)) if calibration.split else table


def calibrating_rows(table: ScoreTable, calibration: Calibration) -> NDArray[np.intp]:
    """The non-members of *table* that *calibration* was made on.

    Raises `CalibrationError` where they are others.
    """
    known = table.rows(0)[~fit_part(table, calibration)[table.rows(0)]]
    scores = table.column(calibration.attack)[known]
    if not np.array_equal(np.sort(scores[~np.isnan(scores)]), calibration.scores):
        raise CalibrationError(
            f"{table.name}: its known non-members are not those calibrated on: give the table that was, or calibrate "
            "on this one"
        )
    return known


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in the file *path*.

    Raises:
        CalibrationError: no such file, or not what `calibrate` wrote.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise CalibrationError(f"{path}: {reason}") from None
    try:
        return Calibration.from_json(text)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None


def _scored(table: ScoreTable, attack: str, known: NDArray[np.intp]) -> NDArray[np.intp]:
    """The *known* rows that have a score; infinite ones are refused by id."""
    scores = table.column(attack)[known]
    rows = known[~np.isnan(scores)]
    infinite = known[np.isinf(scores)]
    if len(infinite):
        named = first_ids(table.ids[row] for row in infinite)
        raise CalibrationError(
            f"{table.name}: {len(infinite)} of {len(rows)} calibration scores are NaN or infinite ({named}): see what "
            "made them, and score again"
        )
    return rows
