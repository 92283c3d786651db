"""From a figure and its p-value to a verdict. The rules are in the docstring of the package."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records import Interval, Note
from ._sets import Contrast
from ._verdicts import Check, Verdict
from .folds import FOLDS
from .permutation import LabelExchange, PermutationResult

__all__ = [
    "PLACEBO",
    "VOID_FROM",
    "Levels",
    "auroc_check",
    "few_arrangements",
    "few_documents",
    "permutations_for",
    "rate_check",
    "verdict_of",
]

Floats = NDArray[np.float64]

PLACEBO = 0.002
"""Probability of a false alarm of the comparison of two halves of the non-members."""
_COMPARISONS = 0.038
"""Likewise, of the comparisons of members, and of candidates, with non-members: 0.04 in all.

The rest of 0.05 is left for the fitted classifiers, whose test holds its level approximately."""
_MEMBERS, _CANDIDATES = 0.4, 0.6
"""Their shares where there are both: a finding rests on candidates that could have been drawn as non-members."""
VOID_FROM = 0.6
"""A significant difference is void where the interval of its AUROC begins here or above."""
_DOUBTFUL_TIMES, _VOID_TIMES = 3, 10
_UNBOUNDED = 0.0125  # half of one tail of a 95 % interval: what `tpr_at_fpr` uses for the position of the threshold


@dataclass(frozen=True, slots=True)
class Levels:
    """The probability of a false alarm of each test that compares members, or candidates, with non-members."""

    classifier: float
    """Of each of the two blind classifiers."""
    rate: float
    """Of each of four true positive rates."""
    lengths: float
    """Of the distance between the distributions of lengths."""
    single: float
    """Of all single properties of a text together."""
    names: float
    """Of the names of documents."""
    other: float
    """Of all scores of all other models together."""

    @classmethod
    def of_members(cls, candidates: bool) -> Levels:
        """The levels of the comparison of members, with or without a comparison of *candidates*.

        >>> levels = Levels.of_members(candidates=True)
        >>> round(2 * levels.classifier + 4 * levels.rate + levels.single + levels.names + levels.other, 6)
        0.0152
        """
        whole = _COMPARISONS * (_MEMBERS if candidates else 1)
        return cls(0.17 * whole, 0.015 * whole, 0.0, 0.16 * whole, 0.04 * whole, 0.4 * whole)

    @classmethod
    def of_candidates(cls, members: bool) -> Levels:
        """The levels of the comparison of candidates, with or without a comparison of *members*.

        >>> levels = Levels.of_candidates(members=True)
        >>> round(2 * levels.classifier + levels.lengths + levels.single + levels.other, 6)
        0.0228
        """
        whole = _COMPARISONS * (_CANDIDATES if members else 1)
        return cls(0.14 * whole, 0.0, 0.05 * whole, 0.17 * whole, 0.0, 0.5 * whole)


def permutations_for(level: float) -> int:
    """The number of permutations to draw, so that a p-value can be well below *level*."""
    return max(1999, math.ceil(2 / level) - 1)


def verdict_of(low: float, p_value: float, level: float) -> Verdict:
    """``sound`` above *level*; otherwise ``void`` where the lower end *low* is `VOID_FROM` or more, else ``doubtful``.

    >>> [verdict_of(0.7, 0.2, 0.01).value, verdict_of(0.55, 0.001, 0.01).value, verdict_of(0.7, 0.001, 0.01).value]
    ['sound', 'doubtful', 'void']
    """
    if p_value > level:
        return Verdict.SOUND
    return Verdict.VOID if low >= VOID_FROM else Verdict.DOUBTFUL


def few_arrangements(labels: LabelExchange, level: float, *, two_sided: bool = False) -> bool:
    """Whether the labels have so few arrangements that no figure can be significant at *level*."""
    return labels.log_arrangements - (math.log(2) if two_sided else 0.0) < -math.log(level)


def few_documents(contrast: Contrast, level: float) -> Note:
    """A note that there are too few documents, with the number of each set that would be enough."""
    counts = {"first": contrast.count_documents(True), "second": contrast.count_documents(False)}
    return Note("few_documents", {**counts, "needed": _documents_needed(level)})


def _documents_needed(level: float) -> int:
    """How many documents each of two sets needs: a classifier's labels then have 1/*level* arrangements or more.

    A fold of s documents with both sets has at least s arrangements.

    >>> _documents_needed(0.008)
    7
    """
    needed = 2
    while True:
        folds = min(FOLDS, needed)
        sizes = [(2 * needed + fold) // folds for fold in range(folds)]
        if math.prod(sizes) >= 1 / level:
            return needed
        needed += 1


def auroc_check(
    name: str,
    scores: Floats,
    contrast: Contrast,
    result: PermutationResult,
    level: float,
    *,
    notes: tuple[Note, ...] = (),
    two_sided: bool = False,
) -> Check:
    """The AUROC of *scores* with its interval, judged by the permutation test *result* at *level*.

    With *two_sided* it is the AUROC in the direction that exceeds one half. Where all scores are equal, no AUROC would
    have been detected by them, and a check of a single property is skipped.
    """
    figure = metrics.auroc(scores, contrast.labels.astype(int), documents=contrast.names)
    if two_sided and figure.value < 0.5:
        figure = Interval(1 - figure.value, 1 - figure.high, 1 - figure.low, figure.confidence)
    constant = bool(scores.min() == scores.max())
    if constant and two_sided:
        equal = Note("all_equal", {"count": len(scores), "value": float(scores[0])})
        return Check(name, figure, Verdict.SKIPPED, result.p_value, (*notes, equal))
    verdict = verdict_of(figure.low, result.p_value, level)
    return Check(name, figure, verdict, result.p_value, notes, None if constant else result.detectable)


def rate_check(name: str, scores: Floats, contrast: Contrast, fpr: float, p_value: float, level: float) -> Check:
    """The TPR at *fpr*; where significant, doubtful if its lower end is 3 times *fpr*, void at 10 times or one half.

    With so few non-members that the lower end is zero for any scores, the check is skipped; it still has the figure.
    """
    figure = metrics.tpr_at_fpr(scores, contrast.labels.astype(int), fpr, documents=contrast.names)
    n, needed = int((~contrast.labels).sum()), math.ceil(math.log(_UNBOUNDED) / math.log1p(-fpr))
    check = Check(name, figure, Verdict.SOUND, p_value)
    if n < needed:
        few = Note("few_nonmembers", {"nonmembers": n, "needed": needed})
        return replace(check, verdict=Verdict.SKIPPED, notes=(few,))
    if p_value <= level and figure.low >= _DOUBTFUL_TIMES * fpr:
        void = figure.low >= min(0.5, _VOID_TIMES * fpr)
        return replace(check, verdict=Verdict.VOID if void else Verdict.DOUBTFUL)
    return check
