"""What is validated: the passages of all three sets, their documents, and scores of them where there are any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import PassageError, UsageError
from ..records import Passage

__all__ = ["Asked", "Contrast", "KnownScores", "Material", "listed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

_FIRST = 5  # ids that a message names
ROLES = ("non-members", "members", "candidates")
NON_MEMBER, MEMBER, CANDIDATE = range(3)


@dataclass(frozen=True, slots=True)
class Asked:
    """The figures that the audit wants to state; what the known set is too small for is said beforehand."""

    fpr: float = 0.05
    """The false positive rate to hold."""
    confidence: float | None = None
    """That it holds with this confidence over the draw of the calibration set; None: on average."""
    tpr_at: tuple[float, ...] = ()
    """False positive rates at which a true positive rate is wanted."""

    def __post_init__(self) -> None:
        rates = [("fpr", self.fpr), *(("tpr_at", rate) for rate in self.tpr_at)]
        for name, rate in [*rates, *([] if self.confidence is None else [("confidence", self.confidence)])]:
            if not 0 < rate < 1:
                raise UsageError(f"`{name}` must lie between 0 and 1, both excluded: got {rate:g}")


@dataclass(frozen=True, slots=True, eq=False)
class KnownScores:
    """Scores of the passages given to `validate`, each array in their order; higher is more member-like."""

    members: Mapping[str, ArrayLike] = field(default_factory=dict)
    """By attack on the target model, each of shape (members,)."""
    nonmembers: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Likewise, (non-members,)."""
    candidates: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Likewise, (candidates,); looked at for missing ones only, since members among them differ rightly."""
    reference_members: ArrayLike | None = None
    """The reference model's own mean log-likelihood of each passage, nats per token or per byte."""
    reference_nonmembers: ArrayLike | None = None
    reference_candidates: ArrayLike | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Two sets of passages that ought to look alike; arrays of shape (n,)."""

    rows: Ints
    """Numbers of the passages."""
    labels: Bools
    """Whether each is of the first set."""
    documents: Ints

    @property
    def names(self) -> list[str] | None:
        """Documents as names; None where no two passages share one."""
        return None if len(np.unique(self.documents)) == len(self.rows) else list(map(str, self.documents.tolist()))

    def documents_of(self, label: bool) -> int:
        """How many documents have passages of the first (True) or the second set."""
        return len(np.unique(self.documents[self.labels == label]))


class Material:
    """The passages of all sets in one row, non-members, members, candidates, and what is known of each."""

    def __init__(
        self, members: Sequence[Passage], nonmembers: Sequence[Passage], candidates: Sequence[Passage]
    ) -> None:
        _check(members, nonmembers, candidates)
        sets = (nonmembers, members, candidates)
        self.passages = [passage for each in sets for passage in each]
        self.texts = [passage.text for passage in self.passages]
        self.roles = np.repeat(range(3), [len(each) for each in sets])
        """Shape (passages,): `NON_MEMBER`, `MEMBER` or `CANDIDATE`."""
        self.documents = _documents(sets)
        """Shape (passages,): a number for each document."""

    def rows(self, *roles: int) -> Ints:
        """Numbers of the passages of these sets."""
        return np.flatnonzero(np.isin(self.roles, roles))

    def ids(self, rows: Iterable[int]) -> list[str]:
        """Ids of the passages of these numbers."""
        return [self.passages[row].id for row in rows]

    def contrast(self, first: int, second: int, *, most: int, rng: np.random.Generator) -> Contrast:
        """Passages of set *first* (label True) and of *second*; of more than *most* in one, a sample by document."""
        kept = [self._sampled(self.rows(role), most, rng) for role in (first, second)]
        labels = np.repeat([True, False], [len(each) for each in kept])
        rows = np.concatenate(kept)
        return Contrast(rows, labels, self.documents[rows])

    def _sampled(self, rows: Ints, most: int, rng: np.random.Generator) -> Ints:
        if len(rows) <= most:
            return rows
        documents = self.documents[rows]
        place = np.empty(documents.max() + 1, dtype=np.intp)
        place[rng.permutation(np.unique(documents))] = np.arange(len(np.unique(documents)))
        whole = rows[np.argsort(place[documents], kind="stable")]
        return np.sort(whole[:most])


def listed(ids: Sequence[str]) -> str:
    """The first of *ids*, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e", "f", "g"])
    "'a', 'b', 'c', 'd', 'e' and 2 more"
    """
    more = len(ids) - _FIRST
    return ", ".join(map(repr, ids[:_FIRST])) + (f" and {more} more" if more > 0 else "")


def _documents(sets: Sequence[Sequence[Passage]]) -> Ints:
    """Numbers of the documents; a passage alone under its own id names none: row 1 of two files is no shared one."""
    numbers: dict[object, int] = {}
    found = []
    for role, passages in enumerate(sets):
        sizes = Counter(passage.document for passage in passages)
        for passage in passages:
            own = passage.document == passage.id and sizes[passage.document] == 1
            found.append(numbers.setdefault((role, passage.id) if own else passage.document, len(numbers)))
    return np.array(found, dtype=np.intp)


def _check(members: Sequence[Passage], nonmembers: Sequence[Passage], candidates: Sequence[Passage]) -> None:
    if not nonmembers:
        raise PassageError("non-members", "there are none: nothing can be calibrated on, or compared with, no passages")
    if not members and not candidates:
        raise PassageError("members", "there are none, and no candidates: there is nothing to compare non-members with")
    for name, passages, opposite in (("members", members, 0), ("non-members", nonmembers, 1)):
        wrong = [passage.id for passage in passages if passage.label == opposite]
        if wrong:
            raise PassageError(
                name, f"{len(wrong)} have the label {opposite} ({listed(wrong)}): give them to the other set"
            )
        documents = {passage.document for passage in passages}
        if passages and len(documents) < 2:
            raise PassageError(
                name,
                f"all {len(passages)} come from one document, {next(iter(documents))!r}, which can't be told from "
                "membership: give passages of at least 2 documents of each class",
            )
