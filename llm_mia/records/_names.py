"""Names that passages share, such as that of their document: each name once, and for each passage its number.

Ten million strings of Python need more than half a gigabyte, and their numbers 40 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SharedNames",
    "count_distinct",
    "count_each",
    "number_by_name",
    "number_names",
    "values_at",
    "without_gaps",
]

T = TypeVar("T")
Codes = NDArray[np.int32]
Ints = NDArray[np.intp]
BLOCK = 1 << 16
"""Names that are strings of Python at the same time."""


class SharedNames(Sequence[str]):
    """A name for each passage; each of them is stored once.

    >>> names = SharedNames.of(["b", "a", "b"])
    >>> list(names), names[-1], names.codes.tolist(), list(names.take(np.array([1, 1])))
    (['b', 'a', 'b'], 'b', [0, 1, 0], ['a', 'a'])
    """

    __slots__ = ("codes", "distinct")

    def __init__(self, distinct: Sequence[str], codes: Codes) -> None:
        """*distinct* holds every name, and no name twice; *codes*, shape (n,), are positions in it."""
        self.distinct = distinct
        self.codes = codes

    @classmethod
    def of(cls, names: Sequence[str]) -> SharedNames:
        """The same names; *names* itself where it is of this class."""
        if isinstance(names, SharedNames):
            return names
        numbers: dict[str, int] = {}
        codes = np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), np.int32, len(names))
        return cls(list(numbers), codes)

    def take(self, rows: Ints | NDArray[np.bool_]) -> SharedNames:
        """The names of these *rows*, in their order; or, of a mask, where it is true."""
        return SharedNames(self.distinct, self.codes[rows])

    def used(self) -> NDArray[np.bool_]:
        """Which of the distinct names a passage has."""
        used = np.zeros(len(self.distinct), dtype=bool)
        used[self.codes] = True
        return used

    def in_order(self) -> tuple[Sequence[str], Codes]:
        """The names in the order of first appearance, and the number of that of each passage."""
        rows = np.arange(len(self.codes), dtype=np.int32)[::-1]
        first = np.full(len(self.distinct), len(self.codes), dtype=np.int32)
        first[self.codes[::-1]] = rows  # the last assignment counts: that of the first row
        order = np.argsort(first, kind="stable")[: int(self.used().sum())]
        if len(order) == len(first) and (np.diff(order) > 0).all():
            return self.distinct, self.codes
        return values_at(self.distinct, order), _inverse(order, len(first))[self.codes]

    def by_name(self) -> tuple[Sequence[str], Codes]:
        """The names in alphabetical order, and the number of that of each passage."""
        places = np.flatnonzero(self.used())
        names = values_at(self.distinct, places)
        ascending = sorted(range(len(names)), key=names.__getitem__)
        order = places[np.array(ascending, dtype=np.intp)]
        return [names[at] for at in ascending], _inverse(order, len(self.distinct))[self.codes]

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, at: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: SupportsIndex | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return values_at(self.distinct, self.codes[at])
        return self.distinct[int(self.codes[at])]

    def at(self, places: Ints) -> list[str]:
        """The names of these passages."""
        return values_at(self.distinct, self.codes[places])

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self.codes), BLOCK):
            yield from self[start : start + BLOCK]

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} names, {len(self.distinct):,} of them different>"


def values_at(values: Sequence[T], places: NDArray[np.integer[Any]]) -> list[T]:
    """The *values* at these *places*; what reads values from a file reads many at once with its method ``at``."""
    many = getattr(values, "at", None)
    if many is not None:
        several: list[T] = many(places)
        return several
    return [values[place] for place in places.tolist()]


def number_names(names: Sequence[str]) -> tuple[Sequence[str], Codes]:
    """The different *names* in the order of first appearance, and for each of *names* its position among them.

    >>> number_names(["b", "a", "b"])[1].tolist()
    [0, 1, 0]
    """
    return SharedNames.of(names).in_order()


def number_by_name(names: Sequence[str]) -> tuple[Sequence[str], Codes]:
    """The different *names* in alphabetical order, and for each of *names* its position among them.

    >>> number_by_name(["b", "a", "b"])[1].tolist()
    [1, 0, 1]
    """
    return SharedNames.of(names).by_name()


def count_distinct(names: Sequence[str]) -> int:
    """How many different *names* there are."""
    return int(SharedNames.of(names).used().sum())


def count_each(numbers: NDArray[np.integer[Any]], n: int) -> Ints:
    """How often each of the numbers 0, 1, … n − 1 occurs; of millions of *numbers* no copy is made.

    >>> count_each(np.array([2, 0, 2]), 4).tolist()
    [1, 0, 2, 0]
    """
    counts = np.zeros(n, dtype=np.intp)
    at_once = max(n, BLOCK)
    for start in range(0, len(numbers), at_once):
        counts += np.bincount(numbers[start : start + at_once], minlength=n)
    return counts


def without_gaps(values: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """For each of *values* its position among the different values, ascending.

    Whole numbers that are few beside the number of values need no sorting.

    >>> without_gaps(np.array([5, 2, 2, 0, 5, 5])).tolist()
    [2, 1, 1, 0, 2, 2]
    """
    if not (len(values) and values.dtype.kind in "iu" and values.min() >= 0 and values.max() < len(values)):
        return np.unique(values, return_inverse=True)[1]
    there = np.zeros(int(values.max()) + 1, dtype=bool)
    there[values] = True
    return values if there.all() else (np.cumsum(there) - 1)[values]


def _inverse(order: Ints, n: int) -> Codes:
    """For each of *n* codes its position in *order*; 0 for codes that are not in it."""
    places = np.zeros(n, dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places
