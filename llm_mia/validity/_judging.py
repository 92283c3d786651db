"""From a figure and its p-value to a verdict. The rules are in the docstring of the package."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records import Interval, Note
from ._sets import Contrast
from ._verdicts import Check, Verdict
from .permutation import LabelExchange, PermutationResult

__all__ = [
    "BLIND",
    "LEAKS",
    "PLACEBO",
    "REFERENCE",
    "SHIFT",
    "VOID_FROM",
    "auroc_check",
    "permutations_for",
    "rate_check",
    "verdict_of",
]

Floats = NDArray[np.float64]

BLIND, LEAKS, PLACEBO, REFERENCE, SHIFT = 0.02, 0.01, 0.005, 0.005, 0.01
"""Probability of a false alarm for each family of tests: 0.05 in all."""
VOID_FROM = 0.6
"""A significant difference is void where the interval of its AUROC begins here or above."""
_DOUBTFUL_TIMES, _VOID_TIMES = 3, 10
_UNBOUNDED = 0.0125  # half of one tail of a 95 % interval: what `tpr_at_fpr` uses for the position of the threshold


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


def auroc_check(
    name: str,
    scores: Floats,
    contrast: Contrast,
    labels: LabelExchange,
    result: PermutationResult,
    level: float,
    *,
    notes: tuple[Note, ...] = (),
    two_sided: bool = False,
) -> Check:
    """The AUROC of *scores* with its interval, judged by the permutation test *result* at *level*.

    With *two_sided* it is the AUROC in the direction that exceeds one half.
    """
    figure = metrics.auroc(scores, contrast.labels.astype(int), documents=contrast.names)
    if two_sided and figure.value < 0.5:
        figure = Interval(1 - figure.value, 1 - figure.high, 1 - figure.low, figure.confidence)
    verdict = verdict_of(figure.low, result.p_value, level)
    if verdict is Verdict.SOUND and labels.log_arrangements < -math.log(level):
        verdict = Verdict.DOUBTFUL
        documents = {"first": contrast.count_documents(True), "second": contrast.count_documents(False)}
        notes = (Note("few_documents", documents),)
    return Check(name, figure, verdict, result.p_value, notes)


def rate_check(name: str, scores: Floats, contrast: Contrast, fpr: float, p_value: float, level: float) -> Check:
    """The TPR at *fpr*; where significant, doubtful if its lower end is 3 times *fpr*, void at 10 times or one half.

    With so few non-members that the lower end is zero for any scores, the check is skipped; it still has the figure.
    """
    figure = metrics.tpr_at_fpr(scores, contrast.labels.astype(int), fpr, documents=contrast.names)
    n, needed = int((~contrast.labels).sum()), math.ceil(math.log(_UNBOUNDED) / math.log1p(-fpr))
    if n < needed:
        few = Note("few_nonmembers", {"nonmembers": n, "needed": needed})
        return Check(name, figure, Verdict.SKIPPED, p_value, (few,))
    verdict = Verdict.SOUND
    if p_value <= level and figure.low >= _DOUBTFUL_TIMES * fpr:
        verdict = Verdict.VOID if figure.low >= min(0.5, _VOID_TIMES * fpr) else Verdict.DOUBTFUL
    return Check(name, figure, verdict, p_value)
