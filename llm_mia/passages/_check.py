"""Compares all inputs before a model is loaded: bad input fails in seconds, not after the scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import PassageError
from ..records import Passage
from ._columns import LONGEST_ID, quoted
from ._contents import CANDIDATE, MEMBER, NON_MEMBER, Contents, SourceCounts
from ._passages import Passages

__all__ = ["InputCheck", "check_inputs", "note_without_ids", "shared_text"]

PAIRS_SHOWN = 3
"""Pairs of passages that a message names."""
TWICE = {CANDIDATE: "candidates", NON_MEMBER: "non-members"}
"""Roles whose repeated texts are noted, and their names."""


@dataclass(frozen=True, slots=True)
class InputCheck:
    """The contents of the inputs, and what the user ought to know about them."""

    sources: tuple[SourceCounts, ...]
    """In the order given."""
    notes: tuple[str, ...]
    """A line each; empty where there is nothing to report."""
    repeated: NDArray[np.intp] = field(compare=False, repr=False)
    """Positions over all sources, ascending, of passages whose text occurs more than once."""


def check_inputs(sources: Sequence[Passages]) -> InputCheck:
    """Compare the texts of all *sources*; each is read only if no whole iteration of it has come before.

    The result is kept with the first source, so a later call on the same unchanged sources returns it at once.

    A text that occurs twice among candidates or among non-members, or both among candidates and in the known set, is
    noted. For that, sources that hold such texts are read once more, as far as the last passage that a note names.

    Raises:
        PassageError: a text is both among members (label 1) and among non-members (label 0). Either
            label is false, and so would be every error rate.
    """
    read = tuple(source.contents() for source in sources)
    if sources and (kept := sources[0].last_check) is not None and kept[0] == read:
        return kept[1]
    counts = tuple(contents.counts for contents in read)
    roles = np.concatenate([np.empty(0, np.uint8), *(contents.roles for contents in read)])
    repeats = _Repeats(_digests(read), roles)
    read_notes = [note for count in counts for note in count.notes]
    notes = (*read_notes, *_notes(repeats, _Reread(sources, counts)))
    check = InputCheck(counts, notes, repeats.all_positions())
    if sources:
        sources[0].last_check = (read, check)
    return check


def shared_text(sources: Sequence[Passages], others: Sequence[Passages]) -> tuple[Passage, Passage] | None:
    """The first passage of *sources* whose text occurs in *others* too, and the first passage there with this text.

    None where no text is shared. A source is read only if no whole iteration of it has come before, or to look up a
    passage that is returned.
    """
    read, read_others = ([source.contents() for source in group] for group in (sources, others))
    digests, digests_of_others = _digests(read), _digests(read_others)
    # Half of a digest suffices to select a few pairs, which are then compared as a whole.
    for position in np.flatnonzero(np.isin(digests[:, 0], digests_of_others[:, 0])).tolist():
        twins = np.flatnonzero((digests_of_others == digests[position]).all(axis=1)).tolist()
        if twins:
            here = _Reread(sources, [contents.counts for contents in read]).at([position])
            there = _Reread(others, [contents.counts for contents in read_others]).at(twins[:1])
            return here[position], there[twins[0]]
    return None


def _digests(read: Sequence[Contents]) -> NDArray[np.uint64]:
    """The digests of the texts of all sources, shape (passages, 2)."""
    return np.concatenate([np.empty((0, 2), np.uint64), *(contents.digests for contents in read)])


class _Repeats:
    """Texts that occur more than once: how often in each role, and where.

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
        self.labelled = bool((roles != CANDIDATE).any())
        """Whether any passage has a label."""

    def first(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Up to `PAIRS_SHOWN` of the *chosen* texts (a mask): those that come first in the input."""
        texts = np.flatnonzero(chosen)
        return texts[np.argsort(self._first[texts])][:PAIRS_SHOWN]

    def all_positions(self) -> NDArray[np.intp]:
        """Positions of all texts that occur more than once, ascending."""
        positions: NDArray[np.intp] = self._positions[self.count.sum(0)[self._of] > 1]
        return positions

    def positions(self, text: int, *roles: int) -> list[int]:
        """Positions of the text in the given roles, in input order."""
        return [int(at) for at in self._positions[(self._of == text) & np.isin(self._roles, roles)]]


class _Reread:
    """Looks up passages by their position over all sources, so that ids need not be kept."""

    def __init__(self, sources: Sequence[Passages], counts: Sequence[SourceCounts]) -> None:
        starts = [0, *np.cumsum([count.passages for count in counts]).tolist()]
        self._spans = list(zip(sources, pairwise(starts), strict=True))

    def at(self, positions: list[int]) -> dict[int, Passage]:
        """The passages at *positions*; a source is read as far as the last of them."""
        passages = {}
        for source, (start, stop) in self._spans:
            wanted = {at for at in positions if start <= at < stop}
            if wanted:
                read = enumerate(islice(source, max(wanted) - start + 1), start=start)
                passages.update({at: passage for at, passage in read if at in wanted})
        return passages


def _notes(repeats: _Repeats, inputs: _Reread) -> tuple[str, ...]:
    """A line for each kind of repeat; members that are also non-members are refused."""
    members, nonmembers, candidates = repeats.count[[MEMBER, NON_MEMBER, CANDIDATE]]
    both = (members > 0) & (nonmembers > 0)
    twice = {role: repeats.count[role] > 1 for role in TWICE}
    known = (candidates > 0) & (members + nonmembers > 0)
    pairs: dict[object, list[tuple[int, int]]] = {
        "both": [(repeats.positions(t, MEMBER)[0], repeats.positions(t, NON_MEMBER)[0]) for t in repeats.first(both)],
        **{role: [_two(repeats.positions(t, role)) for t in repeats.first(several)] for role, several in twice.items()},
        "known": [
            (repeats.positions(t, CANDIDATE)[0], repeats.positions(t, MEMBER, NON_MEMBER)[0])
            for t in repeats.first(known)
        ],
    }
    passages = inputs.at([at for kind in pairs.values() for pair in kind for at in pair])
    named = {kind: [(passages[a], passages[b]) for a, b in chosen] for kind, chosen in pairs.items()}
    if both.any():
        member, nonmember = named["both"][0]
        raise PassageError(
            f"{member.where} and {nonmember.where}",
            f"{_texts(both)} both among members and among non-members ({_ids(both, named['both'])}): "
            "remove one of the two",
        )
    notes = []
    for role, several in twice.items():
        if several.any():
            ids = _ids(several, named[role])
            among = f" among the {TWICE[role]}" if repeats.labelled else ""  # a pool has no candidates
            notes.append(
                f"{_texts(several)} more than once{among} ({ids}): all are kept and scored; equal "
                "texts without a document count as a single document"
            )
    if known.any():
        ids = _ids(known, named["known"])
        notes.append(
            f"{_texts(known)} both among the candidates and in the known set ({ids}): the truth is known; consider "
            "removing it from the candidates"
        )
    return tuple(notes)


def _two(positions: list[int]) -> tuple[int, int]:
    return positions[0], positions[1]


def _texts(chosen: NDArray[np.bool_]) -> str:
    count = int(chosen.sum())
    return "1 text occurs" if count == 1 else f"{count:,} texts occur"


def note_without_ids(note: str) -> str:
    """A note of `check_inputs` without the ids of passages.

    >>> note_without_ids("1 text occurs more than once (ids 'a' = 'b'): all are kept")
    '1 text occurs more than once: all are kept'
    """
    before, named, rest = note.partition(" (ids ")
    return f"{before}: {rest.rpartition('): ')[2]}" if named else note


def _ids(chosen: NDArray[np.bool_], pairs: list[tuple[Passage, Passage]]) -> str:
    shown = ", ".join(f"{quoted(a.id, LONGEST_ID)} = {quoted(b.id, LONGEST_ID)}" for a, b in pairs)
    return f"ids {shown}{', …' if int(chosen.sum()) > len(pairs) else ''}"
