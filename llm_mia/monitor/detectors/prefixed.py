"""One prefix before many passages: passages that are scored both alone and behind another text."""

from __future__ import annotations

import numpy as np

from ...queries import END_LENGTHS
from .._rows import Kind
from .._table import Table
from ._detector import Detector, Scored

__all__ = ["PREFIXED"]

MOST_ALIKE = 8
"""Texts with the same end; of more, the end is a template."""
LEAST_DIFFERENCE = 64
"""Bytes by which the lengths of the texts of a pair differ."""


def _score(table: Table) -> Scored:
    wanted = ((table.kinds & (Kind.SCORES | Kind.DISTRIBUTION)) > 0) & table.sketched & ~table.common
    rows = np.flatnonzero(wanted)
    lengths, sizes = np.array(END_LENGTHS), table.sizes[rows]
    counted = np.zeros(len(table.rows), np.bool_)
    ends = table.sketches.ends[rows].astype(np.uint64)
    for at, length in enumerate(lengths):
        keys = (table.group[rows].astype(np.uint64) << np.uint64(32)) | ends[:, at]
        # The end covers at least 40 % of the shorter text, and both texts have it.
        there = (ends[:, at] > 0) & (sizes >= length)
        short = there & (length >= 0.4 * sizes)
        names, inverse, counts = np.unique(np.where(there, keys, 0), return_inverse=True, return_counts=True)
        inverse = inverse.ravel()
        longest, shortest = np.zeros(len(names), np.int64), np.full(len(names), np.iinfo(np.int64).max)
        np.maximum.at(longest, inverse, np.where(there, sizes, 0))
        np.minimum.at(shortest, inverse, np.where(short, sizes, np.iinfo(np.int64).max))
        paired = (counts >= 2) & (counts <= MOST_ALIKE) & (names > 0) & (shortest < longest - LEAST_DIFFERENCE)
        counted[rows[there & paired[inverse]]] = True
    return Scored(table.totals(counted), counted)


PREFIXED = Detector(
    "prefixed",
    [("sketch", "prompt"), ("prompt_logprobs", "echo", "logprobs", "max_tokens")],
    (),
    _score,
)
