"""A table of scores as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._table import ScoreTable

__all__ = ["table_html"]

ROWS, COLUMNS = 5, 8
"""What is shown of a large table."""
LABELS = {1: "member", 0: "non-member", -1: "candidate"}


def table_html(table: ScoreTable, counts: str) -> str:
    """The first few rows as an HTML table, under a line that counts all of them; every value is escaped."""
    names = list(table.columns)
    shown = names[:COLUMNS]
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("id", "label", *shown))
    rows = []
    for row in range(min(ROWS, len(table))):
        scores = (table.columns[name][row] for name in shown)
        cells = (table.ids[row], LABELS[int(table.labels[row])], *("" if np.isnan(s) else f"{s:.4g}" for s in scores))
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    more = [f"{len(table) - ROWS:,} more rows"] if len(table) > ROWS else []
    more += [f"{len(names) - COLUMNS} more attacks"] if len(names) > COLUMNS else []
    rest = f"<p>… and {' and '.join(more)}</p>" if more else ""
    head = f"<p><b>{escape(table.name)}</b>: {escape(counts)}</p>"
    return f"{head}<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}"
