"""Confidence harvesting: distributions over the next token for many prompts that follow no template."""

from __future__ import annotations

from .._table import Table
from .._traffic import Kind
from ._detector import Detector, Scored
from ._honest import choices, common_prompts, templates

__all__ = ["HARVESTING"]


def _score(table: Table) -> Scored:
    wanted = (table.kinds & Kind.DISTRIBUTION) > 0
    honest = common_prompts(table) | choices(table, wanted) | templates(table, wanted)
    rows = table.distinct(wanted & ~honest)
    return Scored(table.totals(rows), rows)


HARVESTING = Detector(
    "harvesting",
    [("logprobs", "top_logprobs")],
    ("sketch",),
    _score,
)
