"""Many samples of one prefix: several continuations by chance, for many prompts that follow no template."""

from __future__ import annotations

from .._table import Table
from .._traffic import Kind
from ._detector import Detector, Scored
from ._honest import common_prompts, templates

__all__ = ["SAMPLING"]


def _score(table: Table) -> Scored:
    wanted = (table.kinds & Kind.SAMPLES) > 0
    rows = table.distinct(wanted & ~common_prompts(table) & ~templates(table, wanted))
    return Scored(table.totals(rows), rows)


SAMPLING = Detector(
    "sampling",
    [("samples", "sketch", "prompt")],
    ("sketch",),
    _score,
)
