"""What a whole reading of a source notes about it, so that no later stage has to read the source for that."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..records import Passage
from ._columns import MOST_SHOWN, quoted
from ._tables import Tally

__all__ = [
    "CANDIDATE",
    "LONGEST_CARRIED",
    "MEMBER",
    "NON_MEMBER",
    "ColumnType",
    "Contents",
    "Reading",
    "SourceCounts",
    "common_type",
]

NON_MEMBER, MEMBER, CANDIDATE = 0, 1, 2
LONGEST_CARRIED = 200
"""Characters of a string that is carried into the results: a longer one may be a text, as private as a passage."""


class ColumnType(StrEnum):
    """The type of a carried column; the names are Arrow's, but for `TOO_LONG`."""

    BOOL = "bool"
    INT = "int64"
    FLOAT = "float64"
    STRING = "string"
    TOO_LONG = "too_long"
    """It holds a string of more than `LONGEST_CARRIED` characters, and is not carried."""


def common_type(types: Iterable[ColumnType]) -> ColumnType:
    """The type that holds the values of all *types*, at least 1: of different types a string, but of numbers a float.

    >>> str(common_type(["int64", "float64"])), str(common_type(["bool", "int64"]))
    ('float64', 'string')
    """
    distinct = set(types)
    if ColumnType.TOO_LONG in distinct or len(distinct) == 1:
        return ColumnType.TOO_LONG if ColumnType.TOO_LONG in distinct else ColumnType(distinct.pop())
    return ColumnType.FLOAT if distinct == {ColumnType.INT, ColumnType.FLOAT} else ColumnType.STRING


def _type_of(value: str | float | bool) -> ColumnType:
    if isinstance(value, str):
        return ColumnType.STRING if len(value) <= LONGEST_CARRIED else ColumnType.TOO_LONG
    if isinstance(value, bool):
        return ColumnType.BOOL
    if isinstance(value, int):
        return ColumnType.INT if -(2**63) <= value < 2**63 else ColumnType.STRING
    return ColumnType.FLOAT


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What a source holds."""

    name: str
    """As the user gave it."""
    passages: int
    documents: int
    """Documents with different names."""
    bytes: int
    """UTF-8 bytes of all texts."""
    blank_lines: int
    """Blank lines, which are skipped."""
    empty_texts: int
    """Rows or files without text, skipped because of ``skip_empty``."""
    members: int
    """Passages with label 1."""
    nonmembers: int
    """Passages with label 0."""
    notes: tuple[str, ...] = ()
    """How it was read: which files of a folder, and which were left out and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Counts of a source, and the digests by which its texts are compared with those of other sources."""

    counts: SourceCounts
    digests: NDArray[np.uint64]
    """Shape (passages, 2): 128 bits of each text; different texts have different digests."""
    sizes: NDArray[np.uint32]
    """Shape (passages,): UTF-8 bytes of each text."""
    roles: NDArray[np.uint8]
    """Shape (passages,): `NON_MEMBER`, `MEMBER` or `CANDIDATE`."""
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    """The carried columns that have a value, in the order in which they occur."""


class Reading:
    """Takes the passages of a source one after another; 21 bytes of memory a passage, and 8 a document."""

    def __init__(self) -> None:
        self._digests, self._roles, self._documents = bytearray(), bytearray(), array("q")
        self._sizes = array("I")
        self._document: str | None = None
        self._types: dict[str, set[ColumnType]] = {}

    def add(self, passage: Passage) -> None:
        """Note the next passage."""
        raw = passage.text.encode()
        self._sizes.append(len(raw))
        self._digests += hashlib.blake2b(raw, digest_size=16).digest()
        self._roles.append(CANDIDATE if passage.label is None else passage.label)
        if passage.document != self._document:
            self._document = passage.document
            self._documents.append(hash(passage.document))
        for name, value in passage.columns.items():
            if value is not None:
                self._types.setdefault(name, set()).add(_type_of(value))

    def contents(self, name: str, tally: Tally, notes: tuple[str, ...]) -> Contents:
        """What the reading and *tally* have noted."""
        if tally.empty_texts:
            empty = (
                "1 row or file without text is"
                if tally.empty_texts == 1
                else f"{tally.empty_texts:,} rows or files without text are"
            )
            notes = (*notes, f"{name}: {empty} left out")
        if tally.without_labels:
            names = ", ".join(map(quoted, tally.without_labels[:MOST_SHOWN]))
            notes = (
                *notes,
                f"{name}: no label is read, because no column has a usual name of labels: name it with "
                f"`label_column`; the columns are {names}",
            )
        counts = SourceCounts(
            name=name,
            passages=len(self._roles),
            documents=len(np.unique(np.frombuffer(self._documents, np.int64))),
            bytes=sum(self._sizes),
            blank_lines=tally.blank_lines,
            empty_texts=tally.empty_texts,
            members=self._roles.count(MEMBER),
            nonmembers=self._roles.count(NON_MEMBER),
            notes=notes,
        )
        digests = np.frombuffer(bytes(self._digests), np.uint64).reshape(-1, 2)
        columns = {name: common_type(types) for name, types in self._types.items()}
        sizes, roles = np.frombuffer(self._sizes, np.uint32), np.frombuffer(bytes(self._roles), np.uint8)
        return Contents(counts, digests, sizes, roles, columns)
