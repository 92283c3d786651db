"""Files of tables: csv, tsv, jsonl and Parquet as columns, and the values of a column."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ScoresError
from ._columns import Columns, StoredValues

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["are_names", "is_number", "read_file", "strings_of", "why_no_number"]

MISSING_WORDS = ("None", "none", "<NA>")
"""Cells of a csv file that hold no value, besides those that Arrow knows: empty, NaN, NA, null and others."""


def read_file(path: Path, as_written: Callable[[Sequence[str]], Collection[str]]) -> Columns:
    """The columns; those of a csv file that *as_written* selects stay bytes, so that id 007 is not id 7.

    Raises:
        ScoresError: no such file, another format, no rows, or two columns of the same name.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv, json as jsonl

    def read_csv() -> pa.Table:
        nulls = [*arrow_csv.ConvertOptions().null_values, *MISSING_WORDS]
        delimiter, header = _header(path)
        types = dict.fromkeys(as_written(header), pa.binary())
        parsing = arrow_csv.ParseOptions(delimiter=delimiter)
        options = arrow_csv.ConvertOptions(column_types=types, null_values=nulls)
        reading = arrow_csv.ReadOptions(block_size=block())
        return arrow_csv.read_csv(path, reading, parse_options=parsing, convert_options=options)

    def read_jsonl() -> pa.Table:
        return jsonl.read_json(path, jsonl.ReadOptions(block_size=block()))

    def block() -> int:
        # The whole file: a row may not cross a block, and passages among the scores make rows of any length.
        return min(max(path.stat().st_size, 1 << 20), (1 << 31) - 1)

    readers: dict[str, Callable[[], Columns]] = {
        ".csv": lambda: Columns.of(path, read_csv()),
        ".tsv": lambda: Columns.of(path, read_csv()),
        ".jsonl": lambda: Columns.of(path, read_jsonl()),
        ".ndjson": lambda: Columns.of(path, read_jsonl()),
        ".parquet": lambda: Columns.of_parquet(path),
    }
    if path.suffix.lower() not in readers:
        raise ScoresError(f"{path}: a table of scores must be a run directory or a {', '.join(readers)} file")
    if not path.is_file():
        hint = "; the run is not finished, run the same command again" if path.name == "scores.parquet" else ""
        raise ScoresError(f"{path}: no such file{hint}")
    if path.suffix.lower() != ".parquet":
        _refuse_other_contents(path)
    try:
        table = readers[path.suffix.lower()]()
        names = table.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ScoresError(f"{path}: cannot be read: {_reason(error)}") from None
    if not len(table):
        raise ScoresError(f"{path}: holds no rows")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ScoresError(f"{path}: several columns are named {twice[0]!r}: rename all but the first")
    return table


def _refuse_other_contents(path: Path) -> None:
    """Refuse a file of lines that is UTF-16, or a list of JSON."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ScoresError(f"{path}: is UTF-16 text: write the file again as UTF-8")
    if path.suffix.lower() in (".jsonl", ".ndjson") and start.lstrip().startswith(b"["):
        raise ScoresError(f"{path}: holds a JSON list: write an object on each line instead")


def _reason(error: Exception) -> str:
    """Why a library cannot read a file, and what to do about it."""
    reason = str(error).splitlines()[0]
    twice = re.search(r"Column\(/(.*)\) was specified twice in row (\d+)", reason)
    if twice is not None:
        return f"row {int(twice[2]) + 1} has the key {twice[1]!r} twice: keep the right value"
    return reason + (
        ": write values of a single type, and null where there is none" if " changed from " in reason else ""
    )


def _header(path: Path) -> tuple[str, list[str]]:
    """What divides the fields of a csv file, and its header: a comma, unless the header is then a single field."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        line = next(lines, "")
    divided = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in ",;\t|"}
    delimiter = next((name for name, fields in divided.items() if len(fields) > 1), ",")
    return delimiter, divided[delimiter]


def strings_of(path: Path, table: Columns, name: str, instead: Callable[[int], str]) -> StoredValues[str]:
    """The values of a column as strings; where there is none, what *instead* gives for the row, counted from 0."""

    def strings(piece: pa.Array, first: int) -> list[str]:
        if are_names(piece):
            whole: list[str] = piece.to_pylist()
            return whole
        try:
            values = [v.decode() if isinstance(v, bytes) else v for v in piece.to_pylist()]
        except UnicodeDecodeError:
            raise ScoresError(f"{path}: column {name!r} is not UTF-8 text: write the file again as UTF-8") from None
        return [instead(row) if v is None or v == "" else str(v) for row, v in enumerate(values, start=first)]

    return StoredValues(table, name, strings)


def are_names(piece: pa.Array) -> bool:
    """Whether all values are strings, and none is empty; what the strings are is not looked at."""
    import pyarrow.compute
    import pyarrow.types

    kind = piece.type
    if piece.null_count or not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        return False
    return not len(piece) or pyarrow.compute.min(pyarrow.compute.binary_length(piece)).as_py() > 0


def is_number(table: Columns, name: str) -> bool:
    """Whether the column holds numbers, or nothing."""
    import pyarrow.types

    kind = table.schema.field(name).type
    kinds = (pyarrow.types.is_floating, pyarrow.types.is_integer, pyarrow.types.is_null, pyarrow.types.is_decimal)
    return any(is_kind(kind) for is_kind in kinds)


def why_no_number(table: Columns, name: str, classes: Mapping[str, Sequence[str]]) -> str:
    """Why a column that does not hold numbers is no score, and what to do about it."""
    if name in classes:
        return f"column {name!r} holds classes ({', '.join(classes[name])}), so it is no score: name another column"
    for row, value in enumerate(StoredValues(table, name, lambda piece, _: piece.to_pylist()), start=1):
        if value is not None and not _is_numeral(value):
            shown = repr(value) if len(repr(value)) <= 40 else f"a {type(value).__name__}"
            return (
                f"column {name!r} holds {shown} in row {row}, which is no number: correct it (an empty cell or null is "
                "a missing score), or name another column"
            )
    return f"column {name!r} holds numbers that are written as text: write them without quotes, as numbers"


def _is_numeral(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)
