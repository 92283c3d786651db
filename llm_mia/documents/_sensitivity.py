"""How large a difference between candidates and non-members a test of a collection withstands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._scores import Floats

__all__ = ["auroc_of_shift", "shift_of_auroc", "vanishing_auroc"]

KEPT = 1000
"""Scores that stand for a distribution: their pairs are a million."""
STEPS = 10
"""Halvings of the range from 0.5 to 1: the AUROC is known to 0.0005."""


def auroc_of_shift(scores: Floats, shift: float) -> float:
    """The AUROC between *scores* that are all *shift* higher, and the same *scores*; a tie counts half.

    >>> auroc_of_shift(np.array([0.0, 1.0, 2.0, 3.0]), 1.5), auroc_of_shift(np.array([0.0, 1.0, 2.0, 3.0]), 0.0)
    (0.8125, 0.5)
    """
    lower = _quantiles(scores)
    higher = lower + shift
    return float((np.searchsorted(lower, higher, "left") + np.searchsorted(lower, higher, "right")).mean()) / (
        2 * len(lower)
    )


def shift_of_auroc(scores: Floats, area: float) -> float:
    """The least shift of all *scores* for which they have at least the AUROC *area* against unshifted *scores*.

    >>> scores = np.array([0.0, 1.0, 2.0, 3.0])
    >>> shift_of_auroc(scores, 0.5), shift_of_auroc(scores, 0.8)
    (0.0, 1.0)
    """
    kept = _quantiles(scores)
    if area <= 0.5:
        return 0.0
    return float(np.quantile(kept[None, :] - kept[:, None], area, method="inverted_cdf"))


def vanishing_auroc(significant: Callable[[float], bool]) -> float:
    """The least AUROC of a difference for which `significant` is no longer true, to 0.0005; at most 1.

    *significant* takes an AUROC from 0.5 to 1, and has to be monotone in it.

    >>> round(vanishing_auroc(lambda area: area < 0.61), 3)
    0.61
    """
    if not significant(0.5):
        return 0.5
    low, high = 0.5, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if significant(middle) else (low, middle)
    return low


def _quantiles(scores: Floats) -> Floats:
    """*scores* in order; of many, as many quantiles of equal distance as are kept."""
    ordered = np.sort(scores)
    if len(ordered) <= KEPT:
        return ordered
    return ordered[((np.arange(KEPT) + 0.5) * len(ordered) / KEPT).astype(np.intp)]
