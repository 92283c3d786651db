"""Scores of known non-members → a `Calibration`, with a threshold for all or a threshold for each category."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from shlex import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..calibration import (
    MORE_DOCUMENTS,
    Floats,
    Split,
    confident_document_threshold,
    confident_threshold,
    describe_uncertified,
    finite,
    fpr_threshold,
    hierarchical_threshold,
    nonmembers_needed,
)
from ..errors import CalibrationError, UsageError
from ..records import Note, Standing
from ._calibration import Calibration, Category
from ._origin import Origin
from ._rules import Guarantee, GuaranteeKind
from ._selection import Selection
from .stack import Stack

__all__ = ["POOL", "Basis", "CalibrationScores", "assemble", "basis_of", "set_thresholds"]

Ints = NDArray[np.intp]
POOL = "other"
"""The category of all that are pooled."""


MOST_NAMED = 12
"""Categories that a message names."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationScores:
    """Scores of known non-members, and the number of the document of each; shapes (n,)."""

    scores: Floats
    documents: Ints

    @classmethod
    def of(
        cls, scores: ArrayLike, documents: Sequence[str | int], numbers: dict[str | int, int] | None = None
    ) -> CalibrationScores:
        """Checked scores; equal *documents* mean the same document. *numbers* of documents are extended by new ones."""
        values = finite(scores, "calibration scores")
        if len(documents) != len(values):
            raise UsageError(f"{len(values)} calibration scores but {len(documents)} documents")
        numbers = {} if numbers is None else numbers
        return cls(values, np.array([numbers.setdefault(name, len(numbers)) for name in documents], dtype=np.intp))

    def only(self, rows: Sequence[int]) -> CalibrationScores:
        """Those at the positions *rows*."""
        return CalibrationScores(self.scores[rows], self.documents[rows])

    def ascending(self) -> CalibrationScores:
        """The same in ascending order of the scores; documents are numbered in the order of first appearance."""
        order = np.argsort(self.scores, kind="stable")
        return CalibrationScores.of(self.scores[order], self.documents[order].tolist())


@dataclass(frozen=True, slots=True)
class Basis:
    """What a calibration rests on besides its scores; each field is described at `Calibration`."""

    attack: str
    fpr: float
    confidence: float | None = None
    origin: Origin | None = None
    by: str = ""
    split: Split | None = None
    selection: Selection = field(default_factory=Selection)
    stack: Stack | None = None
    standing: Standing | None = None
    by_shadows: bool = False
    notes: tuple[Note, ...] = ()


def basis_of(calibration: Calibration) -> Basis:
    """The basis of a calibration."""
    return Basis(**{each.name: getattr(calibration, each.name) for each in fields(Basis)})


def set_thresholds(
    basis: Basis,
    known: CalibrationScores,
    categories: Sequence[str] | None = None,
    pool: bool | Collection[str] = False,
    wanted: Collection[str] = (),
) -> Calibration:
    """The calibration that the scores of *known* non-members, n of them, give.

    A new non-member exchangeable with them is flagged with probability at most the FPR: see `fpr_threshold`, and
    `confident_threshold` where there is a confidence. Nothing else may have been chosen on these non-members. Where
    several come from a document, it is the documents that must be exchangeable, and each counts once: see
    `hierarchical_threshold` and `confident_document_threshold`.

    With *categories*, shape (n,), the guarantee holds in each category separately, and not only over all (Mondrian): a
    category is whatever is known of a passage without its score, such as a length band, a language or a source. With a
    confidence it holds in each, not in all at once. *pool* names the categories that are put together as ``other``;
    there it holds for the pool as a whole, in the mixture of this calibration set. Fix the names beforehand, or on the
    fit part. ``pool=True`` pools the categories that are too small in this calibration set. Then it holds in the pool
    only approximately, because a category that is just too small has fewer passages here than among new ones (5.3 % of
    non-members were flagged at 5 % where that category scored far above the rest). Categories: Vovk, Gammerman and
    Shafer 2005, section 4.5.

    *wanted* are categories of candidates, which need a threshold too.

    Raises:
        CalibrationError: no scores, all scores (of a category) equal, or n, or the number of their documents, too small
            for the FPR; names every category that is too small.
    """
    groups = {} if categories is None else _grouped(known, categories)
    needed = nonmembers_needed(basis.fpr, basis.confidence)
    documents = {name: set[int]() for name in wanted} | _documents_of(groups)
    small = {name for name, numbers in documents.items() if len(numbers) < needed}
    names = small if pool is True else {pool} if isinstance(pool, str) else pool or ()
    pooled = tuple(sorted(names))
    if pooled and {*pooled, POOL} & {*groups}:
        groups, pooled = _pooled(groups, pooled)
    documents = {name: numbers for name, numbers in documents.items() if name not in pooled} | _documents_of(groups)
    if min(map(len, documents.values()), default=needed) < needed:
        raise CalibrationError(_too_few(documents, needed, basis, pooled, shared=_shared(known)))
    return assemble(
        basis,
        known,
        {name: (each, pooled if name == POOL else ()) for name, each in groups.items()},
        by_size=pool is True,
    )


