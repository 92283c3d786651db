"""Categories of passages: the values of a column, or bands of length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ScoresError
from ._files import is_number, numbers_of, strings_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LENGTH", "categories_of"]

LENGTH = "length"
"""In the place of a column: bands of length."""


def categories_of(path: Path, table: pa.Table, by: str, column: str | None) -> Sequence[str]:
    """The category of each row *by* ``length`` or by the values of *column*; none where *by* is empty.

    Raises:
        ScoresError: no column holds the lengths.
    """
    names = table.column_names
    if not by:
        return ()
    if by != LENGTH:
        return strings_of(path, table, column, ["unknown"] * table.num_rows)
    lengths = next((name for name in ("n_bytes", LENGTH) if name in names and is_number(table, name)), None)
    if lengths is None:
        raise ScoresError(f"{path}: no column of numbers 'n_bytes' or 'length', so lengths are not known: add it")
    return [_length_band(n_bytes) for n_bytes in numbers_of(table, lengths).tolist()]


def _length_band(n_bytes: float) -> str:
    """The band of a length, for categories. Bands double, and are fixed before any passage is seen.

    >>> _length_band(200), _length_band(0), _length_band(float("nan"))
    ('128-255 bytes', '0 bytes', 'unknown')
    """
    if not 0 <= n_bytes < float("inf"):
        return "unknown"
    power = int(n_bytes).bit_length()
    return f"{1 << power - 1}-{(1 << power) - 1} bytes" if power > 1 else f"{int(n_bytes)} bytes"
