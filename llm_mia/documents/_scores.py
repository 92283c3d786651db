"""The evidence of a document, from the scores of its passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError
from ..metrics import describe_positions

__all__ = ["DocumentScores", "document_scores"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
How: TypeAlias = Literal["mean", "trimmed"]

TRIMMED = 0.2
"""Share of passages that a trimmed mean leaves out at either end."""


@dataclass(frozen=True, slots=True, eq=False)
class DocumentScores:
    """One row per document, in order of first appearance."""

    names: tuple[str, ...]
    """Shape (d,)."""
    values: Floats
    """Shape (d,): the evidence, on the scale of the scores; NaN where no passage has a score."""
    n_passages: Ints
    """Shape (d,): passages that have a score."""
    n_unscored: Ints
    """Shape (d,): passages that have none, which no value counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Scores with the number of the document of each."""

    values: Floats
    """Shape (n,), or (n, attacks)."""
    names: tuple[str, ...]
    numbers: Ints
    """Shape (n,): positions in *names*."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Shape (n,): passages that have all their scores."""
        return np.asarray(~np.isnan(self.values).reshape(len(self.values), -1).any(axis=1))

    def sizes(self, chosen: NDArray[np.bool_]) -> Ints:
        """Passages *chosen* of each document."""
        return np.bincount(self.numbers[chosen], minlength=len(self.names))


def document_scores(scores: ArrayLike, documents: Sequence[str], how: How = "mean") -> DocumentScores:
    """Gives no guarantee, but evidence that is exchangeable where documents are: it looks at no other document.

    ``mean`` is the mean of the passages' scores, the best where they are about normal. ``trimmed`` first leaves out the
    lowest and the highest fifth (none under five passages), so that a few odd passages don't decide; where a document
    was trained on only in part, these may be the ones that tell, and ``mean`` is better.

    *scores* has shape (n,), *documents* n names in any order. Raises `ScoresError`: no passages, unequal lengths,
    infinite scores (by position), an unknown *how*.

    >>> found = document_scores([1.0, 2.0, 6.0, float("nan")], ["book", "book", "essay", "essay"])
    >>> found.names, found.values.tolist(), found.n_passages.tolist(), found.n_unscored.tolist()
    (('book', 'essay'), [1.5, 6.0], [2, 1], [0, 1])
    """
    passages = one_attack(grouped(scores, documents))
    scored = passages.scored
    return DocumentScores(
        passages.names, evidence(passages, scored, how), passages.sizes(scored), passages.sizes(~scored)
    )


def evidence(passages: Grouped, chosen: NDArray[np.bool_], how: How) -> Floats:
    """Mean or trimmed mean of each document's *chosen* passages, NaN where it has none; the order of rows is no matter.

    >>> four = grouped([1.0, 2.0, 3.0, 4.0, 90.0], ["a"] * 5)
    >>> evidence(four, np.ones(5, dtype=bool), "trimmed").tolist()
    [3.0]
    """
    if how not in get_args(How):
        raise ScoresError(f"how must be one of {', '.join(get_args(How))}: got {how!r}")
    rows = np.flatnonzero(chosen)
    # Added up in the order of the scores, so that two documents with equal passages tie exactly.
    rows = rows[np.lexsort((passages.values[rows], passages.numbers[rows]))]
    if how == "trimmed":
        sizes = passages.sizes(chosen)
        size = sizes[passages.numbers[rows]]
        place = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        cut = np.floor(TRIMMED * size + 1e-9)
        rows = rows[(place >= cut) & (place < size - cut)]
    numbers, d = passages.numbers[rows], len(passages.names)
    with np.errstate(invalid="ignore"):
        return np.bincount(numbers, weights=passages.values[rows], minlength=d) / np.bincount(numbers, minlength=d)


def grouped(scores: ArrayLike, documents: Sequence[str], whose: str = "") -> Grouped:
    """Checked scores of shape (n,) or (n, attacks) by document; *whose* says in messages which ones they are."""
    values = np.asarray(scores, dtype=np.float64)
    label = f"{whose} " if whose else ""
    if values.ndim not in (1, 2):
        raise ScoresError(f"{label}scores must be one row per passage, not an array of shape {values.shape}")
    if len(values) != len(documents):
        raise ScoresError(f"{len(values)} {label}scores but {len(documents)} documents")
    if not values.size:
        raise ScoresError(f"there are no {label}passages")
    infinite = np.asarray(np.isinf(values).reshape(len(values), -1).any(axis=1))
    if infinite.any():
        raise ScoresError(
            f"{infinite.sum()} {label}scores are infinite, at {describe_positions(infinite)}: a mean needs finite ones"
        )
    known: dict[str, int] = {}
    numbers = np.array([known.setdefault(name, len(known)) for name in documents], dtype=np.intp)
    return Grouped(values, tuple(known), numbers)


def one_attack(passages: Grouped) -> Grouped:
    """The same, refused where there are several scores per passage."""
    if passages.values.ndim != 1:
        raise ScoresError(f"one score per passage is needed, not {passages.values.shape[1]}: choose an attack")
    return passages


def disjoint(first: Grouped, second: Grouped, where: str) -> None:
    """Refuse a document that stands on both sides; *where* names them: ``among candidates and calibration set``."""
    shared = sorted(set(first.names) & set(second.names))
    if shared:
        many = f"{len(shared)} documents are" if len(shared) > 1 else "a document is"
        raise ScoresError(f"{many} both {where}, the first {shared[0]!r}: take it out of one of them")
