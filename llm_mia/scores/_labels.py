"""Valid labels of a table of scores, and the message about a missing column."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoresError

__all__ = ["UNKNOWN", "label_codes", "missing_column"]

UNKNOWN = -1
"""The label of a candidate in `ScoreTable.labels`."""
LABELS: dict[object, int] = {0: 0, 1: 1, "0": 0, "1": 1, "false": 0, "true": 1, None: UNKNOWN, "": UNKNOWN}


def label_codes(values: Iterable[object], name: str) -> NDArray[np.int8]:
    """The labels of a column as 1 (member), 0 (non-member) and −1 (unknown), shape (rows,).

    Raises:
        ScoresError: a label is neither 0/1 nor true/false nor empty; the message names the row, counted from 1.
    """
    codes = []
    for row, value in enumerate(values, start=1):
        key = value.strip().lower() if isinstance(value, str) else value
        if isinstance(key, float) and math.isnan(key):
            key = None
        if not isinstance(key, Hashable) or key not in LABELS:
            raise ScoresError(f"{name} row {row}: label {value!r} is neither 0 nor 1, and neither true nor false")
        codes.append(LABELS[key])
    return np.array(codes, dtype=np.int8)


def missing_column(name: str, names: Collection[str]) -> str:
    """What to say where *names* lack the column *name*: those that there are, and the nearest."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no column {name!r}; it has {', '.join(names)}{hint}"
