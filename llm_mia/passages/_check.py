"""One reading of all inputs before any model is loaded: bad input fails in seconds, not after the scoring."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import PassageError
from ..records import Passage
from ._columns import LONGEST_ID, quoted
from ._passages import Passages

_NON_MEMBER, _MEMBER, _CANDIDATE = 0, 1, 2
_FIRST = 3  # pairs that a message names


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What one source holds."""

    name: str
    """As the user gave it."""
    passages: int
    documents: int
    """Documents told apart by name, within this source."""
    bytes: int
    """UTF-8 bytes of all texts."""
    blank_lines: int
    """Skipped."""
    members: int
    """Passages with label 1."""
    nonmembers: int
    """Passages with label 0."""


@dataclass(frozen=True, slots=True)
class InputCheck:
    """What the inputs hold, and what the user ought to know of them."""

    sources: tuple[SourceCounts, ...]
    """In the order given."""
    notes: tuple[str, ...]
    """One line each; empty where there is nothing to say."""
    repeated: NDArray[np.intp] = field(compare=False, repr=False)
    """Positions over all sources, ascending, of passages whose text stands more than once."""


def check_inputs(sources: Sequence[Passages]) -> InputCheck:
    """Read every source once and compare the texts across them.

    A text both among members (label 1) and non-members (label 0) raises `PassageError`: one of the two is false, and
    every error rate would be. A text twice among candidates (no label), or both among candidates and in the known set,
    is noted. Texts are told apart by 128-bit digests: 16 bytes a passage, and no two texts on earth share one.
    """
    digests, roles = bytearray(), bytearray()
    counts = tuple(_read(source, digests, roles) for source in sources)
    repeats = _Repeats(np.frombuffer(digests, np.uint64).reshape(-1, 2), np.frombuffer(roles, np.uint8))
    inputs = _Reread(sources, counts)
    _refuse_contradictions(repeats, inputs)
    return InputCheck(counts, (*_twice(repeats, inputs), *_known(repeats, inputs)), repeats.all_positions())


def _read(source: Passages, digests: bytearray, roles: bytearray) -> SourceCounts:
    """Count one source; append 16 bytes of digest and one byte of role a passage."""
    before, n_bytes, document = len(roles), 0, None
    documents = array("q")
    for passage in source:
        raw = passage.text.encode()
        n_bytes += len(raw)
        digests += hashlib.blake2b(raw, digest_size=16).digest()
        roles.append(_CANDIDATE if passage.label is None else passage.label)
        if passage.document != document:
            document = passage.document
            documents.append(hash(document))
    mine = roles[before:]
    return SourceCounts(
        name=source.name,
        passages=len(mine),
        documents=len(np.unique(np.frombuffer(documents, np.int64))),
        bytes=n_bytes,
        blank_lines=source.blank_lines,
        members=mine.count(_MEMBER),
        nonmembers=mine.count(_NON_MEMBER),
    )


