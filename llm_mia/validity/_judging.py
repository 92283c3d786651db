"""From a figure and its p-value to a verdict. The rules are in the docstring of the package."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records import Interval
from ._material import Contrast
from ._permutation import Exchange, Tested
from ._verdicts import Check, Verdict

__all__ = [
    "BLIND",
    "LEAKS",
    "PLACEBO",
    "REFERENCE",
    "SHIFT",
    "VOID_FROM",
    "Rule",
    "auroc_check",
    "rate_check",
    "times",
    "verdict_of",
]

Floats = NDArray[np.float64]

BLIND, LEAKS, PLACEBO, REFERENCE, SHIFT = 0.02, 0.01, 0.005, 0.005, 0.01
"""Probability that a family of tests finds something where there is nothing: 0.05 in all."""
VOID_FROM = 0.6
"""From this lower end of an AUROC's interval a significant difference makes void."""
_DOUBTFUL_TIMES, _VOID_TIMES = 3, 10
_UNBOUNDED = 0.0125  # half of one tail of a 95 % interval: what `tpr_at_fpr` spends on where the threshold lies


@dataclass(frozen=True, slots=True)
class Rule:
    """What some checks share."""

    level: float
    """Probability that one of them finds something where there is nothing."""
    why: str
    mend: str


def times(level: float) -> int:
    """Arrangements to draw, so that a p-value can reach *level* with some to spare."""
    return max(1999, math.ceil(2 / level) - 1)


def verdict_of(low: float, p_value: float, level: float) -> Verdict:
    """``sound`` above *level*; below, ``void`` where the interval's lower end is `VOID_FROM` or more.

    >>> verdict_of(0.7, 0.2, 0.01), verdict_of(0.55, 0.001, 0.01), verdict_of(0.7, 0.001, 0.01)
    ('sound', 'doubtful', 'void')
    """
    if p_value > level:
        return "sound"
    return "void" if low >= VOID_FROM else "doubtful"


def auroc_check(
    name: str,
    scores: Floats,
    contrast: Contrast,
    labels: Exchange,
    tested: Tested,
    rule: Rule,
    *,
    found: str = "",
    two_sided: bool = False,
) -> Check:
    """AUROC of *scores* with its interval, judged by *tested*. *two_sided*: the direction that exceeds one half."""
    figure = metrics.auroc(scores, contrast.labels.astype(int), documents=contrast.names)
    if two_sided and figure.value < 0.5:
        figure = Interval(1 - figure.value, 1 - figure.high, 1 - figure.low, figure.confidence)
    verdict = verdict_of(figure.low, tested.p_value, rule.level)
    if verdict == "sound" and labels.log_arrangements < -math.log(rule.level):
        verdict = "doubtful"
        few = f"{contrast.documents_of(True)} and {contrast.documents_of(False)} documents"
        found = f"{few}: too few for any difference to be told from chance"
    return Check(name, figure, verdict, rule.why, rule.mend, tested.p_value, found)


def rate_check(name: str, placed: Floats, contrast: Contrast, fpr: float, p_value: float, rule: Rule) -> Check:
    """TPR at *fpr*, where significant: doubtful from 3 times *fpr* at its interval's start, void from 10 times or half.

    Skipped, the figure given all the same, where so few non-members leave its lower end at zero whatever they score.
    """
    figure = metrics.tpr_at_fpr(placed, contrast.labels.astype(int), fpr, documents=contrast.names)
    n, needed = int((~contrast.labels).sum()), math.ceil(math.log(_UNBOUNDED) / math.log1p(-fpr))
    if n < needed:
        seen = f"{n} non-members can't bound it from below: {needed} would"
        return Check(name, figure, "skipped", rule.why, rule.mend, p_value, seen)
    verdict: Verdict = "sound"
    if p_value <= rule.level and figure.low >= _DOUBTFUL_TIMES * fpr:
        verdict = "void" if figure.low >= min(0.5, _VOID_TIMES * fpr) else "doubtful"
    return Check(name, figure, verdict, rule.why, rule.mend, p_value)
