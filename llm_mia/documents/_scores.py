"""The evidence of a document: an average of the scores of its passages."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError, UsageError
from ..metrics import describe_positions
from ..records import SharedNames, count_each, number_names

__all__ = [
    "Average",
    "DocumentScores",
    "GroupedScores",
    "document_scores",
    "group_scores",
    "matched_size",
    "random_ranks",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
Average: TypeAlias = Literal["mean", "trimmed"]

BLOCK = 1 << 20
"""Passages, of whole documents, that are sorted at once."""
TRIMMED_SHARE = 0.2
"""Share of passages that a trimmed mean leaves out at either end."""


@dataclass(frozen=True, slots=True, eq=False)
class DocumentScores:
    """The evidence of documents, in order of first appearance."""

    names: tuple[str, ...]
    """Names of the documents, shape (d,)."""
    values: Floats
    """Shape (d,): the evidence, on the scale of the scores; NaN where no passage has a score."""
    n_passages: Ints
    """Shape (d,): number of passages with a score."""
    n_unscored: Ints
    """Shape (d,): number of passages without a score, which are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupedScores:
    """Scores of passages, with the number of the document of each."""

    values: Floats
    """Shape (n,), or (n, attacks)."""
    names: Sequence[str]
    """Names of the documents."""
    numbers: NDArray[np.integer[Any]]
    """Shape (n,): positions in *names*."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Shape (n,): whether a passage has all its scores."""
        return np.asarray(~np.isnan(self.values).reshape(len(self.values), -1).any(axis=1))

    def sizes(self, chosen: NDArray[np.bool_]) -> Ints:
        """The number of *chosen* passages of each document."""
        return count_each(self.numbers if chosen.all() else self.numbers[chosen], len(self.names))

    def parts(self) -> Iterator[slice]:
        """The passages in parts of whole documents; all of them together where documents are not in one piece each."""
        n = len(self.numbers)
        if n <= BLOCK or (self.numbers[1:] < self.numbers[:-1]).any():
            yield slice(0, n)
            return
        ends = np.searchsorted(self.numbers, self.numbers[BLOCK::BLOCK], side="left")
        for start, end in pairwise([0, *np.unique(ends[ends > 0]).tolist(), n]):
            yield slice(start, end)


def document_scores(scores: ArrayLike, documents: Sequence[str], average: Average = "mean") -> DocumentScores:
    """The evidence of each document: the mean or trimmed mean of the scores of its passages.

    The evidence depends on no other document, so it is exchangeable where documents are. The mean is best where scores
    are about normal. The trimmed mean leaves out the lowest and the highest fifth (nothing under five passages), so
    that a few unusual passages do not decide. Where only a part of a document was trained on, these may be the passages
    that show it, and the mean is better.

    Args:
        scores: of passages, shape (n,).
        documents: the document of each passage, shape (n,), in any order.
        average: ``mean`` or ``trimmed``.

    Raises:
        ScoresError: no passages, or infinite scores (with their positions).
        UsageError: unequal lengths, or an unknown *average*.

    >>> books = document_scores([1.0, 2.0, 6.0, float("nan")], ["book", "book", "essay", "essay"])
    >>> books.names, books.values.tolist(), books.n_passages.tolist(), books.n_unscored.tolist()
    (('book', 'essay'), [1.5, 6.0], [2, 1], [0, 1])
    """
    passages = require_single_attack(group_scores(scores, documents))
    scored = passages.scored
    return DocumentScores(
        tuple(passages.names), evidence(passages, scored, average), passages.sizes(scored), passages.sizes(~scored)
    )


def evidence(passages: GroupedScores, chosen: NDArray[np.bool_], average: Average) -> Floats:
    """Mean or trimmed mean of each document's *chosen* passages, NaN where there are none.

    The result does not depend on the order of the rows.

    >>> five = group_scores([1.0, 2.0, 3.0, 4.0, 90.0], ["a"] * 5)
    >>> evidence(five, np.ones(5, dtype=bool), "trimmed").tolist()
    [3.0]
    """
    if average not in get_args(Average):
        raise UsageError(f"`average` must be 'mean' or 'trimmed': got {average!r}")
    d = len(passages.names)
    sums, counts = np.zeros(d), np.zeros(d, dtype=np.intp)
    for part in passages.parts():
        kept = chosen[part]
        values, numbers = passages.values[part][kept], passages.numbers[part][kept]
        # Summed in the order of the scores, so that two documents with equal passages tie exactly.
        order = np.lexsort((values, numbers))
        if average == "trimmed":
            sizes = count_each(numbers, d)
            size = sizes[numbers[order]]
            rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            cut = np.floor(TRIMMED_SHARE * size + 1e-9)
            order = order[(rank >= cut) & (rank < size - cut)]
        sums += np.bincount(numbers[order], weights=values[order], minlength=d)
        counts += count_each(numbers[order], d)
    with np.errstate(invalid="ignore"):
        return sums / counts


