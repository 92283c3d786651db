"""Categories of passages: the values of a column, or bands of length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ScoresError
from ..records import SharedNames
from ._columns import Columns
from ._files import is_number, strings_of

__all__ = ["LENGTH", "categories_of"]

LENGTH = "length"
"""In the place of a column: bands of length."""


def categories_of(path: Path, table: Columns, by: str, column: str | None) -> Sequence[str]:
    """The category of each row *by* ``length`` or by the values of *column*; none where *by* is empty.

    Raises:
        ScoresError: no column holds the lengths.
    """
    names = table.names
    if not by:
        return ()
    if by != LENGTH:
        if column is None:
            return SharedNames.of(["unknown"]).take(np.zeros(len(table), dtype=np.intp))
        return SharedNames.of(strings_of(path, table, column, lambda _: "unknown"))
    lengths = next((name for name in ("n_bytes", LENGTH) if name in names and is_number(table, name)), None)
    if lengths is None:
        raise ScoresError(f"{path}: no column of numbers 'n_bytes' or 'length', so lengths are not known: add it")
    return SharedNames.of([*map(_length_band, table.numbers(lengths).tolist())])


def _length_band(n_bytes: float) -> str:
    """The band of a length, for categories. Bands double, and are fixed before any passage is seen.

    >>> _length_band(200), _length_band(0), _length_band(float("nan"))
    ('128-255 bytes', '0 bytes', 'unknown')
    """
    if not 0 <= n_bytes < float("inf"):
        return "unknown"
    power = int(n_bytes).bit_length()
    return f"{1 << power - 1}-{(1 << power) - 1} bytes" if power > 1 else f"{int(n_bytes)} bytes"
