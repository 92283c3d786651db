"""The controls: a table for spreadsheets, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from .._results import Results
from ..words import ControlRow, control_rows
from ._pages import page
from ._tables import csv_table

__all__ = ["controls_of", "controls_page", "controls_table"]


def controls_of(results: Results) -> list[ControlRow]:
    """Every control of the audit, and what was not made."""
    return control_rows(results.audit, results.extraction)


def controls_table(rows: Sequence[ControlRow]) -> bytes:
    """The bytes of ``controls.csv``."""
    names = [each.name for each in fields(ControlRow)]
    return csv_table(names, ([getattr(row, name) for name in names] for row in rows))


def controls_page(rows: Sequence[ControlRow]) -> bytes:
    """The bytes of ``controls.html``."""
    return page("controls.html", "Controls", rows=rows)
