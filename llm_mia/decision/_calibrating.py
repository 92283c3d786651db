"""Known non-members of a table → a calibration; and the calibration's score in another table."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError, ScoresError
from ..records import Note, count_distinct, number_names
from ..scores import UNKNOWN, ScoreTable, taken
from ._calibration import Calibration
from ._equal_scores import join_equal_scores
from ._missing_scores import lacks_score_for_unknown_reason
from ._notes import NoteKind, first_ids
from ._origin import origin_of
from ._score_checks import order_notes, refuse_non_scores, reversed_notes
from ._selecting import Draw, fit_part, select_decider
from ._selection import Selection, Wanted
from ._thresholds import Basis, CalibrationScores, set_thresholds
from .stack import STACK, add_stack_column
from .stacking import StackSettings

__all__ = ["add_decider_column", "calibrate", "calibration_part", "calibration_rows"]

MOST_CATEGORIES = 12
"""Categories that a note lists at most."""


def calibrate(
    table: ScoreTable,
    attack: str,
    *,
    fpr: float,
    confidence: float | None = None,
    pool: bool | Collection[str] = (),
    fit_share: float = 0.5,
    seed: int = 0,
    stack_settings: StackSettings | None = None,
) -> Calibration:
    """The threshold above which a score is flagged, and all it takes to apply it to other scores.

    A non-member that is exchangeable with the table's non-members is flagged with probability at most *fpr*: on average
    over known sets like this one, or with *confidence* in this one. Where passages share documents, it is a passage of
    a new document, each document counts once, and the number of documents must be enough for the rate. Where the table
    was read with categories, the rate holds in each category separately (see
    `llm_mia.decision._thresholds.set_thresholds`). Non-members without a score set no threshold.

    Args:
        table: of a run directory, of a file (`read_scores`), or of arrays (`ScoreTable.of`).
        attack: the column that decides; ``-loss`` is the column ``loss`` with the opposite sign. Or ``auto``, the
            column that separates best; ``stack``, a score that is learned from all columns; ``default``, the stack of a
            large known set, else ``reference`` or ``min_k``. These three use the columns of a run or of arrays; of
            another file, those that `read_scores` was given by name. A part of the known documents (the fit part)
            selects or fits what decides, and the non-members of the other part set the threshold.
        fpr: the largest false positive rate.
        confidence: confidence with which the rate holds for this known set; None: it holds on average over known sets.
        pool: names of categories to treat as a single category; True: those that are too small here.
        fit_share: share of the known documents in the fit part.
        seed: of the draw of the fit part.
        stack_settings: the forms that a stack may take.

    Raises:
        ScoresError: the table has no such column, no non-members, or infinite scores of them; or in a file of another
            program the column cannot be a score (a row number, an id, a time, the label), or none is named.
        CalibrationError: the non-members or their documents are too few for *fpr*, or the known set for a stack, or
            their scores are all equal.

    >>> table = ScoreTable.of([3.0, 1.0, 2.0, 5.0], [0, 0, 0, None])
    >>> calibration = calibrate(table, "score", fpr=0.25)
    >>> calibration.threshold, calibration.flagged([2.5, 3.5]).tolist()
    (3.0, [False, True])
    """
    known = table.rows(0)
    if (table.labels == UNKNOWN).all():
        raise ScoresError(
            f"{table.name}: no row has a label, and non-members (label 0) set the threshold; if the labels are in a "
            "column with another name than 'label', name it as `label_column`"
        )
    if not len(known):
        raise ScoresError(
            f"{table.name}: no row has the label 0 (known non-member), and the threshold is set by known non-members: "
            "add them"
        )
    split, selection, stack, used = None, Selection(), None, [attack]
    checked = table
    if attack in (Wanted.AUTO, Wanted.STACK, Wanted.DEFAULT):
        used = table.all_scores("scores")
        refuse_non_scores(table, used)
        draw = Draw(fit_share, seed)
        decider = select_decider(
            table, Wanted(attack), draw=draw, fpr=fpr, confidence=confidence, settings=stack_settings
        )
        attack, known = decider.attack, known[~decider.fit[known]]
        split, selection, stack = decider.split, decider.selection, decider.stack
        # The other part sets the threshold, and nothing else may be learned from it.
        checked = table.only(decider.fit) if split else table
        table = add_stack_column(table, stack)
    else:
        refuse_non_scores(table, used)
    table, equal = (table, []) if split else join_equal_scores(table, attack)
    rows = _scored(table, attack, known)
    notes = [
        *(note for note in equal if note.figures["role"] == "non-member"),
        *reversed_notes(checked, [] if stack else used),
        *order_notes(table, [attack]),
    ]
    if len(rows) < len(known):
        unscored = {"count": len(known) - len(rows), "foreign": table.record is None}
        left_out = 0 if table.record is None else int(lacks_score_for_unknown_reason(table, attack)[known].sum())
        unscored |= {"left_out": left_out} if left_out else {}
        notes.append(Note(NoteKind.NONMEMBERS_UNSCORED, unscored))
    notes += _unknown_pool(table, pool)
    groups = table.groups()
    basis = Basis(
        attack=attack,
        fpr=fpr,
        confidence=confidence,
        origin=origin_of(table, [column.name for column in stack.columns] if stack else [attack]),
        by=table.by,
        split=split,
        selection=selection,
        stack=stack,
        standing=table.standing,
        by_shadows=bool(table.places),
        notes=tuple(notes),
    )
    categories = list(taken(table.categories, rows)) if table.by else None
    wanted = set(number_names(taken(table.categories, table.rows(None)))[0]) if table.by else ()
    scored = CalibrationScores.of(table.column(attack)[rows], [groups[row] for row in rows])
    return set_thresholds(basis, scored, categories, pool, wanted)


def _unknown_pool(table: ScoreTable, pool: bool | Collection[str]) -> list[Note]:
    """A note on the names in *pool* that no row has; other tables may have them, or they are misspelt."""
    names = [] if isinstance(pool, bool) else [pool] if isinstance(pool, str) else list(pool)
    unknown = sorted({*names} - {*table.categories})
    if not table.by or not unknown:
        return []
    return [
        Note(NoteKind.POOL_UNKNOWN, {"names": unknown, "categories": sorted({*table.categories})[:MOST_CATEGORIES]})
    ]


def add_decider_column(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table with the column that *calibration* decides by: the scores of a stack are computed here.

    Raises:
        CalibrationError: the table lacks columns of the stack; or it holds the known set that was calibrated on, and
            the stack gives it other scores than then.
    """
    if calibration.stack is None:
        return table
    extended = add_stack_column(table, calibration.stack)
    scores, present = extended.column(STACK), table.columns.get(STACK)
    if present is not None and not np.array_equal(present, scores, equal_nan=True):
        raise CalibrationError(
            f"{table.name}: its column {STACK!r} does not hold the scores of the calibration's stack: rename the column"
        )
    try:
        known = (table.labels == 0) & ~fit_part(table, calibration)
    except CalibrationError:  # other passages than were calibrated on: a stack scores these too
        return extended
    if not np.array_equal(np.sort(scores[known & ~np.isnan(scores)]), calibration.scores):
        raise CalibrationError(
            f"{table.name}: the stack gives its known non-members other scores than the calibration holds, so the "
            "table or the calibration was changed since: calibrate again"
        )
    return extended


