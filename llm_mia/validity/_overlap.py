"""Text that two sets of passages share: runs of words, and passages that are nearly one another."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._ngrams import words

__all__ = ["Words", "near_duplicates", "shared", "word_hashes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

ALIKE = 0.8
"""Jaccard similarity of their runs of three words from which two passages are near duplicates."""
_RUN = 3
_ROWS = 500
_PARTNERS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The words of all passages, one after the other, each as 64 pseudo-random bits."""

    values: Hashes
    """Shape (words of all passages,)."""
    lengths: Ints
    """Shape (passages,): words of each."""

    def runs(self, n: int) -> tuple[Hashes, Ints]:
        """Hash and passage of every run of *n* words; a shorter passage has one run, of all its words.

        Two of a million runs share a hash by accident with a chance of 10⁻⁷.
        """
        owner = np.repeat(np.arange(len(self.lengths)), self.lengths)
        left = self.lengths[owner] - (np.arange(len(owner)) - (np.cumsum(self.lengths) - self.lengths)[owner])
        hashes, owners = [], []
        for length in range(1, n + 1):
            whole = left >= n if length == n else (self.lengths[owner] == length) & (left == length)
            starts = np.flatnonzero(whole)
            run = np.full(len(starts), length, dtype=np.uint64)
            for step in range(length):
                run = _mixed(run + self.values[starts + step])
            hashes.append(run)
            owners.append(owner[starts])
        return np.concatenate(hashes), np.concatenate(owners)


def word_hashes(texts: Sequence[str]) -> Words:
    """The words of *texts*, of one without any what stands between its blanks; only equal ones get equal bits."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # the next free number
    found, lengths = array("Q"), array("q")
    for text in texts:
        own = words(text) or text.split()
        lengths.append(len(own))
        found.extend(map(numbers.__getitem__, own))
    return Words(_mixed(np.frombuffer(found, dtype=np.uint64)), np.frombuffer(lengths, dtype=np.int64))


def shared(all_words: Words, first: Ints, second: Ints, n: int) -> Floats:
    """For each passage of *first* the share of its runs of *n* words that stand in one of *second*; shape (first,).

    *first* and *second* are numbers of passages. A passage without words shares nothing.

    >>> three = word_hashes(["a b c d", "x b c d", "y"])
    >>> shared(three, np.array([0, 2]), np.array([1]), 2).round(2).tolist()
    [0.67, 0.0]
    """
    run, owner = all_words.runs(n)
    there = np.zeros(len(all_words.lengths), dtype=bool)
    there[second] = True
    seen = np.isin(run, np.unique(run[there[owner]]))
    total = np.bincount(owner, minlength=len(there))
    hits = np.bincount(owner, weights=seen, minlength=len(there))
    return np.asarray((hits / np.maximum(1, total))[first])


def near_duplicates(all_words: Words, first: Ints, second: Ints) -> Ints:
    """For each passage of *first* the number of one of *second* that it nearly is, −1 for none; exact, shape (first,).

    Nearly: of the distinct runs of three words of both, four in five stand in both. Pairs are found through an index of
    the rarest fifth of each passage's runs, of which near duplicates must share one (prefix filtering: Chaudhuri, Ganti
    and Kaushik 2006, "A primitive operator for similarity joins").

    >>> texts = ["a b c d e f g h i j k l", "a b c d e f g h i j k x", "a b c d e f x h i j k l"]
    >>> near_duplicates(word_hashes(texts), np.array([1, 2]), np.array([0])).tolist()
    [0, -1]
    """
    run, owner = all_words.runs(_RUN)
    chosen = np.isin(owner, np.concatenate([first, second]))
    sets, of_passage = _distinct_sets(run[chosen], owner[chosen], len(all_words.lengths))
    found = np.full(len(first), -1, dtype=np.intp)
    if sets is None:
        return found
    has_words = of_passage[second] >= 0
    holder = np.full(sets.shape[0], -1, dtype=np.intp)
    holder[of_passage[second[has_words]]] = second[has_words]
    known = np.flatnonzero(holder >= 0)
    asked = np.unique(of_passage[first][of_passage[first] >= 0])
    match = np.full(sets.shape[0], -1, dtype=np.intp)
    rare = _rarest(sets)
    index = rare[known].T.tocsc()
    for start in range(0, len(asked), _ROWS):
        block = asked[start : start + _ROWS]
        pairs = (rare[block] @ index).tocsr()
        left, right = np.repeat(np.arange(len(block)), np.diff(pairs.indptr)), pairs.indices
        place = np.arange(len(left)) - np.repeat(pairs.indptr[:-1], np.diff(pairs.indptr))
        # A text in a thousand versions has a thousand partners, of which the first will do: so a few at a time.
        for at in range(0, int(place.max(initial=-1)) + 1, _PARTNERS):
            now = (place >= at) & (place < at + _PARTNERS) & (match[block[left]] < 0)
            one, other = block[left[now]], known[right[now]]
            alike = _jaccard(sets, one, other) >= ALIKE - 1e-12
            match[one[alike]] = holder[other[alike]]
    with_words = of_passage[first] >= 0
    found[with_words] = match[of_passage[first[with_words]]]
    return found


def _distinct_sets(run: Hashes, owner: Ints, passages: int) -> tuple[Any, Ints]:
    """Sparse rows (distinct sets, runs) of ones, equal sets kept once, and for each passage its row, −1 for none."""
    from scipy.sparse import csr_matrix

    if not len(run):
        return None, np.full(passages, -1)
    names, column = np.unique(run, return_inverse=True)
    table = csr_matrix((np.ones(len(run), np.float32), (owner, column)), shape=(passages, len(names)))
    table.data[:] = 1  # a run that stands twice in a passage counts once
    sizes = np.diff(table.indptr)
    summed = np.zeros(passages, dtype=np.uint64)
    np.add.at(summed, np.repeat(np.arange(passages), sizes), _mixed(names)[table.indices])
    filled = np.flatnonzero(sizes)
    _, kept, row = np.unique(summed[filled], return_index=True, return_inverse=True)
    of_passage = np.full(passages, -1)
    of_passage[filled] = row
    return table[filled[kept]], of_passage


def _rarest(sets: Any) -> Any:
    """Of a row of s runs the s − ⌈0.8 s⌉ + 1 that fewest rows hold."""
    from scipy.sparse import csr_matrix

    sizes = np.diff(sets.indptr)
    row = np.repeat(np.arange(sets.shape[0]), sizes)
    order = np.lexsort((sets.indices, np.bincount(sets.indices, minlength=sets.shape[1])[sets.indices], row))
    place = np.arange(len(row)) - np.repeat(sets.indptr[:-1], sizes)
    kept = place < np.repeat(sizes - np.ceil(ALIKE * sizes - 1e-9) + 1, sizes)
    columns = sets.indices[order][kept]
    return csr_matrix((np.ones(len(columns), np.float32), (row[kept], columns)), shape=sets.shape)


def _jaccard(sets: Any, one: Ints, other: Ints) -> Floats:
    both = np.asarray(sets[one].multiply(sets[other]).sum(axis=1), dtype=np.float64).ravel()
    sizes = np.diff(sets.indptr)
    return np.asarray(both / (sizes[one] + sizes[other] - both))


def _mixed(values: Hashes) -> Hashes:
    """Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": the finaliser of SplitMix64."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
