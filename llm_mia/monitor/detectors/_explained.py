"""Requests that benign programs send as well: public benchmarks, choices of a context, templates, conversations.

Evaluation harnesses want log-probabilities, as attacks do. What they ask sets them apart: several short ends of the
same context (choice scoring), and texts that the benign traffic or a registered public benchmark has, too. Texts that
several clients of the log itself send are no excuse: whoever attacks could send each text from several accounts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...queries import END_LENGTHS
from .._table import Table

__all__ = ["choices", "conversations", "templates"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
MOST_CHOICES = 26
CONTEXT_SHARE = 0.2
"""Of a text, the least share that is the context of a choice."""
TEMPLATE_SHARE = 0.15
"""Of a prompt, the least share that is the same in many prompts of a template. Sketches know the length of what is the
same up to a factor of 2, so the true share is between this and twice as much."""
TEMPLATE_BYTES = 128
"""So many bytes that are the same suffice, however long the prompt is."""
OF_TEMPLATE = 8
"""Prompts that a template has at least."""


def choices(table: Table, among: Bools) -> Bools:
    """Which rows are one of 2 to 26 short ends of the same context, as multiple-choice questions are scored.

    Two rows of a group, or of a client, are such where all but the last 256 bytes of either are the same, this is at
    least a fifth of the text, and the ends differ in more than case and white space.
    """
    return _in_either(table, among, _choices)


def templates(table: Table, among: Bools) -> Bools:
    """Which rows share a good part of their text, or 128 bytes, with seven others of the group, or of the client.

    The part lies at the beginning or at the end.
    """
    return _in_either(table, among, _templates)


def conversations(table: Table, among: Bools) -> Bools:
    """Which rows begin another row of the group, or of the client, or begin with one: as conversations grow.

    At least half of the shorter text is the beginning of both, as far as sketches show.
    """
    return _in_either(table, among, _conversations)


def _in_either(table: Table, among: Bools, recognise: Callable[[Table, Bools, Ints], Bools]) -> Bools:
    """The rows that *recognise* gives within groups or within clients.

    A family has a few requests of each client, in which the choices or the template of a benign client need not show:
    how many there are depends on how many clients share a block.
    """
    rows = recognise(table, among, table.group)
    return rows if table.client is table.group else rows | recognise(table, among, table.client)


def _choices(table: Table, among: Bools, groups: Ints) -> Bools:
    rows = np.flatnonzero(among & table.sketched)
    stems = table.sketches.stems[rows].astype(np.uint64)
    steps = stems.shape[1]
    lengths = table.sizes[rows, None] // 32 * 32 - 32 * np.arange(steps)
    usable = (stems > 0) & (lengths >= CONTEXT_SHARE * table.sizes[rows, None])
    keys = (groups[rows, None].astype(np.uint64) << np.uint64(32)) | stems
    triples = np.stack([keys.ravel(), np.repeat(table.folds[rows], steps)], axis=1)[usable.ravel()]
    texts = np.unique(triples, axis=0)  # texts that differ in case alone count once
    names, of_each = np.unique(texts[:, 0], return_counts=True)
    sizes = np.zeros(keys.shape, np.int64)
    if len(names):
        at = np.minimum(np.searchsorted(names, keys), len(names) - 1)
        sizes = np.where(usable & (names[at] == keys), of_each[at], 0)
    shared = sizes >= 2
    nearest = np.take_along_axis(sizes, shared.argmax(1)[:, None], axis=1)[:, 0]
    chosen = np.zeros(len(table.rows), np.bool_)
    chosen[rows] = shared.any(1) & (nearest <= MOST_CHOICES)
    return chosen


def _conversations(table: Table, among: Bools, groups: Ints) -> Bools:
    rows = np.flatnonzero(among & table.sketched)
    beginnings, sizes = table.sketches.beginnings[rows].astype(np.uint64), table.sizes[rows]
    longest = (beginnings > 0).sum(1) - 1
    chosen = np.zeros(len(table.rows), np.bool_)
    for step in range(len(END_LENGTHS)):
        keys = (groups[rows].astype(np.uint64) << np.uint64(32)) | beginnings[:, step]
        there, whole = beginnings[:, step] > 0, longest == step
        names, inverse = np.unique(keys, return_inverse=True)
        least, most = np.full(len(names), np.iinfo(np.int64).max), np.zeros(len(names), np.int64)
        np.minimum.at(least, inverse[whole], sizes[whole])
        np.maximum.at(most, inverse[there], sizes[there])
        chosen[rows[(whole & (sizes < most[inverse])) | (there & (sizes > least[inverse]))]] = True
    return chosen


def _templates(table: Table, among: Bools, groups: Ints) -> Bools:
    rows = np.flatnonzero(among & table.sketched)
    shared = np.zeros(len(rows), np.bool_)
    lengths = np.array(END_LENGTHS)
    for digests in (table.sketches.beginnings, table.sketches.ends):
        words = digests[rows].astype(np.uint64)
        keys = (groups[rows, None].astype(np.uint64) << np.uint64(32)) | words
        usable = (words > 0) & (lengths >= np.minimum(TEMPLATE_BYTES, TEMPLATE_SHARE * table.sizes[rows, None]))
        names, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        del names
        shared |= (usable & (counts[inverse].reshape(keys.shape) >= OF_TEMPLATE)).any(1)
    chosen = np.zeros(len(table.rows), np.bool_)
    chosen[rows] = shared
    return chosen
