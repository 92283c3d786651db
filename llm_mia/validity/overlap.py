"""Text that two sets of passages share: runs of words, and near duplicates."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ngrams import words

__all__ = ["HashedWords", "hash_words", "near_duplicates", "shared_share"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

SIMILARITY = 0.8
"""Two passages are near duplicates if the Jaccard similarity of their runs of three words is at least this."""
_RUN = 3
_ROWS = 500
_PARTNERS = 50


@dataclass(frozen=True, slots=True, eq=False)
class HashedWords:
    """The words of all passages in sequence, each as 64 pseudo-random bits."""

    values: Hashes
    """Shape (words of all passages,)."""
    lengths: Ints
    """Shape (passages,): number of words of each."""

    def runs(self, n: int) -> tuple[Hashes, Ints]:
        """The hash and the passage of every run of *n* words; a shorter passage has a single run of all its words.

        Among a million runs, the probability that two different runs have the same hash is 10⁻⁷.
        """
        owner = np.repeat(np.arange(len(self.lengths)), self.lengths)
        left = self.lengths[owner] - (np.arange(len(owner)) - (np.cumsum(self.lengths) - self.lengths)[owner])
        hashes, owners = [], []
        for length in range(1, n + 1):
            whole = left >= n if length == n else (self.lengths[owner] == length) & (left == length)
            starts = np.flatnonzero(whole)
            run = np.full(len(starts), length, dtype=np.uint64)
            for step in range(length):
                run = _mix(run + self.values[starts + step])
            hashes.append(run)
            owners.append(owner[starts])
        return np.concatenate(hashes), np.concatenate(owners)


def hash_words(texts: Sequence[str]) -> HashedWords:
    """The words of *texts*; for a text without words, its parts between white space. Equal words get equal bits."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # the next free number
    word_numbers, lengths = array("Q"), array("q")
    for text in texts:
        parts = words(text) or text.split()
        lengths.append(len(parts))
        word_numbers.extend(map(numbers.__getitem__, parts))
    return HashedWords(_mix(np.frombuffer(word_numbers, dtype=np.uint64)), np.frombuffer(lengths, dtype=np.int64))


def shared_share(hashed: HashedWords, first: Ints, second: Ints, n: int) -> Floats:
    """For each passage of *first* the share of its runs of *n* words that occur in *second*; shape (first,).

    *first* and *second* are numbers of passages. A passage without words shares nothing.

    >>> three = hash_words(["a b c d", "x b c d", "y"])
    >>> shared_share(three, np.array([0, 2]), np.array([1]), 2).round(2).tolist()
    [0.67, 0.0]
    """
    run, owner = hashed.runs(n)
    in_second = np.zeros(len(hashed.lengths), dtype=bool)
    in_second[second] = True
    shared = np.isin(run, np.unique(run[in_second[owner]]))
    total = np.bincount(owner, minlength=len(in_second))
    hits = np.bincount(owner, weights=shared, minlength=len(in_second))
    return np.asarray((hits / np.maximum(1, total))[first])


