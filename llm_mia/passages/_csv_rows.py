"""Rows of CSV and TSV files, with their places."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain

from ..errors import PassageError
from ._columns import NamedColumns
from ._files import InputFile, decoded_lines
from ._tables import Row, Tally

__all__ = ["DELIMITERS", "read_csv"]

LONGEST_FIELD = 2**26
"""Characters of a CSV field: more than any book has, and an unclosed quote cannot read a whole disk into memory."""
DELIMITERS = {",": "','", ";": "';'", "|": "'|'", "\t": "tab"}
"""What divides the fields in files that are called csv or tsv, and how `delimiter` names it."""
_EXCEL = re.compile(r"sep=(.)\s*")
"""The line that tells Excel how the fields are divided; it is no header."""


def read_csv(file: InputFile, tally: Tally, columns: NamedColumns) -> Iterator[Row]:
    """The rows under a header, with quotes as in Excel (TSV too); line ends inside quotes are kept.

    Blank lines are counted. The place of a row is the line of the file on which it starts.
    """
    # The limit holds for the whole process, so it is only raised; a passage may exceed the default, 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    lines = (line for _, line in decoded_lines(file))
    head, delimiter, skipped = _head(file, lines, tally, columns)
    # Strict: otherwise an unclosed quote would not be an error, and `"a"b` would lose its quotes.
    reader = csv.reader(chain(head, lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        where = f"{file.shown} line {reader.line_num + 1 + skipped}"
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
            tally.faults.add(
                where,
                f"{len(fields)} fields, but the header has {len(header)}: "
                "a field with a delimiter, a quote or a line end must be quoted",
            )
        else:
            yield where, dict(zip(header, fields, strict=True))


def _head(file: InputFile, lines: Iterator[str], tally: Tally, columns: NamedColumns) -> tuple[list[str], str, int]:
    """The line of the header, what divides its fields, and the number of lines before it, which are read."""
    delimiter, skipped = columns.delimiter or ("\t" if file.format == "tsv" else ","), 0
    for line in lines:
        excel = _EXCEL.fullmatch(line)
        if excel is not None and columns.delimiter is None:
            delimiter = excel[1]
        elif line.strip() or (delimiter.isspace() and line.strip("\r\n")):
            if excel is None:
                if columns.delimiter is None and delimiter in DELIMITERS:
                    _refuse_delimiter(line, delimiter, f"{file.shown} line {skipped + 1}")
                return [line], delimiter, skipped
        else:
            tally.blank_lines += 1
        skipped += 1
    return [], delimiter, skipped


def _refuse_delimiter(line: str, delimiter: str, where: str) -> None:
    """Refuse a header that has a single field, and several fields if it is divided by another character."""
    if len(_fields(line, delimiter)) > 1:
        return
    for other, name in DELIMITERS.items():
        if len(fields := _fields(line, other)) > 1 and all(field.strip() for field in fields):
            divided = f"the header has a single column if divided by {DELIMITERS[delimiter]}"
            raise PassageError(where, f"{divided}, and {len(fields)} if divided by {name}: give `delimiter` {name}")


def _fields(line: str, delimiter: str) -> list[str]:
    """The fields of a line; a single field where its quotes do not fit the *delimiter*."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return [line]


def _csv_problem(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return "a quote that opens in this row is never closed: close it, or double a quote that belongs to the text"
    if "field larger than" in message:
        return f"a field of more than {LONGEST_FIELD:,} characters: close the quote that opens it, or divide the text"
    if "new-line character" in message:
        return "a carriage return alone, outside quotes: write the file with line ends LF or CRLF"
    return f"malformed CSV ({message}): double the quotes inside a quoted field"
