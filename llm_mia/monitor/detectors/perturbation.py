"""Perturbation families: rewritten versions of a text that are scored, and the same text in another case."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...queries import END_LENGTHS, Sketches
from .._rows import Kind
from .._table import Table
from ._detector import Detector, Scored
from ._explained import choices, templates

__all__ = ["PERTURBATION"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
BANDS, PLACES = 32, 2
"""Two texts of similarity s agree in a whole band with probability 1 − (1 − s²)³²: 0.95 for s = 0.3."""
LEAST_AGREEMENT = 0.2
"""Similarity of two texts, beyond what a template explains: what they have in common at the beginning and the end."""


def _score(table: Table) -> Scored:
    wanted = ((table.kinds & (Kind.SCORES | Kind.DISTRIBUTION)) > 0) & table.sketched
    wanted &= ~table.common
    rows = np.zeros(len(table.rows), np.bool_)
    wanted &= ~choices(table, wanted)  # the ends of a question may differ in case alone: "it" and "It"
    rows[_twins(table, wanted)] = True
    left, right = _near(table, wanted & ~templates(table, wanted))
    rows[left] = rows[right] = True
    return Scored(table.totals(rows), rows)


def _twins(table: Table, among: Bools) -> Ints:
    """The rows whose text differs from that of another row of the group in case or white space alone."""
    rows = np.flatnonzero(among)
    pairs = np.stack([table.group[rows].astype(np.uint64), table.folds[rows]], axis=1)
    _, inverse, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    exact = np.unique(np.stack([inverse.ravel().astype(np.uint64), table.sketches.digests[rows]], axis=1), axis=0)
    texts = np.bincount(exact[:, 0].astype(np.int64), minlength=len(counts))
    return rows[(texts >= 2)[inverse.ravel()]]


def _near(table: Table, among: Bools) -> tuple[Ints, Ints]:
    """Pairs of rows of a group whose texts are similar throughout, beyond the beginning and the end."""
    rows = np.flatnonzero(among)
    minima = table.sketches.minima[rows].astype(np.uint64)
    lefts, rights = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for band in range(BANDS):
        keys = (minima[:, PLACES * band] << np.uint64(32)) | minima[:, PLACES * band + 1]
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + table.group[rows].astype(np.uint64)
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        lefts.append(rows[order[same]])
        rights.append(rows[order[same + 1]])
    pairs = np.unique(np.stack([np.concatenate(lefts), np.concatenate(rights)], axis=1), axis=0)
    left, right = pairs[:, 0], pairs[:, 1]
    words = table.sketches
    alike = (words.minima[left] == words.minima[right]).mean(1)
    alike -= _of_template(words, table.sizes, left, right)
    kept = alike >= LEAST_AGREEMENT
    kept &= (table.folds[left] != table.folds[right]) & (table.group[left] == table.group[right])
    return left[kept], right[kept]


def _of_template(words: Sketches, sizes: Ints, left: Ints, right: Ints) -> NDArray[np.float64]:
    """The similarity of pairs of texts that have only their beginning and their end in common.

    A sketch knows the length of what is the same up to a factor of 2, so that twice the known length is assumed.
    """
    lengths = np.array(END_LENGTHS)
    same = np.zeros(len(left))
    for part in (words.beginnings, words.ends):
        same += 2 * np.where((part[left] == part[right]) & (part[left] > 0), lengths, 0).max(1, initial=0)
    both = sizes[left] + sizes[right]
    same = np.minimum(same, np.minimum(sizes[left], sizes[right]))
    return np.asarray(same / np.maximum(1, both - same), np.float64)


PERTURBATION = Detector(
    "perturbation",
    [("sketch", "prompt"), ("prompt_logprobs", "echo", "logprobs", "max_tokens")],
    (),
    _score,
)