def assemble(
    basis: Basis,
    known: CalibrationScores,
    groups: Mapping[str, tuple[CalibrationScores, tuple[str, ...]]],
    *,
    by_size: bool,
) -> Calibration:
    """The calibration that follows from *known*, or from those of *groups*, each with the names pooled into it."""
    joined = _joined([groups[name][0] for name in sorted(groups)]) if groups else known
    if not len(joined.scores):
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    ascending, shared = joined.ascending(), _shared(joined)
    # Documents are numbered as in `ascending`, in the categories too.
    in_order = joined.documents[np.argsort(joined.scores, kind="stable")]
    number_of = np.empty(1 + int(in_order.max()), dtype=np.intp)
    number_of[in_order] = ascending.documents
    categories = {}
    for name in sorted(groups):
        part, names = groups[name]
        numbered = CalibrationScores(part.scores, number_of[part.documents])
        category = _category(name, numbered, basis, shared=shared)
        categories[name] = replace(category, pooled=names, pooled_by_size=by_size and bool(names))
    whole = None if categories else _category("", ascending, basis, shared=shared)
    return Calibration(
        **{each.name: getattr(basis, each.name) for each in fields(Basis)},
        threshold=whole.threshold if whole else max(category.threshold for category in categories.values()),
        guarantee=_guarantee(basis.confidence, categories, shared=shared),
        n=len(ascending.scores),
        n_documents=int(ascending.documents.max()) + 1,
        scores=tuple(ascending.scores.tolist()),
        documents=tuple(ascending.documents.tolist()) if shared else (),
        categories=categories,
    )


def _shared(known: CalibrationScores) -> bool:
    """Whether a document has several of the scores."""
    return len(np.unique(known.documents)) < len(known.documents)


def _guarantee(confidence: float | None, categories: Mapping[str, Category], *, shared: bool) -> Guarantee:
    return Guarantee(
        kind=GuaranteeKind.MARGINAL if confidence is None else GuaranteeKind.WITH_CONFIDENCE,
        confidence=confidence,
        by_document=shared,
        by_category=bool(categories),
        pooled=any(category.pooled for category in categories.values()),
        pooled_by_size=any(category.pooled_by_size for category in categories.values()),
    )


def _category(name: str, known: CalibrationScores, basis: Basis, *, shared: bool) -> Category:
    order = np.argsort(known.scores, kind="stable")
    scores, documents = known.scores[order], known.documents[order]
    where = f" of category {name!r}" if name else ""
    try:
        threshold = _threshold(scores, documents if shared else None, basis)
    except CalibrationError as error:
        raise CalibrationError(f"category {name!r}: {error}" if name else str(error)) from None
    if len(scores) > 1 and scores[0] == scores[-1]:
        raise CalibrationError(
            f"all {len(scores)} scores of known non-members{where} equal {scores[0]:g}, so {basis.attack} cannot "
            "distinguish these passages: calibrate another attack"
        )
    return Category(
        threshold, len(scores), tuple(scores.tolist()), documents=tuple(documents.tolist()) if shared else ()
    )


