"""Rows of a table with equal scores, which are most likely copies of a text: together they count once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..records import Note
from ..scores import ScoreTable
from ._notes import NoteKind

__all__ = ["equal_rows", "join_equal_scores"]

Ints = NDArray[np.intp]
FEWEST_PAIRS = 3
"""Equal pairs of scores below which they are a coincidence: three rows of a text are three pairs."""
ROLES = {1: "member", 0: "non-member", -1: "candidate"}


def join_equal_scores(table: ScoreTable, attack: str) -> tuple[ScoreTable, list[Note]]:
    """The table with a common document for rows of equal scores, and a note for each role that has such rows.

    Copies of a text have equal scores, and are not independent. In a run equal texts share a document already, so only
    tables of other programs and arrays change; and there only rows for which no document is named.
    """
    if table.record is not None or not table.has(attack):
        return table, []
    scores, groups = table.column(attack), table.groups()
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    named = zip(table.ids, table.documents, groups, strict=True)
    alone = np.array([document == passage and sizes[group] == 1 for passage, document, group in named], dtype=bool)
    documents, notes = list(table.documents), list[Note]()
    for label, role in ROLES.items():
        rows = np.flatnonzero((table.labels == label) & alone & np.isfinite(scores))
        copies = equal_rows(scores[rows], scores[(table.labels != label) & np.isfinite(scores)])
        for positions in copies:
            first = table.ids[rows[positions[0]]]
            for row in rows[positions].tolist():
                documents[row] = f"{first} (equal scores of {role}s)"
        if copies:
            figures = {"attack": attack, "role": role, "rows": sum(map(len, copies)), "documents": len(copies)}
            notes.append(Note(NoteKind.SCORES_EQUAL, figures))
    return (replace(table, documents=documents) if notes else table), notes


def equal_rows(scores: NDArray[np.float64], others: NDArray[np.float64] | None = None) -> list[Ints]:
    """The positions of scores that are equal, a group each, where chance or rounding does not explain them; else none.

    Scores that are rounded, or are counts, are equal by chance. Then two scores are as often a step apart in either
    direction as they are equal, so pairs at the smallest distance are about twice as many as equal pairs. Scores are
    taken for copies where equal pairs are more than those, and at least three, and where the scores fill less than half
    of the steps between the lowest and the highest. Pairs at the lowest value do not count for that: a score may have
    a floor. Rounding to significant digits has no common step; but it makes scores equal to those of *others*, of other
    roles, as often as to each other, and copies of a text do not. So *others* show how many pairs are a coincidence.

    Steps, range and floor are those of both together: all candidates may be copies of a single text.

    >>> [group.tolist() for group in equal_rows(np.array([0.31, 0.8217, 0.8217, 0.8217, 0.11, 0.5, 0.57, 0.552]))]
    [[1, 2, 3]]
    >>> equal_rows(np.array([1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0]))
    []
    """
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    levels = values if others is None else np.unique(np.concatenate([values, others]))
    if len(levels) < 2 or not len(values):
        return []
    above = values > levels[0]
    pairs = float((counts * (counts - 1.0) / 2)[above].sum())
    step = np.diff(levels).min()
    apart = float((counts[1:] * counts[:-1])[np.diff(values) < 1.5 * step].sum())
    filled = len(levels) / (1 + (levels[-1] - levels[0]) / step)
    explained = max(apart, _coincidences(values[above], counts[above], len(scores), others))
    if pairs < FEWEST_PAIRS or pairs <= explained or filled >= 0.5:
        return []
    return [np.flatnonzero(inverse == value) for value in np.flatnonzero(counts > 1)]


def _coincidences(values: NDArray[np.float64], counts: Ints, n: int, others: NDArray[np.float64] | None) -> float:
    """The most equal pairs of *n* scores that rounding explains: twice as many as the pairs with *others*, and 3."""
    if others is None or not len(others):
        return 0.0
    theirs, frequencies = np.unique(others, return_counts=True)
    _, here, there = np.intersect1d(values, theirs, assume_unique=True, return_indices=True)
    across = float((counts[here] * frequencies[there]).sum())
    return 2 * across * (n - 1) / (2 * len(others)) + FEWEST_PAIRS if across else 0.0
