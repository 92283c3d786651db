"""Rows of Parquet and Arrow files, with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import PassageError
from ._columns import NamedColumns, quoted
from ._faults import Faults
from ._files import InputFile
from ._usual import class_names, simple_columns

__all__ = [
    "BATCH_ROWS",
    "Row",
    "Tally",
    "one_line",
    "read_arrow",
    "read_parquet",
    "rows_of_batch",
    "with_class_names",
    "with_partition",
]

Row = tuple[str, dict[str, Any]]
"""The place of a row, for messages, and its values by column."""

BATCH_ROWS = 512
"""Rows of a Parquet file in memory at a time."""
EMPTY: Mapping[str, Sequence[str]] = {}


@dataclass(slots=True)
class Tally:
    """What an iteration over rows counts."""

    blank_lines: int = 0
    empty_texts: int = 0
    """Rows without text, left out."""
    faults: Faults = field(default_factory=Faults)
    without_labels: tuple[str, ...] = ()
    """The columns of a table among which none holds labels, although ``labels`` gives the meaning of words."""
    repeated_ids: bool = False
    """Whether an id has occurred twice."""
    labels_judged: bool = False
    """Whether it is decided that the column of labels of an input with a role holds labels."""


def read_parquet(file: InputFile, columns: NamedColumns) -> Iterator[Row]:
    """The rows of a Parquet file; only the columns in use, and a batch of rows in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as table:
            used = _used(table.schema_arrow, columns, file)
            batches = table.iter_batches(batch_size=BATCH_ROWS, columns=used)
            yield from _rows(batches, file.shown, class_names(table.schema_arrow))
    except (pa.ArrowException, OSError) as error:
        reason = one_line(error)
        raise PassageError(file.shown, f"not a readable Parquet file ({reason}): write or copy it again") from error


def read_arrow(file: InputFile, columns: NamedColumns) -> Iterator[Row]:
    """The rows of an Arrow file or stream, such as `save_to_disk` of datasets writes; only the columns in use."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(file.path)) as source:
            stream = source.read(6) != b"ARROW1"
            source.seek(0)
            if stream:
                table = pa.ipc.open_stream(source)
                batches = iter(table)
            else:
                table = pa.ipc.open_file(source)
                batches = map(table.get_batch, range(table.num_record_batches))
            used = _used(table.schema, columns, file)
            parts = (batch.slice(at, BATCH_ROWS) for batch in batches for at in range(0, batch.num_rows, BATCH_ROWS))
            yield from _rows((part.select(used) for part in parts), file.shown, class_names(table.schema))
    except (pa.ArrowException, OSError) as error:
        reason = one_line(error)
        raise PassageError(file.shown, f"not a readable Arrow file ({reason}): write or copy it again") from error


def _used(schema: Any, columns: NamedColumns, file: InputFile) -> list[str]:
    """The columns in use; those that come from the folders of the file are not in it."""
    simple = file.columns(simple_columns(schema))
    chosen = columns.choose(file.columns(schema.names), file.shown, simple)
    return [name for name in chosen.names() if name in schema.names]


def _rows(batches: Iterable[Any], shown: str, classes: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    row = 0
    for batch in batches:
        for values in rows_of_batch(batch, f"{shown} row", row, classes):
            row += 1
            yield f"{shown} row {row}", values


def with_partition(rows: Iterable[Row], file: InputFile, tally: Tally) -> Iterator[Row]:
    """The *rows* with the columns that the folders of the file give, as ``label=0/`` does.

    A row that has another value in such a column is left to *tally*.
    """
    for where, values in rows:
        others = [(name, value) for name, value in file.partition if values.get(name) is not None]
        wrong = [(name, value) for name, value in others if str(values[name]) != value]
        if wrong:
            name, value = wrong[0]
            tally.faults.add(
                where,
                f"column {quoted(name)} holds {quoted(values[name])}, but its folder is named {name}={value}: "
                "move the file, or correct the column",
            )
            continue
        yield where, {**values, **dict(file.partition)}


def rows_of_batch(
    batch: Any, place: str, before: int, classes: Mapping[str, Sequence[str]] = EMPTY
) -> list[dict[str, Any]]:
    """The rows of a ``pyarrow.RecordBatch`` as dictionaries; `PassageError` for a string that is not UTF-8.

    *before* is the number of rows in earlier batches, *place* the beginning of the place in a message. A column of
    *classes* gives the names of its classes in place of their codes.
    """
    try:
        return [with_class_names(row, classes) for row in batch.to_pylist()]
    except UnicodeDecodeError:
        for i in range(batch.num_rows):
            try:
                batch.slice(i, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise PassageError(
                    f"{place} {before + i + 1}",
                    f"not UTF-8: byte {error.start + 1} of a string; write the file again as UTF-8",
                ) from None
        raise


def with_class_names(row: dict[str, Any], classes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The *row* with names in place of the codes of *classes*; a code without a name, such as −1, means no class."""
    for column, names in classes.items():
        code = row.get(column)
        if isinstance(code, int):
            row[column] = names[code] if 0 <= code < len(names) else None
    return row


def one_line(error: BaseException) -> str:
    """The first line of another library's message, cut to fit into a message of this package."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(". ")
