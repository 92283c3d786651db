"""Confidence harvesting: distributions over the next token for many prompts that follow no template."""

from __future__ import annotations

from .._rows import Kind
from .._table import Table
from ._detector import Detector, Scored
from ._explained import choices, templates

__all__ = ["HARVESTING"]


def _score(table: Table) -> Scored:
    wanted = (table.kinds & Kind.DISTRIBUTION) > 0
    explained = table.common | choices(table, wanted) | templates(table, wanted)
    rows = table.distinct(wanted & ~explained)
    return Scored(table.totals(rows), rows)


HARVESTING = Detector(
    "harvesting",
    [("logprobs", "top_logprobs")],
    ("sketch",),
    _score,
)
