"""Rows of jsonl, json, csv and parquet, with their places."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import PassageError
from ._columns import Columns
from ._files import InputFile, decoded_lines, first_character

Row = tuple[str, dict[str, Any]]
"""The place of a row, for messages, and its values by column."""

LONGEST_FIELD = 2**26
"""Characters of one csv field: more than any book, yet an unclosed quote does not read a whole disk into memory."""
BATCH_ROWS = 512
"""Rows of a Parquet file held at a time."""

_BLANK = re.compile(r"[ \t\n\r]*")  # what json calls white space


@dataclass(slots=True)
class Tally:
    """What one iteration counts on its way."""

    blank_lines: int = 0


def read_jsonl(file: InputFile, tally: Tally) -> Iterator[Row]:
    """One json object a line; blank lines are counted."""
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
    """A list of json objects; a file that opens with anything else is read as jsonl.

    The text of the file is held in memory, its objects one at a time.
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
        where, f'not a json object but a {kind}; each line or list item is an object such as {{"text": "…"}}'
    )


def _json_problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        problem = error.msg.removesuffix(" at").removesuffix(" starting").rstrip(": ")
        return f"malformed json at column {error.colno} ({problem}): correct it or remove it"
    if isinstance(error, RecursionError):
        return "json nested too deeply: write each passage as a flat object"
    return "json with a number of too many digits: write it as a string"


def read_csv(file: InputFile, tally: Tally, columns: Columns, delimiter: str) -> Iterator[Row]:
    """Rows under a header, quoted as Excel quotes (tsv too); line ends inside quotes stay; blank lines are counted.

    A row's place is the line of the file on which it starts.
    """
    # Process-wide, hence only ever raised; the default, 131,072 characters, is less than a passage may have.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    # Strict, or an unclosed quote would pass silently and `"a"b` would lose its quotes.
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
        # A line of blanks is a blank line, except where the only column may have meant it.
        if not fields or (len(fields) == 1 and not fields[0].strip() and (header is None or len(header) > 1)):
            tally.blank_lines += 1
        elif header is None:
            header = fields
            columns.find(header, where)  # refuses here, at the header, what the rows would lack
        elif len(fields) != len(header):
            raise PassageError(
                where,
                f"{len(fields)} fields where the header has {len(header)}: "
                "a field that holds a delimiter, a quote or a line end must be quoted",
            )
        else:
            yield where, dict(zip(header, fields, strict=True))


def _csv_problem(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return "a quote that opens in this row is never closed"
    if "field larger than" in message:
        return f"a field of more than {LONGEST_FIELD:,} characters: is a quote left open?"
    if "new-line character" in message:
        return "a bare carriage return outside quotes: write the file with line ends LF or CRLF"
    return f"malformed csv ({message}): double the quotes inside a quoted field"


def read_parquet(file: InputFile, columns: Columns) -> Iterator[Row]:
    """Rows of a Parquet file, only the columns in use, a batch in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(file.path) as table:
            found = columns.find(table.schema_arrow.names, file.shown)
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=found.names()):
                for values in _values(batch, f"{file.shown} row", row):
                    row += 1
                    yield f"{file.shown} row {row}", values
    except (pa.ArrowException, OSError) as error:
        reason = one_line(error)
        raise PassageError(file.shown, f"not a readable Parquet file ({reason}): write or copy it again") from error


def _values(batch: Any, place: str, before: int) -> list[dict[str, Any]]:
    """The rows of a ``pyarrow.RecordBatch`` as dictionaries; strings that are not UTF-8 are refused with their row."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        for i in range(batch.num_rows):
            try:
                batch.slice(i, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise PassageError(
                    f"{place} {before + i + 1}", f"not UTF-8: byte {error.start + 1} of a string; write it again"
                ) from None
        raise


def one_line(error: BaseException) -> str:
    """The first line of another library's message, short enough to stand inside ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(". ")