def evidence_by_attack(passages: GroupedScores) -> Floats:
    """The mean of each document's passages that have all scores, shape (documents, attacks)."""
    columns = (GroupedScores(column, passages.names, passages.numbers) for column in passages.values.T)
    return np.column_stack([evidence(column, passages.scored, "mean") for column in columns])


def group_scores(scores: ArrayLike, documents: Sequence[str], whose: str = "") -> GroupedScores:
    """Checked scores of shape (n,) or (n, attacks), by document; *whose* names them in messages."""
    values = np.asarray(scores, dtype=np.float64)
    label = f"{whose} " if whose else ""
    if values.ndim not in (1, 2):
        raise UsageError(f"{label}scores must have a row for each passage, not the shape {values.shape}")
    if len(values) != len(documents):
        raise UsageError(f"{len(values)} {label}scores but {len(documents)} documents")
    if not values.size:
        raise ScoresError(f"there are no {label}passages")
    infinite = np.asarray(np.isinf(values).reshape(len(values), -1).any(axis=1))
    if infinite.any():
        raise ScoresError(
            f"{infinite.sum()} {label}scores are infinite, at {describe_positions(infinite)}: a mean needs finite "
            "scores"
        )
    return GroupedScores(values, *number_names(documents))


def require_single_attack(passages: GroupedScores) -> GroupedScores:
    """*passages*; `UsageError` where each has several scores."""
    if passages.values.ndim != 1:
        raise UsageError(f"each passage must have 1 score, not {passages.values.shape[1]}: choose an attack")
    return passages


def check_disjoint(first: GroupedScores, second: GroupedScores, where: str) -> None:
    """Raise `ScoresError` where a document is on both sides; *where* names both of them for the message."""
    shared = sorted(set(first.names) & set(second.names))
    if shared:
        count = f"{len(shared)} documents are" if len(shared) > 1 else "a document is"
        raise ScoresError(f"{count} both {where}, the first {shared[0]!r}: keep each document on one side only")


def joined_names(first: GroupedScores, second: GroupedScores) -> SharedNames:
    """The document of each passage of two sides, which share no document."""
    codes = np.concatenate([first.numbers, len(first.names) + second.numbers]).astype(np.int32, copy=False)
    return SharedNames([*first.names, *second.names], codes)


def random_ranks(passages: GroupedScores, seed: int) -> NDArray[np.float32]:
    """The rank 0, 1, … of each scored passage in a random order of its document, +inf where there is no score."""
    # Single precision has every whole number up to 16 million.
    ranks = np.full(len(passages.values), np.inf, dtype=np.float32)
    scored, numbers = passages.scored, passages.numbers
    sizes = passages.sizes(scored)
    # In the order of the input, never in that of the scores: the ranks would then pick quantiles instead of passages.
    rows = None if scored.all() and (numbers[1:] >= numbers[:-1]).all() else np.flatnonzero(scored)
    if rows is not None:
        rows = rows[np.argsort(numbers[rows], kind="stable")]
    for name, end, size in zip(passages.names, np.cumsum(sizes).tolist(), sizes.tolist(), strict=True):
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest, "big")])
        ranks[slice(end - size, end) if rows is None else rows[end - size : end]] = rng.permutation(size)
    return ranks


def matched_size(available: Ints, keep: float) -> int:
    """The largest k such that a share *keep* of the calibration documents with scores has k passages or more.

    >>> tuple(matched_size(np.array([0, 1, *[7] * 8, 30]), keep) for keep in (1, 0.9, 0.1))
    (1, 7, 30)
    """
    descending = np.sort(available[available > 0])[::-1]
    return int(descending[max(math.ceil(keep * len(descending) - 1e-9), 1) - 1])
