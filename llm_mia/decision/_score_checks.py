"""Columns that cannot be scores, and columns whose sign seems reversed or that follow the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import metrics
from ..errors import ScoresError
from ..records import Interval, Note, number_names
from ..scores import ScoreTable, row_order
from ._notes import NoteKind

if TYPE_CHECKING:
    from ._calibration import Calibration

__all__ = [
    "notes_on_candidates",
    "order_notes",
    "refuse_non_scores",
    "reversed_note",
    "reversed_notes",
    "validation_notes",
]

FEWEST = 20
"""Rows below which nothing is concluded from the values of a column."""
FEWEST_OF_CLASS = 10
"""Members, and non-members, below which nothing is concluded about the sign of a column."""
FOLLOWS, IS_ORDER = 0.5, 0.9
"""Shares of the largest possible rank correlation with the rows: from the first a note, from the second a refusal."""


def refuse_non_scores(table: ScoreTable, attacks: Sequence[str], *, order: bool = True) -> None:
    """Refuse columns of another program's file that cannot be scores: numbers of the rows, ids, times, labels.

    In a run's table, or in arrays that the user gives as scores, nothing is refused.

    Args:
        table: what the columns are of.
        attacks: the columns that are used.
        order: refuse also a column that is the order of the labelled rows.

    Raises:
        ScoresError: names the column, what its values are, and what to do.
    """
    if not table.foreign:
        return
    for attack in attacks:
        reason = _why_not_a_score(table, attack, order=order)
        if reason:
            raise ScoresError(f"{table.name}: column {attack!r} {reason}")


def _why_not_a_score(table: ScoreTable, attack: str, *, order: bool) -> str:
    """What the values are, if not scores, and what to do; empty where they may be scores."""
    scores = table.column(attack)
    finite = scores[np.isfinite(scores)]
    if len(finite) >= FEWEST and np.array_equal(finite, np.floor(finite)) and len(np.unique(finite)) == len(finite):
        return (
            "holds a different whole number in each row, as a row number, an id, a time or a rank does, so it is no "
            "score: name a column of scores"
        )
    members, nonmembers = (np.unique(scores[table.rows(label)]) for label in (1, 0))
    few = min(len(table.rows(1)), len(table.rows(0))) < FEWEST_OF_CLASS
    if not few and len(members) == len(nonmembers) == 1 and members[0] != nonmembers[0]:
        return (
            f"is {members[0]:g} for all members and {nonmembers[0]:g} for all non-members: it holds the label and no "
            "score: name a column of scores"
        )
    # Candidates that are sorted by their score are no sign against it.
    known = np.where(table.labels >= 0, scores, np.nan)
    closest = row_order(known, table.labels, number_names(table.groups())[1]) if order else None
    if closest is not None and closest.share >= IS_ORDER:
        return (
            f"follows the order of the rows (rank correlation {closest.correlation:.2f} with the row number among the "
            f"{ROLES[closest.label]}), as a counter or a time does: name a column of scores; if it is a score, and the "
            "table was sorted by it, shuffle the rows"
        )
    return ""


ROLES = {1: "members", 0: "non-members", -1: "candidates"}


def order_notes(table: ScoreTable, attacks: Sequence[str]) -> Iterator[Note]:
    """A note for each column that follows the order of the rows within a label, which may be a sign of a leak.

    A column whose values do not depend on the order is noted with probability at most 0.001 (`row_order`).
    """
    documents = number_names(table.groups())[1]
    for attack in attacks:
        order = row_order(table.column(attack), table.labels, documents)
        if order is not None and order.share >= FOLLOWS:
            figures = {"correlation": order.correlation, "among": ROLES[order.label], "documents": order.documents}
            yield Note(NoteKind.SCORE_FOLLOWS_ROWS, {"attack": attack, **figures})


def notes_on_candidates(table: ScoreTable, calibration: Calibration) -> list[Note]:
    """The notes of the calibration, and those that the table of the candidates adds."""
    attack, notes = calibration.attack, list(calibration.notes)
    here = [
        *validation_notes(table),
        *order_notes(table, [attack]),
        *([] if calibration.stack else reversed_notes(table, [attack])),
    ]
    return [*notes, *(note for note in here if note.kind not in {note.kind for note in notes})]


def validation_notes(table: ScoreTable, *, evaluated: bool = False) -> list[Note]:
    """A note on what could not be checked, where the known set of *table* has no standing.

    *evaluated*: attacks are compared, and nothing is decided.
    """
    if table.standing is not None:
        return []
    figures = {"foreign": table.record is None, "others": sorted(table.others), "evaluated": evaluated}
    return [Note(NoteKind.NOT_VALIDATED, figures)]


def reversed_notes(table: ScoreTable, attacks: Sequence[str]) -> list[Note]:
    """A note for each column by which members score below non-members: the interval of its AUROC is below 0.5."""
    groups, notes = table.groups(), []
    for attack in attacks:
        scores = table.column(attack)
        rows = np.flatnonzero((table.labels >= 0) & ~np.isnan(scores))
        labels, documents = table.labels[rows], [groups[row] for row in rows]
        if min((labels == 1).sum(), (labels == 0).sum()) < FEWEST_OF_CLASS:
            continue
        grouped = len(set(documents)) < len(documents)
        auroc = (
            metrics.auroc(scores[rows], labels, documents=documents)
            if grouped
            else metrics.delong(scores[rows], labels)
        )
        notes += reversed_note(attack, auroc, foreign=table.record is None)
    return notes


def reversed_note(attack: str, auroc: Interval, *, foreign: bool) -> list[Note]:
    """The note of a column with this *auroc*; none where its interval reaches 0.5."""
    if not auroc.high < 0.5:
        return []
    figures = {"auroc": auroc.value, "low": auroc.low, "high": auroc.high, "foreign": foreign}
    return [Note(NoteKind.SCORE_REVERSED, {"attack": attack, **figures})]