def _threshold(scores: Floats, documents: Ints | None, basis: Basis) -> float:
    """The threshold of passages, or with *documents* of passages that share them."""
    fpr, confidence = basis.fpr, basis.confidence
    if documents is None:
        return fpr_threshold(scores, fpr) if confidence is None else confident_threshold(scores, fpr, confidence)
    if confidence is None:
        return hierarchical_threshold(scores, documents, fpr)
    return confident_document_threshold(scores, documents, fpr, confidence)


def _grouped(known: CalibrationScores, categories: Sequence[str]) -> dict[str, CalibrationScores]:
    if len(categories) != len(known.scores):
        raise UsageError(f"{len(known.scores)} calibration scores but {len(categories)} categories")
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(categories):
        rows.setdefault(str(name), []).append(row)
    return {name: known.only(members) for name, members in rows.items()}


def _documents_of(groups: Mapping[str, CalibrationScores]) -> dict[str, set[int]]:
    """The documents of each category; of passages that share none, as many as passages."""
    return {name: set(known.documents.tolist()) for name, known in groups.items()}


def _pooled(
    groups: Mapping[str, CalibrationScores], pooled: tuple[str, ...]
) -> tuple[dict[str, CalibrationScores], tuple[str, ...]]:
    """*groups* with the *pooled* categories as ``other``, and with a category of that name among the pooled."""
    names = tuple(sorted({*pooled} | ({POOL} & groups.keys())))
    single = {name: values for name, values in groups.items() if name not in names}
    return {**single, POOL: _joined([groups[name] for name in names if name in groups])}, names


def _joined(parts: Sequence[CalibrationScores]) -> CalibrationScores:
    scores, documents = [part.scores for part in parts], [part.documents for part in parts]
    return CalibrationScores(np.concatenate(scores), np.concatenate(documents))


def _too_few(
    documents: Mapping[str, set[int]], needed: int, basis: Basis, pooled: Sequence[str], *, shared: bool
) -> str:
    """Every category that is too small, what each lacks, and which categories to pool so that each has enough."""
    sizes = {name: len(numbers) for name, numbers in documents.items()}
    ascending = sorted(sizes, key=lambda name: (sizes[name], name))
    short = [name for name in ascending if sizes[name] < needed]
    named, units = short[:MOST_NAMED], " documents" if shared else ""
    which = ", ".join(
        f"{sizes[name]}{units} of category {name!r} ({needed - sizes[name]} more needed)" for name in named
    )
    which += f" and {len(short) - len(named):,} more categories below {needed}" if len(short) > len(named) else ""
    what, add = describe_uncertified(basis.fpr, basis.confidence), MORE_DOCUMENTS if shared else "add non-members"
    unit = "documents of non-members" if shared else "non-members"
    problem = f"{which} {what}: each category needs at least {needed} {unit}: {add}"
    empty = [repr(name) for name in short if not sizes[name]][:MOST_NAMED]
    if empty:
        # A pool with a category that has no non-members would hold a rate for the others alone.
        return f"{problem}, or leave out the candidates of {', '.join(empty)}, for which no error rate can hold"
    if len(set().union(*documents.values())) < needed:
        return problem
    joined, total = list(short), set().union(*(documents[name] for name in short))
    for name in ascending[len(short) :]:
        if len(total) < needed:
            joined, total = [*joined, name], total | documents[name]
    if len(joined) == len(sizes):
        return f"{problem}, or leave out `by`, because only all categories together have as many"
    names = sorted({*pooled, *joined} - ({POOL} if pooled else set()))
    if len(names) > MOST_NAMED:
        return f"{problem}, or name as `by` a column of fewer and larger categories"
    return f"{problem}, or join categories: {' '.join(f'`pool` {quote(name)}' for name in names)}"