class _Repeats:
    """Texts that stand more than once: how often in each role, and where.

    *digests* (n, 2) and *roles* (n,) go by position over all sources. Most inputs repeat little, so everything after
    the first sort is about the repeats only.
    """

    def __init__(self, digests: NDArray[np.uint64], roles: NDArray[np.uint8]) -> None:
        order = np.argsort(digests[:, 0])
        ordered = digests[order, 0]
        alike = ordered[1:] == ordered[:-1]
        self._positions: NDArray[np.intp] = np.union1d(order[1:][alike], order[:-1][alike])
        self._roles = roles[self._positions]
        texts, first, of = np.unique(digests[self._positions], axis=0, return_index=True, return_inverse=True)
        self._first, self._of = first, of.reshape(-1)
        self.count = np.stack([np.bincount(self._of[self._roles == role], minlength=len(texts)) for role in range(3)])
        """Shape (3, texts): occurrences of each text in each role."""

    def first(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The few of the *chosen* texts (a mask) that come first in the input."""
        texts = np.flatnonzero(chosen)
        return texts[np.argsort(self._first[texts])][:_FIRST]

    def all_positions(self) -> NDArray[np.intp]:
        """Where any of the texts stands that stand more than once, ascending."""
        positions: NDArray[np.intp] = self._positions[self.count.sum(0)[self._of] > 1]
        return positions

    def positions(self, text: int, *roles: int) -> list[int]:
        """Where one text stands in the given roles, in input order."""
        return [int(at) for at in self._positions[(self._of == text) & np.isin(self._roles, roles)]]


class _Reread:
    """Passages by their position over all sources: ids are looked up again rather than kept."""

    def __init__(self, sources: Sequence[Passages], counts: Sequence[SourceCounts]) -> None:
        starts = [0, *np.cumsum([count.passages for count in counts]).tolist()]
        self._spans = list(zip(sources, pairwise(starts), strict=True))

    def at(self, positions: list[int]) -> dict[int, Passage]:
        found = {}
        for source, (start, stop) in self._spans:
            mine = {at for at in positions if start <= at < stop}
            if mine:
                read = enumerate(islice(source, max(mine) - start + 1), start=start)
                found.update({at: passage for at, passage in read if at in mine})
        return found

    def pairs(self, pairs: list[tuple[int, int]]) -> list[tuple[Passage, Passage]]:
        passages = self.at([at for pair in pairs for at in pair])
        return [(passages[one], passages[other]) for one, other in pairs]


def _refuse_contradictions(repeats: _Repeats, inputs: _Reread) -> None:
    chosen = (repeats.count[_MEMBER] > 0) & (repeats.count[_NON_MEMBER] > 0)
    if not chosen.any():
        return
    pairs = inputs.pairs(
        [(repeats.positions(t, _MEMBER)[0], repeats.positions(t, _NON_MEMBER)[0]) for t in repeats.first(chosen)]
    )
    member, nonmember = pairs[0]
    raise PassageError(
        f"{member.where} and {nonmember.where}",
        f"{_texts(chosen)} both among members and among non-members ({_ids(chosen, pairs)}): remove one of the two",
    )


def _twice(repeats: _Repeats, inputs: _Reread) -> list[str]:
    chosen = repeats.count[_CANDIDATE] > 1
    if not chosen.any():
        return []
    pairs = inputs.pairs([_two(repeats.positions(t, _CANDIDATE)) for t in repeats.first(chosen)])
    return [f"{_texts(chosen)} more than once among the candidates ({_ids(chosen, pairs)}): kept, each is scored"]


def _known(repeats: _Repeats, inputs: _Reread) -> list[str]:
    chosen = (repeats.count[_CANDIDATE] > 0) & (repeats.count[_MEMBER] + repeats.count[_NON_MEMBER] > 0)
    if not chosen.any():
        return []
    pairs = inputs.pairs(
        [
            (repeats.positions(t, _CANDIDATE)[0], repeats.positions(t, _MEMBER, _NON_MEMBER)[0])
            for t in repeats.first(chosen)
        ]
    )
    return [
        f"{_texts(chosen)} both among the candidates and in the known set ({_ids(chosen, pairs)}): "
        "the truth is known; consider removing it from the candidates"
    ]


def _two(positions: list[int]) -> tuple[int, int]:
    return positions[0], positions[1]


def _texts(chosen: NDArray[np.bool_]) -> str:
    count = int(chosen.sum())
    return "1 text stands" if count == 1 else f"{count:,} texts stand"


def _ids(chosen: NDArray[np.bool_], pairs: list[tuple[Passage, Passage]]) -> str:
    shown = ", ".join(f"{quoted(one.id, LONGEST_ID)} = {quoted(other.id, LONGEST_ID)}" for one, other in pairs)
    return f"ids {shown}{', …' if int(chosen.sum()) > len(pairs) else ''}"
