"""Known non-members of a table → a calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError, ScoresError
from ..scores import ScoreTable
from ._calibration import Calibration
from ._categories import calibrate_scores
from ._choosing import AUTO, BY_DEFAULT, choose, fit_part
from ._flags import standing_words
from ._origin import first_ids, made_by
from ._stack import STACK, Stack

__all__ = ["calibrate", "calibrating_rows", "held_out", "read_calibration", "with_decider"]


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
    calibrated on. In the place of an attack stand ``auto``, the one that separates best, ``stack``, one score learned
    from all columns, and ``default``, the stack of a large known set: for these a *fraction* of the documents is kept
    apart to choose or to learn on, and the rest of the non-members is calibrated on.

    Raises:
        ScoresError: the table has no such column or no non-members.
        CalibrationError: the non-members are too few for *fpr* or the known set for a stack, or their scores are
            infinite or all equal.
    """
    known = table.rows(0)
    if not len(known):
        raise ScoresError(f"{table.name}: no row is labelled as a non-member (0), so there is nothing to calibrate on")
    choice = None
    if attack in (AUTO, STACK, BY_DEFAULT):
        choice = choose(table, attack, fraction=fraction, seed=seed, fpr=fpr, confidence=confidence)
        attack, known = choice.attack, known[~choice.fit[known]]
        table = _with_stack(table, choice.stack)
    rows = _scored(table, attack, known)
    groups = table.groups()
    return calibrate_scores(
        table.column(attack)[rows],
        attack=attack,
        fpr=fpr,
        confidence=confidence,
        n_documents=len({groups[row] for row in rows}),
        calibrated_on=made_by(table, attack, choice.record["columns"] if choice and choice.stack else ()),
        categories=[table.categories[row] for row in rows] if table.by else None,
        pool=pool,
        split=choice.split if choice else None,
        chosen=choice.record if choice else None,
        stack=choice.stack if choice else None,
        by=table.by,
        validity=standing_words(table.standing),
    )


def with_decider(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table with the column that *calibration* decides by: that of its stack is made here, others are there.

    Raises `CalibrationError` where the table lacks columns of the stack, or holds the known set that was calibrated on
    and its scores come out otherwise.
    """
    if not calibration.stack:
        return table
    found = _with_stack(table, calibration.stack)
    scores, present = found.column(STACK), table.columns.get(STACK)
    if present is not None and not np.array_equal(present, scores, equal_nan=True):
        raise CalibrationError(f"{table.name}: its column {STACK!r} is not the calibration's stack: rename it")
    try:
        known = (table.labels == 0) & ~fit_part(table, calibration)
    except CalibrationError:  # other passages than were calibrated on, which is what stacks are for
        return found
    if not np.array_equal(np.sort(scores[known & ~np.isnan(scores)]), calibration.scores):
        raise CalibrationError(
            f"{table.name}: the stack gives its known non-members other scores than were calibrated on: the table or "
            "the calibration was changed since; calibrate again"
        )
    return found


def held_out(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table without the passages that the attack of *calibration* was chosen on, or its stack fitted.

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


def _with_stack(table: ScoreTable, record: Mapping[str, Any]) -> ScoreTable:
    if not record:
        return table
    return replace(table, columns={**table.columns, STACK: Stack.read(record).scores(table)})


def _scored(table: ScoreTable, attack: str, known: NDArray[np.intp]) -> NDArray[np.intp]:
    """The *known* rows that have a score; infinite ones are refused by id."""
    scores = table.column(attack)[known]
    rows = known[~np.isnan(scores)]
    infinite = known[np.isinf(scores)]
    if len(infinite):
        named = first_ids(table.ids[row] for row in infinite)
        raise ScoresError(
            f"{table.name}: {len(infinite)} of {len(rows)} calibration scores are NaN or infinite ({named}): find "
            "their cause, and score again"
        )
    return rows
