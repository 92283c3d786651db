"""What a decision was about, without texts and ids: digests, and a sketch that shows which candidates overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import RunDirectoryError
from ..records import OF_TARGET
from ..scores import UNKNOWN, ScoreTable
from ..store import read_signals

__all__ = ["SKETCH", "Candidates", "Subject"]

Hashes = NDArray[np.uint64]
BLOCK, NAMES = 1 << 20, 1 << 16
"""Scores, and names, that are hashed at the same time."""
SMALLEST_POWER, POWERS = -300, 1 << 10
"""Smaller scores count as multiples of this power of ten; and how many powers of ten there are, at most."""
SKETCH = 256
"""Hashes that a sketch holds: of a smaller set it holds all."""
SCORES_SKETCH = 64
"""Hashes that the sketch of a column of scores holds."""
OVERLAP = 0.1
"""Share of the smaller of two sets that the other holds, from which on they count as the same candidates."""
DISTINCT = 0.95
"""Share of different scores in a column, from which on candidates are known by their scores."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of a decision, as hashes."""

    count: int
    """Different texts, or ids."""
    sha256: str
    """Of all their hashes, and of their documents."""
    sketch: tuple[str, ...]
    """The `SKETCH` smallest hashes, ascending, 64 bits each, as hex."""

    @classmethod
    def of(cls, hashes: Hashes, documents: Hashes, size: int = SKETCH) -> Candidates:
        """The candidates with these *hashes*, of texts, ids or scores; their sketch holds *size* of them."""
        distinct = _distinct(hashes)
        count, sketch = len(distinct), tuple(f"{each:016x}" for each in distinct[:size].tolist())
        del distinct  # of millions of candidates the digest needs the memory
        return cls(count, _digest(hashes, documents), sketch)

    @property
    def whole(self) -> bool:
        """Whether the sketch holds every hash."""
        return len(self.sketch) == self.count

    def share_in(self, other: Candidates) -> float | None:
        """The share of the smaller of both sets that the other holds, estimated; None where no hash is comparable.

        A sketch holds all hashes up to its largest, so up to the smaller of two largest both are complete.
        """
        ends = [each.sketch[-1] for each in (self, other) if not each.whole]
        first, second = (
            {each for each in sketch if not ends or each <= min(ends)} for sketch in (self.sketch, other.sketch)
        )
        least = min(len(first), len(second))
        return len(first & second) / least if least else None


@dataclass(frozen=True, slots=True)
class Subject:
    """The candidates and the known set of a decision."""

    texts: Candidates | None
    """By their texts; None where no run directory holds them."""
    ids: Candidates
    """By their ids."""
    known_sets: tuple[str, ...]
    """Digests of the non-members: of ids and scores, a digest for each column of scores."""
    scores: tuple[Candidates, ...] = ()
    """By their scores, for each column; empty where the texts are known."""

    @classmethod
    def of(cls, table: ScoreTable, run: Path | None = None) -> Subject:
        """The subject of a decision on the unlabelled rows of *table*, whose texts are known where *run* holds them."""
        texts = None if run is None else _hashes_of_texts(table, run)
        ids, known = _hashes(table.ids), table.rows(0)
        columns = [np.ascontiguousarray(table.columns[name][known]) for name in sorted(table.columns)]
        by_score = (_hashes_of_scores(table, name, ids) for name in sorted(table.columns) if texts is None)
        return cls(
            texts=None if texts is None else _candidates(table, texts),
            ids=_candidates(table, ids),
            known_sets=tuple(_digest(ids[known], scores.view(np.uint64)) for scores in columns),
            scores=tuple(Candidates.of(hashes, hashes, SCORES_SKETCH) for hashes in by_score if len(hashes)),
        )

    @property
    def sha256(self) -> str:
        """Digest of the candidates."""
        return (self.texts or self.ids).sha256

    def overlaps(self, other: Subject) -> bool:
        """Whether a decision on *other* is a decision on the same candidates: they are the same, grew or shrank.

        Where the texts of either are unknown, ids are compared. They may be numbers of rows, so there the known set has
        to be the same, too, in at least one column of scores; or candidates have the same scores in some column,
        whatever their ids and the known set are.
        """
        same_known = bool(set(self.known_sets) & set(other.known_sets))
        if self.texts is not None and other.texts is not None:
            share = self.texts.share_in(other.texts)
            return same_known if share is None else share >= OVERLAP
        shares = (first.share_in(second) for first in self.scores for second in other.scores)
        if any(share is not None and share >= OVERLAP for share in shares):
            return True
        share = self.ids.share_in(other.ids)
        return same_known and (share is None or share >= OVERLAP)


