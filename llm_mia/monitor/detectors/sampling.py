"""Many samples of one prefix: several continuations by chance, of prompts without a template or a conversation."""

from __future__ import annotations

from .._rows import Kind
from .._table import Table
from ._detector import Detector, Scored
from ._explained import conversations, templates

__all__ = ["SAMPLING"]


def _score(table: Table) -> Scored:
    wanted = (table.kinds & Kind.SAMPLES) > 0
    explained = table.common | templates(table, wanted) | conversations(table, wanted)
    rows = table.distinct(wanted & ~explained)
    return Scored(table.totals(rows), rows)


SAMPLING = Detector(
    "sampling",
    [("samples", "sketch", "prompt")],
    ("sketch",),
    _score,
)
