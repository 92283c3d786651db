"""Tables for spreadsheets: a name that a spreadsheet would run as a formula is written so that it shows as text."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = ["Cell", "csv_table", "shown_as_text"]

Cell: TypeAlias = str | int | float | bool | None

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
"""Characters with which a spreadsheet begins a formula, or which it skips before one; and the mark itself."""
MARK = "'"


def csv_table(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    r"""The bytes of a CSV file in UTF-8, with the mark by which spreadsheets recognise UTF-8.

    A text that a spreadsheet could take for a formula begins with an apostrophe (`shown_as_text`); numbers are written
    in full, and a missing value is an empty cell.

    >>> csv_table(["document", "score"], [["=1+1", -0.5], ["a, b", None]]).decode("utf-8-sig")
    'document,score\n\'=1+1,-0.5\n"a, b",\n'
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([list(titles), *([_cell(value) for value in row] for row in rows)])
    return codecs.BOM_UTF8 + text.getvalue().encode()


def shown_as_text(text: str) -> str:
    """*text*, after an apostrophe where a spreadsheet could take it for a formula.

    Nothing is lost: a text that begins with an apostrophe gets another, so the first apostrophe of a cell is always to
    be removed.

    >>> shown_as_text("=HYPERLINK(1)"), shown_as_text("'tis"), shown_as_text("a = b")
    ("'=HYPERLINK(1)", "''tis", 'a = b')
    """
    return MARK + text if text.startswith(FORMULA) else text


def _cell(value: Cell) -> Cell:
    if isinstance(value, bool):
        return str(value).lower()
    return shown_as_text(value) if isinstance(value, str) else value
