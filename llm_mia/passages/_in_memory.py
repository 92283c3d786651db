"""Rows of data in memory: lists, DataFrames, datasets and anything that offers Arrow columns.

No library is imported here to recognise its objects; whoever gives a DataFrame has imported its library already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PassageError, UsageError
from ..records import Passage
from ._columns import NamedColumns
from ._tables import BATCH_ROWS, Row, one_line, rows_of_batch
from ._usual import class_names, simple_columns

__all__ = ["RowsOf", "rows_in_memory"]

RowsOf = Callable[[], Iterator[Row]]
"""Returns an iterator over all rows; every call begins with the first."""
ARROW = ("__arrow_c_stream__", "__arrow_c_array__")
# The types of pandas.NA and pandas.NaT, which equal nothing, not even themselves.
MISSING = {"NAType", "NaTType"}
WANTED = (
    "a list of strings or of dictionaries, a DataFrame of pandas or polars, a datasets.Dataset, an Arrow table, or "
    "anything else with `__arrow_c_stream__`"
)


def rows_in_memory(data: object, columns: NamedColumns, name: str, place: str) -> RowsOf:
    """A function that returns the rows of *data*; *name* and *place* are for messages: ``{place} 17``.

    Raises:
        UsageError: *data* is of a type that cannot hold passages.
    """
    library = type(data).__module__.partition(".")[0]
    if isinstance(data, str | bytes | Path):
        raise UsageError("`data` is a string or a path: `read_passages` reads a file; a single text is given as [text]")
    if isinstance(data, Mapping):
        keys = ", ".join(map(str, list(data)[:5]))
        raise UsageError(f"`data` is a mapping of {keys}: give one of its values, or {WANTED}")
    if library == "pandas" and hasattr(data, "itertuples"):
        return lambda: _pandas_rows(data, columns, name, place)
    if any(hasattr(data, method) for method in ARROW) and library not in ("datasets", "pandas"):
        table = _arrow_table(data, name)
        if table is not None:
            return lambda: _arrow_rows(table, columns, name, place)
    if not isinstance(data, Iterable):
        raise UsageError(f"`data` is of the type {type(data).__name__}: give {WANTED}")
    items = list(data)
    return lambda: _item_rows(items, place)


def _pandas_rows(frame: Any, columns: NamedColumns, name: str, place: str) -> Iterator[Row]:
    names = [str(column) for column in frame.columns]
    used = columns.choose(names, name, names).names()
    cells = frame.iloc[:, [names.index(column) for column in used]]
    for number, values in enumerate(cells.itertuples(index=False, name=None), start=1):
        yield f"{place} {number}", dict(zip(used, map(_plain, values), strict=True))


def _arrow_table(data: object, name: str) -> Any:
    """*data* as a ``pyarrow.Table``; None for a single column, whose values are then taken one after another."""
    import pyarrow as pa

    try:
        return pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        if isinstance(data, Iterable) and not hasattr(data, "columns"):
            return None
        raise PassageError(name, f"its columns cannot be read as Arrow columns ({one_line(error)})") from None


def _arrow_rows(table: Any, columns: NamedColumns, name: str, place: str) -> Iterator[Row]:
    used = columns.choose(table.column_names, name, simple_columns(table.schema)).names()
    number, classes = 0, class_names(table.schema)
    for batch in table.select(used).to_batches(max_chunksize=BATCH_ROWS):
        for values in rows_of_batch(batch, place, number, classes):
            number += 1
            yield f"{place} {number}", {column: _plain(value) for column, value in values.items()}


def _item_rows(items: Iterable[object], place: str) -> Iterator[Row]:
    for number, item in enumerate(items, start=1):
        where = f"{place} {number}"
        item = _plain(item.as_py() if hasattr(item, "as_py") else item)
        if isinstance(item, Passage):
            known = {"id": item.id, "text": item.text, "document": item.document, "label": item.label}
            yield where, {**item.columns, **known}
        elif isinstance(item, Mapping):
            yield where, {str(column): _plain(value) for column, value in item.items()}
        else:
            yield where, {"text": item}


def _plain(value: Any) -> Any:
    """The value as a Python object, as a file would give it; None where another library marks it as missing."""
    if isinstance(value, np.generic):
        value = value.item()
    if (isinstance(value, float) and value != value) or type(value).__name__ in MISSING:
        return None
    return value