def near_duplicates(hashed: HashedWords, first: Ints, second: Ints) -> Ints:
    """For each passage of *first* the number of a near duplicate in *second*, −1 where there is none; shape (first,).

    Two passages are near duplicates if at least four in five of the distinct runs of three words in either are in both.
    The result is exact. Pairs come from an index of the rarest fifth of each passage's runs; near duplicates must share
    at least one of these (prefix filtering: Chaudhuri, Ganti and Kaushik 2006, "A primitive operator for similarity
    joins").

    >>> texts = ["a b c d e f g h i j k l", "a b c d e f g h i j k x", "a b c d e f x h i j k l"]
    >>> near_duplicates(hash_words(texts), np.array([1, 2]), np.array([0])).tolist()
    [0, -1]
    """
    run, owner = hashed.runs(_RUN)
    chosen = np.isin(owner, np.concatenate([first, second]))
    sets, of_passage = _distinct_sets(run[chosen], owner[chosen], len(hashed.lengths))
    duplicates = np.full(len(first), -1, dtype=np.intp)
    if sets is None:
        return duplicates
    has_words = of_passage[second] >= 0
    holder = np.full(sets.shape[0], -1, dtype=np.intp)
    holder[of_passage[second[has_words]]] = second[has_words]
    known = np.flatnonzero(holder >= 0)
    searched = np.unique(of_passage[first][of_passage[first] >= 0])
    match = np.full(sets.shape[0], -1, dtype=np.intp)
    rare = _rarest_runs(sets)
    index = rare[known].T.tocsc()
    for start in range(0, len(searched), _ROWS):
        block = searched[start : start + _ROWS]
        pairs = (rare[block] @ index).tocsr()
        left, right = np.repeat(np.arange(len(block)), np.diff(pairs.indptr)), pairs.indices
        place = np.arange(len(left)) - np.repeat(pairs.indptr[:-1], np.diff(pairs.indptr))
        # A text in a thousand versions has a thousand partners, but one match is enough: so a few are tried at a time.
        for at in range(0, int(place.max(initial=-1)) + 1, _PARTNERS):
            now = (place >= at) & (place < at + _PARTNERS) & (match[block[left]] < 0)
            rows, partners = block[left[now]], known[right[now]]
            similar = _jaccard(sets, rows, partners) >= SIMILARITY - 1e-12
            match[rows[similar]] = holder[partners[similar]]
    with_words = of_passage[first] >= 0
    duplicates[with_words] = match[of_passage[first[with_words]]]
    return duplicates


def _distinct_sets(run: Hashes, owner: Ints, passages: int) -> tuple[Any, Ints]:
    """The distinct sets of runs as sparse rows of ones, and for each passage the row of its set, −1 for none."""
    from scipy.sparse import csr_matrix

    if not len(run):
        return None, np.full(passages, -1)
    names, column = np.unique(run, return_inverse=True)
    table = csr_matrix((np.ones(len(run), np.float32), (owner, column)), shape=(passages, len(names)))
    table.data[:] = 1  # a run that occurs twice in a passage counts once
    sizes = np.diff(table.indptr)
    summed = np.zeros(passages, dtype=np.uint64)
    np.add.at(summed, np.repeat(np.arange(passages), sizes), _mix(names)[table.indices])
    filled = np.flatnonzero(sizes)
    _, kept, row = np.unique(summed[filled], return_index=True, return_inverse=True)
    of_passage = np.full(passages, -1)
    of_passage[filled] = row
    return table[filled[kept]], of_passage


def _rarest_runs(sets: Any) -> Any:
    """Of each row of s runs, the s − ⌈0.8 s⌉ + 1 that are in the fewest rows."""
    from scipy.sparse import csr_matrix

    sizes = np.diff(sets.indptr)
    row = np.repeat(np.arange(sets.shape[0]), sizes)
    order = np.lexsort((sets.indices, np.bincount(sets.indices, minlength=sets.shape[1])[sets.indices], row))
    place = np.arange(len(row)) - np.repeat(sets.indptr[:-1], sizes)
    kept = place < np.repeat(sizes - np.ceil(SIMILARITY * sizes - 1e-9) + 1, sizes)
    columns = sets.indices[order][kept]
    return csr_matrix((np.ones(len(columns), np.float32), (row[kept], columns)), shape=sets.shape)


def _jaccard(sets: Any, first: Ints, second: Ints) -> Floats:
    """The Jaccard similarity of each pair of rows."""
    both = np.asarray(sets[first].multiply(sets[second]).sum(axis=1), dtype=np.float64).ravel()
    sizes = np.diff(sets.indptr)
    return np.asarray(both / (sizes[first] + sizes[second] - both))


def _mix(values: Hashes) -> Hashes:
    """*values* as pseudo-random bits: the finaliser of SplitMix64.

    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
