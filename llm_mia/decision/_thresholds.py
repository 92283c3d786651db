"""Scores of known non-members → a `Calibration`, with a threshold for all or a threshold for each category."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from shlex import quote

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import (
    Floats,
    Split,
    confident_threshold,
    describe_uncertified,
    finite,
    fpr_threshold,
    nonmembers_needed,
    sorted_finite,
)
from ..errors import CalibrationError, UsageError
from ..records import Note, Standing
from ._calibration import Calibration, Category
from ._origin import Origin
from ._rules import Guarantee, GuaranteeKind
from ._selection import Selection
from .stack import Stack

__all__ = ["POOL", "Basis", "assemble", "basis_of", "set_thresholds"]

POOL = "other"
"""The category of all that are pooled."""


MOST_NAMED = 12
"""Categories that a message names."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a calibration rests on besides its scores; each field is described at `Calibration`."""

    attack: str
    fpr: float
    n_documents: int
    confidence: float | None = None
    origin: Origin | None = None
    by: str = ""
    split: Split | None = None
    selection: Selection = field(default_factory=Selection)
    stack: Stack | None = None
    standing: Standing | None = None
    notes: tuple[Note, ...] = ()


def basis_of(calibration: Calibration) -> Basis:
    """The basis of a calibration."""
    return Basis(**{each.name: getattr(calibration, each.name) for each in fields(Basis)})


def set_thresholds(
    basis: Basis,
    scores: ArrayLike,
    categories: Sequence[str] | None = None,
    pool: bool | Collection[str] = False,
    wanted: Collection[str] = (),
) -> Calibration:
    """The calibration that the *scores*, shape (n,), of known non-members give.

    A new non-member exchangeable with them is flagged with probability at most the FPR: see `fpr_threshold`, and
    `confident_threshold` where there is a confidence. Nothing else may have been chosen on these non-members. Where
    several come from a document it is the documents that must be exchangeable, and n passages carry less than n
    independent passages would.

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
        CalibrationError: no scores, NaN or infinite scores, all scores (of a category) equal, or n too small for the
            FPR; names every category that is too small.
    """
    groups = {} if categories is None else _grouped(finite(scores, "calibration scores"), categories)
    needed = nonmembers_needed(basis.fpr, basis.confidence)
    sizes = {**dict.fromkeys(wanted, 0), **{name: len(values) for name, values in groups.items()}}
    small = {name for name, size in sizes.items() if size < needed}
    names = small if pool is True else {pool} if isinstance(pool, str) else pool or ()
    pooled = tuple(sorted(names))
    if pooled and {*pooled, POOL} & {*groups}:
        groups, pooled = _pooled(groups, pooled)
    sizes = {name: size for name, size in sizes.items() if name not in pooled}
    sizes |= {name: len(values) for name, values in groups.items()}
    if min(sizes.values(), default=needed) < needed:
        raise CalibrationError(_too_few(sizes, needed, describe_uncertified(basis.fpr, basis.confidence), pooled))
    return assemble(
        basis,
        scores,
        {name: (values, pooled if name == POOL else ()) for name, values in groups.items()},
        by_size=pool is True,
    )


def assemble(
    basis: Basis, scores: ArrayLike, groups: Mapping[str, tuple[Floats, tuple[str, ...]]], *, by_size: bool
) -> Calibration:
    """The calibration that follows from the *scores*, or from those of *groups*, each with the names pooled into it."""
    known = sorted_finite(np.concatenate([values for values, _ in groups.values()]) if groups else scores)
    categories = {
        name: replace(_category(name, groups[name][0], basis), pooled=names, pooled_by_size=by_size and bool(names))
        for name, (_, names) in sorted(groups.items())
    }
    whole = None if categories else _category("", known, basis)
    if not 1 <= basis.n_documents <= len(known):
        raise UsageError(f"{len(known)} calibration scores cannot come from {basis.n_documents} documents")
    return Calibration(
        **{each.name: getattr(basis, each.name) for each in fields(Basis)},
        threshold=whole.threshold if whole else max(category.threshold for category in categories.values()),
        guarantee=_guarantee(basis.confidence, categories),
        n=len(known),
        scores=tuple(known.tolist()),
        categories=categories,
    )


