"""Rows of JSON Lines, JSON, CSV and Parquet files, with their places."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PassageError
from ._columns import NamedColumns
from ._files import InputFile, decoded_lines, first_character
from ._usual import class_names, simple_columns

Row = tuple[str, dict[str, Any]]
"""The place of a row, for messages, and its values by column."""

LONGEST_FIELD = 2**26
"""Characters of a CSV field: more than any book has, and an unclosed quote cannot read a whole disk into memory."""
BATCH_ROWS = 512
"""Rows of a Parquet file in memory at a time."""
EMPTY: Mapping[str, Sequence[str]] = {}

_BLANK = re.compile(r"[ \t\n\r]*")  # white space as JSON defines it


@dataclass(slots=True)
class Tally:
    """What an iteration over rows counts."""

    blank_lines: int = 0


def read_jsonl(file: InputFile, tally: Tally) -> Iterator[Row]:
    """The JSON object of each line; blank lines are counted."""
    for number, line in decoded_lines(file):
        where = f"{file.shown} line {number}"
        if not line or line.isspace():
            tally.blank_lines += 1
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PassageError(where, _json_problem(error)) from None
        yield where, _object(value, where)


def read_json(file: InputFile, tally: Tally) -> Iterator[Row]:
    """The objects of a JSON list; a file that starts with anything else is read as JSON Lines.

    The whole text of the file is in memory, but only a single object at a time.
    """
    if first_character(file) != "[":
        yield from read_jsonl(file, tally)
        return
    text = "".join(line for _, line in decoded_lines(file))
    decoder = json.JSONDecoder()
    at, counted, line = _skip(text, text.index("[") + 1), 0, 1
    try:
        closed = text[at : at + 1] == "]"
        while not closed:
            line, counted = line + text.count("\n", counted, at), at
            value, end = decoder.raw_decode(text, at)
            where = f"{file.shown} line {line}"
            yield where, _object(value, where)
            at = _skip(text, end)
            closed = text[at : at + 1] == "]"
            if not closed and text[at : at + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
            at = at if closed else _skip(text, at + 1)
        if (at := _skip(text, at + 1)) < len(text):
            raise json.JSONDecodeError("Extra data", text, at)
    except (ValueError, RecursionError) as error:
        place = error.lineno if isinstance(error, json.JSONDecodeError) else line
        raise PassageError(f"{file.shown} line {place}", _json_problem(error)) from None


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _object(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    kind = {list: "list", str: "string", bool: "true or false", type(None): "null"}.get(type(value), "number")
    raise PassageError(
        where, f'not a JSON object but a {kind}: write each line or list item as an object such as {{"text": "…"}}'
    )


def _json_problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        problem = error.msg.removesuffix(" at").removesuffix(" starting").rstrip(": ")
        return f"malformed JSON at column {error.colno} ({problem}): correct it or remove it"
    if isinstance(error, RecursionError):
        return "JSON nested too deeply: write each passage as a flat object"
    return "JSON with a number of too many digits: write it as a string"


def read_csv(file: InputFile, tally: Tally, columns: NamedColumns, delimiter: str) -> Iterator[Row]:
    """The rows under a header, with quotes as in Excel (TSV too); line ends inside quotes are kept.

    Blank lines are counted. The place of a row is the line of the file on which it starts.
    """
    # The limit holds for the whole process, so it is only raised; a passage may exceed the default, 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    # Strict: otherwise an unclosed quote would not be an error, and `"a"b` would lose its quotes.
    reader = csv.reader((line for _, line in decoded_lines(file)), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        where = f"{file.shown} line {reader.line_num + 1}"
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise PassageError(where, _csv_problem(error)) from None
        if fields is None:
            return
        # White space alone is a blank line, unless the table has a single column, whose value it may be.
        if not fields or (len(fields) == 1 and not fields[0].strip() and (header is None or len(header) > 1)):
            tally.blank_lines += 1
        elif header is None:
            header = fields
            columns.choose(header, where)  # a missing column is an error at the header, before any row
        elif len(fields) != len(header):
            raise PassageError(
                where,
                f"{len(fields)} fields, but the header has {len(header)}: "
                "a field with a delimiter, a quote or a line end must be quoted",
            )
        else:
            yield where, dict(zip(header, fields, strict=True))


def _csv_problem(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return "a quote that opens in this row is never closed: close it, or double a quote that belongs to the text"
    if "field larger than" in message:
        return f"a field of more than {LONGEST_FIELD:,} characters: close the quote that opens it, or divide the text"
    if "new-line character" in message:
        return "a carriage return alone, outside quotes: write the file with line ends LF or CRLF"
    return f"malformed CSV ({message}): double the quotes inside a quoted field"


def read_parquet(file: InputFile, columns: NamedColumns) -> Iterator[Row]:
    """The rows of a Parquet file; only the columns in use, and a batch of rows in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(file.path) as table:
            schema = table.schema_arrow
            chosen, classes = columns.choose(schema.names, file.shown, simple_columns(schema)), class_names(schema)
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=chosen.names()):
                for values in rows_of_batch(batch, f"{file.shown} row", row, classes):
                    row += 1
                    yield f"{file.shown} row {row}", values
    except (pa.ArrowException, OSError) as error:
        reason = one_line(error)
        raise PassageError(file.shown, f"not a readable Parquet file ({reason}): write or copy it again") from error


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
