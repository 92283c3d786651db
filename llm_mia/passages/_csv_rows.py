"""Rows of CSV and TSV files, with their places."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from ..errors import PassageError
from ._columns import NamedColumns
from ._files import InputFile, decoded_lines
from ._tables import Row, Tally

__all__ = ["read_csv"]

LONGEST_FIELD = 2**26
"""Characters of a CSV field: more than any book has, and an unclosed quote cannot read a whole disk into memory."""


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
            columns.choose(file.columns(header), where)  # a missing column is an error at the header, before any row
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
