"""Which rows of two tables are the same passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError
from ._table import ScoreTable

__all__ = ["ROLES", "rows_in_common"]

ROLES: Mapping[str, int | None] = {"candidates": None, "members": 1, "non-members": 0}
"""The label of the passages of each role."""


def rows_in_common(
    first: ScoreTable,
    second: ScoreTable,
    first_digests: Sequence[str] | None = None,
    second_digests: Sequence[str] | None = None,
) -> dict[str, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The rows of the passages that both tables have in the same role, by role: in the first table, and in the second.

    A passage is the same if its role, its id and, where both are given, the digest of its text are.

    Args:
        first: a table.
        second: another.
        first_digests: the digest of the text of each row of the first; None: not known.
        second_digests: the same of the second.

    Raises:
        ScoresError: they have no candidate in common, or a passage of the same id and role has another text.

    >>> first = ScoreTable.of([0.1, 0.2, 0.3], [None, None, 0], ids=["a", "b", "c"])
    >>> second = ScoreTable.of([0.4, 0.5], [None, None], ids=["c", "a"])
    >>> [rows.tolist() for rows in rows_in_common(first, second)["candidates"]]
    [[0], [1]]
    """
    pairs, others, shared = dict[str, tuple[NDArray[np.intp], NDArray[np.intp]]](), 0, 0
    for role, label in ROLES.items():
        at = {second.ids[row]: row for row in second.rows(label).tolist()}
        both = [(row, at[first.ids[row]]) for row in first.rows(label).tolist() if first.ids[row] in at]
        if first_digests is not None and second_digests is not None:
            others += sum(first_digests[row] != second_digests[other] for row, other in both)
        shared += len(both)
        rows = np.array(both, dtype=np.intp).reshape(-1, 2)
        pairs[role] = rows[:, 0], rows[:, 1]
    if others:
        raise ScoresError(
            f"{second.name}: {others:,} of {shared:,} passages with an id that {first.name} has, too, have another "
            "text there: compare two runs on the same texts, or give the passages ids that belong to their texts"
        )
    if not len(pairs["candidates"][0]):
        raise ScoresError(
            f"{second.name}: none of its {len(second.rows(None)):,} candidates has the id of any of the "
            f"{len(first.rows(None)):,} candidates of {first.name}: compare two runs on the same candidates, with the "
            "same ids"
        )
    return pairs
