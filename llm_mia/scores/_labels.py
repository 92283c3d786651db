"""Valid labels of a table of scores, and the message about a missing column."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError
from ..passages import membership

__all__ = ["UNKNOWN", "label_codes", "missing_column"]

UNKNOWN = -1
"""The label of a candidate in `ScoreTable.labels`."""


def label_codes(values: Iterable[object], name: str, advice: str = "correct it", *, first: int = 1) -> NDArray[np.int8]:
    """The labels of a column as 1 (member), 0 (non-member) and −1 (unknown), shape (rows,).

    *advice* is what a message says to do about another value, and *first* the number of the first row.

    Raises:
        ScoresError: a label means none of these (`llm_mia.passages.membership`); names the row, counted from 1.
    """
    codes = []
    for row, value in enumerate(values, start=first):
        try:
            label = membership(value)
        except ValueError as error:
            raise ScoresError(f"{name} row {row}: label {value!r} is {error}: {advice}") from None
        codes.append(UNKNOWN if label is None else label)
    return np.array(codes, dtype=np.int8)


def missing_column(name: str, names: Collection[str]) -> str:
    """What to say where *names* lack the column *name*: those that there are, and the nearest."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no column {name!r}; it has {', '.join(names)}{hint}"
