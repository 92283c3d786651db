"""Tables in files that are read as texts: a whole table would become a passage, or be cut into some."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import islice

from ..errors import PassageError
from ._columns import NamedColumns, quoted
from ._csv_rows import DELIMITERS

__all__ = ["refuse_table"]


def refuse_table(text: str, columns: NamedColumns, shown: str, *, stdin: bool) -> None:
    """Refuse a *text* that begins as a table of passages does: objects of JSON, or rows under a header.

    Such a table has a column of texts, which is found in the first object, or in a header whose next row has as many
    fields. Prose has blanks after its commas, and so is no header.
    """
    suffix, names = _table_in(text)
    if not names or not columns.has_text(names):
        return
    where = "standard input, which" if stdin else "a file that"
    remedy = f"save it as a file that ends in {suffix}" if stdin else f"end its name in {suffix}"
    raise PassageError(
        shown, f"a table (columns {', '.join(map(quoted, names[:6]))}) in {where} is read as a text: {remedy}"
    )


def _table_in(text: str) -> tuple[str, Sequence[str]]:
    """The suffix that the table in *text* should have, and the names of its columns; no names where there is none."""
    start = text.lstrip("\ufeff \t\r\n")
    in_list = start.startswith("[")
    if start[1:].lstrip().startswith("{") if in_list else start.startswith("{"):
        try:
            value, _ = json.JSONDecoder().raw_decode(start[1:].lstrip() if in_list else start)
        except ValueError:
            return "", ()
        return ".json" if in_list else ".jsonl", list(value)
    lines = list(islice((line for line in start.splitlines() if line.strip()), 2))
    for delimiter in DELIMITERS if len(lines) == 2 else ():
        try:
            header, row = csv.reader(lines, delimiter=delimiter, strict=True)
        except (csv.Error, ValueError):  # the quotes are of another kind of file
            continue
        if len(header) == len(row) > 1 and all(name and name == name.strip() for name in header):
            return ".tsv" if delimiter == "\t" else ".csv", header
    return "", ()