def _candidates(table: ScoreTable, hashes: Hashes) -> Candidates:
    """The candidates of *table*, by the *hashes* of its rows; the scores of shadow models, which come last, have none.

    The name of a document does not matter, but the smallest of the hashes of its candidates: where an input names no
    documents, their names come from the ids, which differ from file to file.
    """
    candidate = table.labels[: len(hashes)] == UNKNOWN
    chosen, documents = hashes[candidate], table.groups().codes[: len(hashes)][candidate]
    smallest = np.full(int(documents.max(initial=0)) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, documents, chosen)
    return Candidates.of(chosen, smallest[documents])


def _hashes_of_texts(table: ScoreTable, run: Path) -> Hashes | None:
    """A hash of the text of each row; None where the run directory does not hold the signals of these rows."""
    name = next((name for name in OF_TARGET if table.record and name in table.record.passes), None)
    if name is None:
        return None
    try:
        digests = read_signals(run, name, ()).text_digests()
        hashes = np.fromiter((int(digest[:16], 16) for digest in digests), np.uint64)
    except RunDirectoryError:  # without signals, or with damaged signals, scores can be decided on all the same
        return None
    return hashes if len(hashes) == (table.places.count("") if table.places else len(table)) else None


def _hashes_of_scores(table: ScoreTable, name: str, ids: Hashes) -> Hashes:
    """A hash of the score of each candidate that has a score; *ids* are the hashes of the ids.

    Scores count to eight digits, so that a change of scale by a rounding error does not hide them. Where scores are
    rounded so coarsely that many are equal, those of other candidates are the same: then the id is part of the hash.
    """
    scores = table.columns[name]
    chosen = (table.labels == UNKNOWN) & np.isfinite(scores)
    hashes: Hashes = scores[chosen].view(np.uint64)  # each score is replaced by its hash
    for start in range(0, len(hashes), BLOCK):
        part = slice(start, start + BLOCK)
        hashes[part] = _mixed(_eight_digits(hashes[part].view(np.float64)))
    if len(_distinct(hashes)) < DISTINCT * len(hashes):
        of_ids = ids[chosen]
        for start in range(0, len(hashes), BLOCK):
            part = slice(start, start + BLOCK)
            hashes[part] = _mixed(hashes[part] ^ of_ids[part])
    return hashes


def _distinct(hashes: Hashes) -> Hashes:
    """The different *hashes*, ascending."""
    ascending = np.sort(hashes)
    first = np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]
    return np.asarray(ascending[first])


def _eight_digits(scores: NDArray[np.float64]) -> Hashes:
    """A number for each score: equal for scores that agree in eight significant digits and in the power of ten."""
    size = np.abs(scores)
    power = np.floor(np.log10(np.where(size > 0, size, 1.0))).clip(min=SMALLEST_POWER)
    digits = np.rint(scores / 10.0 ** (power - 7))
    carried = np.abs(digits) >= 1e8  # 9.99999999 is 10.000000
    power[carried] += 1
    digits[carried] /= 10
    return (digits.astype(np.int64) * POWERS + power.astype(np.int64)).view(np.uint64)


def _mixed(values: Hashes) -> Hashes:
    """Numbers that look random, each the same for equal *values* (the finaliser of splitmix64)."""
    values = values.copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    return np.asarray(values ^ (values >> np.uint64(31)))


def _hashes(names: Sequence[str]) -> Hashes:
    digests = bytearray()
    for start in range(0, len(names), NAMES):
        part = names[start : start + NAMES]
        digests += b"".join([hashlib.blake2b(name.encode(), digest_size=8).digest() for name in part])
    return np.frombuffer(digests, dtype=np.uint64)


def _digest(*columns: Hashes) -> str:
    """Digest of rows, whatever their order."""
    order, digest = np.lexsort(columns), hashlib.sha256()
    for column in columns:
        for start in range(0, len(order), BLOCK):
            digest.update(column[order[start : start + BLOCK]].tobytes())
    return digest.hexdigest()
