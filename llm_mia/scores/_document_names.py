"""The document of each passage, by a name that no other document has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..records import SharedNames, values_at
from ..store import as_numpy
from ._columns import Columns, StoredValues, taken
from ._files import are_names, strings_of
from ._labels import UNKNOWN

__all__ = ["ROLES", "document_names", "groups_of", "possibly_repeated"]

Ints = NDArray[np.intp]
ROLES = {UNKNOWN: "candidate", 0: "non-member", 1: "member"}


class _Joined(Sequence[str]):
    """Two sequences of names, the second after the first."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Sequence[str], second: Sequence[str]) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return self.at(np.arange(*at.indices(len(self))))
        place = range(len(self))[at]
        return self._first[place] if place < len(self._first) else self._second[place - len(self._first)]

    def at(self, places: NDArray[np.integer[Any]]) -> list[str]:
        """The names at these places."""
        names = np.empty(len(places), dtype=object)
        first = places < len(self._first)
        names[first] = values_at(self._first, places[first])
        names[~first] = values_at(self._second, places[~first] - len(self._first))
        listed: list[str] = names.tolist()
        return listed

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from self._second


def document_names(path: Path, table: Columns, name: str | None, ids: StoredValues[str]) -> SharedNames:
    """The document of each passage, from the column *name*; a passage without a document is its document.

    The name of a document that is the id of its passage is not stored: it may be as many as there are passages.
    """
    if name is None:
        return _of_ids(ids, np.arange(len(ids)))
    codes, numbers = np.empty(len(ids), dtype=np.int32), dict[str, int]()
    for number, (start, end) in enumerate(pairwise(table.starts)):
        codes[start:end] = _codes_of_piece(path, table, name, ids, number, numbers)
    if (codes >= 0).all():
        return SharedNames(list(numbers), codes)
    if numbers:  # a passage may have the name of a document that others name
        named = np.fromiter((numbers.get(passage, -1) for passage in ids), np.int32, len(ids))
        codes = np.where(codes < 0, named, codes)
    alone = np.flatnonzero(codes < 0)
    by_id = _of_ids(ids, alone)
    codes[alone] = len(numbers) + by_id.codes
    return SharedNames(_Joined(list(numbers), by_id.distinct), codes)


def _codes_of_piece(
    path: Path, table: Columns, name: str, ids: StoredValues[str], piece: int, numbers: dict[str, int]
) -> NDArray[np.int32]:
    """The number of the document of each passage in a piece, -1 where its name is the id; extends *numbers*."""
    import pyarrow.compute

    start, end = table.starts[piece : piece + 2]
    documents, of_ids = table.piece(name, piece), ids.stored(piece)
    if not (are_names(documents) and are_names(of_ids) and documents.type == of_ids.type):
        named = strings_of(path, table, name, lambda _: "")[start:end]
        return np.array(
            [
                -1 if document in ("", passage) else numbers.setdefault(document, len(numbers))
                for document, passage in zip(named, ids[start:end], strict=True)
            ],
            dtype=np.int32,
        )
    encoded = documents.dictionary_encode()
    places = as_numpy(encoded.indices)
    same = as_numpy(pyarrow.compute.equal(documents, of_ids).cast("int8")) > 0
    others = np.zeros(len(encoded.dictionary), dtype=bool)
    others[places[~same]] = True
    distinct = [
        numbers.setdefault(document, len(numbers)) if other else -1
        for document, other in zip(encoded.dictionary.to_pylist(), others.tolist(), strict=True)
    ]
    return np.where(same, -1, np.array(distinct, dtype=np.int32)[places])


def _of_ids(ids: StoredValues[str], rows: Ints) -> SharedNames:
    """The ids of these *rows*, ascending, as names of documents."""
    first = np.arange(len(ids), dtype=np.int32)
    places: dict[str, int] = {}
    for row in np.intersect1d(possibly_repeated(ids), rows, assume_unique=True).tolist():
        first[row] = places.setdefault(ids[row], row)
    first = first[rows]
    kept = rows[first == rows]
    return SharedNames(taken(ids, kept), np.searchsorted(kept, first).astype(np.int32))


def possibly_repeated(ids: StoredValues[str], labels: NDArray[np.int8] | None = None) -> Ints:
    """The rows whose id, with its label where *labels* are given, may be that of another row; all that are, are there.

    Equal ids have equal hashes. So of millions of ids few have to be compared as strings.
    """
    hashes = np.concatenate([np.fromiter(map(hash, block), np.int64, len(block)) for block in ids.blocks()])
    if labels is not None:
        hashes = hashes * len(ROLES) + labels
    ascending = np.sort(hashes)
    twice = ascending[1:][ascending[1:] == ascending[:-1]]
    return np.flatnonzero(np.isin(hashes, twice)) if len(twice) else np.empty(0, dtype=np.intp)


def groups_of(
    ids: Sequence[str], documents: Sequence[str], labels: NDArray[np.int8], *, same_across_labels: bool
) -> SharedNames:
    """The name of each passage's document, such that equal names mean the same document; see `ScoreTable.groups`.

    *same_across_labels*: a passage with another label is the same passage where it has the same id.
    """
    names = SharedNames.of(documents)
    several = _with_several_labels(names, labels)
    if same_across_labels or not several.any():
        return names
    rows = np.flatnonzero(several[names.codes])
    of_rows = labels[rows].tolist()
    sizes = Counter(zip(names.codes[rows].tolist(), of_rows, strict=True))
    renamed: dict[int, str] = {}
    for row, label in zip(rows.tolist(), of_rows, strict=True):
        document = names[row]
        if sizes[int(names.codes[row]), label] == 1 and ids[row] == document:
            renamed[row] = f"{document} ({ROLES[label]})"
    return _renamed(names, renamed)


def _with_several_labels(names: SharedNames, labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which of the distinct *names* passages of several labels have."""
    count = np.zeros(len(names.distinct), dtype=np.int8)
    for label in ROLES:
        has = np.zeros(len(count), dtype=bool)
        has[names.codes[labels == label]] = True
        count += has
    return count > 1


def _renamed(names: SharedNames, renamed: Mapping[int, str]) -> SharedNames:
    """*names*, with other names in some rows; a new name may be one that there is already."""
    if not renamed:
        return names
    wanted = dict.fromkeys(renamed.values(), -1)
    for code, name in enumerate(names.distinct):
        if name in wanted:
            wanted[name] = code
    new = [name for name, code in wanted.items() if code < 0]
    numbers = wanted | {name: len(names.distinct) + at for at, name in enumerate(new)}
    codes = names.codes.copy()
    codes[list(renamed)] = [numbers[name] for name in renamed.values()]
    return SharedNames(_Joined(names.distinct, new), codes)
