"""Systematic probing: many different passages are scored, and nothing explains why."""

from __future__ import annotations

from .._rows import Kind
from .._table import Table
from ._detector import Detector, Scored
from ._explained import choices

__all__ = ["PROBING"]


def _score(table: Table) -> Scored:
    scored = (table.kinds & Kind.SCORES) > 0
    rows = table.distinct(scored & ~table.common & ~choices(table, scored))
    return Scored(table.totals(rows), rows)


PROBING = Detector(
    "probing",
    [("prompt_logprobs", "echo", "max_tokens", "completion_tokens")],
    ("prompt_logprobs", "sketch"),
    _score,
)
