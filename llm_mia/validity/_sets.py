"""The passages of all sets, their documents, and their scores where there are any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import PassageError, UsageError
from ..records import Passage
from ._wording import list_ids

__all__ = ["Contrast", "KnownScores", "PassageSets", "RequestedRates"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

ROLES = ("non-members", "members", "candidates")
NON_MEMBER, MEMBER, CANDIDATE = range(3)


@dataclass(frozen=True, slots=True)
class RequestedRates:
    """The rates that an audit wants to state; checks of size compare the known set with them."""

    fpr: float = 0.05
    """The false positive rate to hold."""
    confidence: float | None = None
    """Confidence with which it holds over the draw of the calibration set; None: it holds on average."""
    tpr_at: tuple[float, ...] = ()
    """False positive rates at which a true positive rate is to be reported."""

    def __post_init__(self) -> None:
        rates = [("fpr", self.fpr), *(("tpr_at", rate) for rate in self.tpr_at)]
        for name, rate in [*rates, *([] if self.confidence is None else [("confidence", self.confidence)])]:
            if not 0 < rate < 1:
                raise UsageError(f"`{name}` must lie between 0 and 1, both excluded: got {rate:g}")


@dataclass(frozen=True, slots=True, eq=False)
class KnownScores:
    """Scores of the passages of a known set, each array in the order of its passages; higher is more member-like."""

    members: Mapping[str, ArrayLike] = field(default_factory=dict)
    """By attack on the target model, each of shape (members,)."""
    nonmembers: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Likewise, (non-members,)."""
    candidates: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Likewise, (candidates,). Only missing scores are checked: candidates that are members rightly differ."""
    others: Mapping[str, KnownScores] = field(default_factory=dict)
    """By role, the scores of the same attacks with another model in the place of the target (``reference``,
    ``stand-in``). That model cannot know the texts, so candidates that are members must not differ. NaN: it has not
    scored the passage, which is then left out."""
    language_model: bool = True
    """Whether a language model gave them. What an n-gram model does not see may still differ for the target: with two
    exchanged letters in each passage of a side, its AUROC is .54 where that of a language model is .75."""


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Two sets of passages that should not differ; arrays of shape (n,)."""

    rows: Ints
    """Numbers of the passages."""
    labels: Bools
    """Whether each is in the first set."""
    documents: Ints
    """The number of the document of each."""

    @property
    def names(self) -> list[str] | None:
        """Documents as names; None where no document has two passages."""
        return None if len(np.unique(self.documents)) == len(self.rows) else list(map(str, self.documents.tolist()))

    def only(self, kept: Bools) -> Contrast:
        """The passages where *kept*, shape (n,), is true."""
        return Contrast(self.rows[kept], self.labels[kept], self.documents[kept])

    def count_documents(self, label: bool) -> int:
        """The number of documents with passages of the first (True) or the second set."""
        return len(np.unique(self.documents[self.labels == label]))


class PassageSets:
    """Non-members, members and candidates in one sequence, with role and document of each passage."""

    def __init__(
        self, members: Sequence[Passage], nonmembers: Sequence[Passage], candidates: Sequence[Passage]
    ) -> None:
        _check(members, nonmembers, candidates)
        by_role = (nonmembers, members, candidates)
        self.passages = [passage for passages in by_role for passage in passages]
        self.texts = [passage.text for passage in self.passages]
        self.roles = np.repeat(range(3), [len(passages) for passages in by_role])
        """Shape (passages,): `NON_MEMBER`, `MEMBER` or `CANDIDATE`."""
        self.documents = _number_documents(by_role)
        """Shape (passages,): the number of the document of each."""

    def rows(self, *roles: int) -> Ints:
        """Numbers of the passages of these sets."""
        return np.flatnonzero(np.isin(self.roles, roles))

    def ids(self, rows: Iterable[int]) -> list[str]:
        """Ids of the passages with these numbers."""
        return [self.passages[row].id for row in rows]

    def contrast(self, first: int, second: int, *, most: int, rng: np.random.Generator) -> Contrast:
        """Passages of set *first* (label True) and of *second*; of a set of more than *most*, a sample by document."""
        kept = [self._sample(self.rows(role), most, rng) for role in (first, second)]
        labels = np.repeat([True, False], [len(rows) for rows in kept])
        rows = np.concatenate(kept)
        return Contrast(rows, labels, self.documents[rows])

    def _sample(self, rows: Ints, most: int, rng: np.random.Generator) -> Ints:
        if len(rows) <= most:
            return rows
        documents = self.documents[rows]
        place = np.empty(documents.max() + 1, dtype=np.intp)
        place[rng.permutation(np.unique(documents))] = np.arange(len(np.unique(documents)))
        by_document = rows[np.argsort(place[documents], kind="stable")]
        return np.sort(by_document[:most])


def _number_documents(by_role: Sequence[Sequence[Passage]]) -> Ints:
    """The number of the document of each passage.

    A single passage under its id is a document of its own set: row 1 of two files is not a shared document. Those of a
    set with the same text share a document: otherwise a classifier would be tested on texts that it was fitted on.
    """
    numbers: dict[object, int] = {}
    documents = []
    for role, passages in enumerate(by_role):
        sizes = Counter(passage.document for passage in passages)
        for passage in passages:
            unnamed = passage.document == passage.id and sizes[passage.document] == 1
            documents.append(numbers.setdefault((role, passage.text) if unnamed else passage.document, len(numbers)))
    return np.array(documents, dtype=np.intp)


def _check(members: Sequence[Passage], nonmembers: Sequence[Passage], candidates: Sequence[Passage]) -> None:
    if not nonmembers:
        raise PassageError("non-members", "no passage is given: at least 2 documents of non-members are needed")
    if not members and not candidates:
        raise PassageError("members", "no passage is given: give members, or candidates, to compare non-members with")
    for name, passages, opposite in (("members", members, 0), ("non-members", nonmembers, 1)):
        wrong = [passage.id for passage in passages if passage.label == opposite]
        if wrong:
            raise PassageError(
                name, f"{len(wrong)} have the label {opposite} ({list_ids(wrong)}): give them to the other set"
            )
        documents = {passage.document for passage in passages}
        if passages and len(documents) < 2:
            raise PassageError(
                name,
                f"all {len(passages)} come from a single document, {next(iter(documents))!r}, whose properties cannot "
                "be distinguished from membership: give passages of at least 2 documents of each class, such as the "
                "chapters of a book, each as a document",
            )
        if passages and len(set(_number_documents([passages]).tolist())) < 2:
            raise PassageError(
                name,
                f"all {len(passages)} have the same text, whose properties cannot be distinguished from membership: "
                "give passages of at least 2 different texts of each class",
            )
