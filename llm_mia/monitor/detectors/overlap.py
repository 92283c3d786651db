"""Overlap with registered data sets: different prompts that consist of registered text for a good part."""

from __future__ import annotations

import numpy as np

from .._table import Table
from ._detector import Detector, Scored

__all__ = ["OVERLAP"]

LEAST_SHARE = 0.4


def _score(table: Table) -> Scored:
    registry = table.known.registry
    if registry is None:
        return Scored(np.zeros(len(table.groups)), np.zeros(len(table.rows), np.bool_))
    rows = table.distinct(table.sketched & (registry.overlap(table.sketches, public=False) >= LEAST_SHARE))
    return Scored(table.totals(rows), rows)


OVERLAP = Detector("overlap", [("sketch", "prompt")], (), _score)