def calibration_part(table: ScoreTable, calibration: Calibration) -> ScoreTable:
    """The table without the passages that selected the attack of *calibration*, or that its stack was fitted on.

    Raises:
        CalibrationError: its known set is not the known set that was split.
    """
    return table.only(~fit_part(table, calibration)) if calibration.split else table


def calibration_rows(table: ScoreTable, calibration: Calibration) -> NDArray[np.intp]:
    """The rows of the non-members that *calibration* was computed from.

    Raises:
        CalibrationError: the table has other non-members, or they come from another number of documents.
    """
    known = table.rows(0)[~fit_part(table, calibration)[table.rows(0)]]
    scores, groups = table.column(calibration.attack)[known], table.groups()
    if not np.array_equal(np.sort(scores[~np.isnan(scores)]), calibration.scores):
        raise CalibrationError(
            f"{table.name}: its known non-members are not those that set the threshold: give the table that was "
            "calibrated, or calibrate this table"
        )
    documents = count_distinct(groups.take(known[~np.isnan(scores)]))
    if documents != calibration.n_documents:
        raise CalibrationError(
            f"{table.name}: its known non-members come from {documents} documents, and those that set the threshold "
            f"from {calibration.n_documents}: give the table that was calibrated, or calibrate this table"
        )
    return known


def _scored(table: ScoreTable, attack: str, known: NDArray[np.intp]) -> NDArray[np.intp]:
    """The *known* rows that have a score; infinite scores are refused by id."""
    scores = table.column(attack)[known]
    rows = known[~np.isnan(scores)]
    infinite = known[np.isinf(scores)]
    if len(infinite):
        named = first_ids(taken(table.ids, infinite))
        raise ScoresError(
            f"{table.name}: {len(infinite)} of {len(rows)} scores of known non-members are infinite ({named}): search "
            "for the cause, and score again"
        )
    return rows
