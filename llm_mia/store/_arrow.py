"""Columns of Arrow from arrays of numpy and back, by their buffers.

`pyarrow.array` and ``to_numpy`` import pandas where it is installed, which takes longer than all the work on a finished
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..records import Plain

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_numpy", "numbers", "plain_values", "strings"]


def numbers(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """A column of *values*, shape (n,), null where *missing*."""
    import pyarrow as pa

    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])


def strings(values: Sequence[str | None]) -> pa.StringArray:
    """A column of strings, null where a value is None."""
    import pyarrow as pa

    raw = [b"" if value is None else value.encode() for value in values]
    ends = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    there = np.array([value is not None for value in values], dtype=bool)
    valid = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(ends), pa.py_buffer(b"".join(raw)), valid)


def plain_values(values: Sequence[Plain], kind: str) -> pa.Array:
    """A column of the type *kind*: ``string``, ``int64``, ``float64`` or ``bool``; null where a value is None."""
    import pyarrow as pa

    if kind == "string":
        return strings([value if value is None else _as_string(value) for value in values])
    missing = np.array([value is None for value in values], dtype=bool)
    there = [0 if value is None else value for value in values]
    if kind == "bool":  # the only type whose buffer holds bits
        buffers = [np.packbits(~missing, bitorder="little"), np.packbits(np.array(there, bool), bitorder="little")]
        return pa.Array.from_buffers(pa.bool_(), len(there), [pa.py_buffer(buffer) for buffer in buffers])
    return numbers(np.array(there, dtype=kind), missing)


def _as_string(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_numpy(column: pa.Array) -> NDArray[Any]:
    """The values of a column of numbers without nulls, as a view."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    if not len(column):
        return np.empty(0, dtype)
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * dtype.itemsize)