def _guarantee(confidence: float | None, categories: Mapping[str, Category]) -> Guarantee:
    return Guarantee(
        kind=GuaranteeKind.MARGINAL if confidence is None else GuaranteeKind.WITH_CONFIDENCE,
        confidence=confidence,
        by_category=bool(categories),
        pooled=any(category.pooled for category in categories.values()),
        pooled_by_size=any(category.pooled_by_size for category in categories.values()),
    )


def _category(name: str, scores: ArrayLike, basis: Basis) -> Category:
    known, where = sorted_finite(scores), f" of category {name!r}" if name else ""
    try:
        if basis.confidence is None:
            threshold = fpr_threshold(known, basis.fpr)
        else:
            threshold = confident_threshold(known, basis.fpr, basis.confidence)
    except CalibrationError as error:
        raise CalibrationError(f"category {name!r}: {error}" if name else str(error)) from None
    if len(known) > 1 and known[0] == known[-1]:
        raise CalibrationError(
            f"all {len(known)} scores of known non-members{where} equal {known[0]:g}, so {basis.attack} cannot "
            "distinguish these passages: calibrate another attack"
        )
    return Category(threshold, len(known), tuple(known.tolist()))


def _grouped(scores: Floats, categories: Sequence[str]) -> dict[str, Floats]:
    if len(categories) != len(scores):
        raise UsageError(f"{len(scores)} calibration scores but {len(categories)} categories")
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(categories):
        rows.setdefault(str(name), []).append(row)
    return {name: scores[members] for name, members in rows.items()}


def _pooled(groups: Mapping[str, Floats], pooled: tuple[str, ...]) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """*groups* with the *pooled* categories as ``other``, and with a category of that name among the pooled."""
    names = tuple(sorted({*pooled} | ({POOL} & groups.keys())))
    single = {name: values for name, values in groups.items() if name not in names}
    return {**single, POOL: np.concatenate([groups[name] for name in names if name in groups])}, names


def _too_few(sizes: Mapping[str, int], needed: int, what: str, pooled: Sequence[str]) -> str:
    """Every category that is too small, what each lacks, and which categories to pool so that each has enough."""
    ascending = sorted(sizes, key=lambda name: (sizes[name], name))
    short = [name for name in ascending if sizes[name] < needed]
    named = short[:MOST_NAMED]
    which = ", ".join(f"{sizes[name]} of category {name!r} ({needed - sizes[name]} more needed)" for name in named)
    which += f" and {len(short) - len(named):,} more categories below {needed}" if len(short) > len(named) else ""
    problem = f"{which} {what}: each category needs at least {needed} non-members: add non-members"
    empty = [repr(name) for name in short if not sizes[name]][:MOST_NAMED]
    if empty:
        # A pool with a category that has no non-members would hold a rate for the others alone.
        return f"{problem}, or leave out the candidates of {', '.join(empty)}, for which no error rate can hold"
    if sum(sizes.values()) < needed:
        return problem
    joined, total = list(short), sum(sizes[name] for name in short)
    for name in ascending[len(short) :]:
        if total < needed:
            joined, total = [*joined, name], total + sizes[name]
    if len(joined) == len(sizes):
        return f"{problem}, or leave out `by`, because only all categories together have as many"
    names = sorted({*pooled, *joined} - ({POOL} if pooled else set()))
    if len(names) > MOST_NAMED:
        return f"{problem}, or name as `by` a column of fewer and larger categories"
    return f"{problem}, or join categories: {' '.join(f'`pool` {quote(name)}' for name in names)}"
