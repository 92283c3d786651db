"""How large a difference between candidates and non-members a number of flags withstands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError

__all__ = ["largest_excess", "largest_excess_flags"]

STEPS = 40
"""Halvings of the interval that holds the result."""
SPENT = 0.1
"""Share of the level that `largest_excess_flags` spends on the number of flags that a difference causes."""


def largest_excess(chance: ArrayLike, flags: int, units: int, level: float, size: int = 1) -> float:
    """The largest probability π for which P(X + Y ≥ *flags*) ≤ *level*: how often a difference may flag a unit.

    X is the number of flags by chance, and Y the number that a difference between candidates and non-members causes: it
    flags each of *units* with probability π, independently, and each time adds *size* flags. So a finding at *level*
    withstands every such difference with a probability up to π. If the ROC of the difference is concave (the more
    member-like the score, the greater the share of candidates), its AUROC is at least (1 + π (1 − α)) / 2 for flags at
    a false positive rate α, since a concave ROC through (α, r) has an area of at least (1 + r − α) / 2.

    Args:
        chance: P(X = x) for x = 0, 1, …, shape (number + 1,).
        flags: as many as there are.
        units: candidates, or documents of candidates.
        level: of the finding.
        size: flags that a unit can have: passages of a document.

    Raises:
        UsageError: *units* or *size* is below 1.

    Two flags of two where chance alone gives none: P(Y = 2) = π² ≤ 0.04.

    >>> round(largest_excess([1.0, 0.0, 0.0], 2, 2, 0.04), 6), largest_excess([0.5, 0.0, 0.5], 2, 2, 0.04)
    (0.2, 0.0)
    """
    from scipy.special import bdtrc

    if units < 1 or size < 1:
        raise UsageError(f"`units` and `size` must be at least 1: got {units} and {size}")
    probabilities = np.asarray(chance, dtype=np.float64)
    present = np.flatnonzero(probabilities)
    wanted = np.ceil(np.maximum(flags - present, 0) / size)
    certain = wanted == 0

    def tail(excess: float) -> float:
        at_least = np.where(certain, 1.0, bdtrc(np.maximum(wanted - 1, 0), units, excess))
        return float(probabilities[present] @ at_least)

    return _largest(tail, level)


def largest_excess_flags(flags: int, units: int, level: float) -> float:
    """The largest probability π for which P(Y > *flags*) ≤ a tenth of *level*, where Y is binomial(*units*, π).

    A test at nine tenths of the level that stays significant when any *flags* are removed withstands, at the whole
    level, every difference that flags a candidate with probability up to π.

    >>> round(largest_excess_flags(0, 1, 0.5), 6), largest_excess_flags(3, 3, 0.5)  # P(Y > 0) = π ≤ 0.05
    (0.05, 1.0)
    """
    from scipy.special import bdtrc

    if flags >= units:
        return 1.0
    return 0.0 if flags < 0 else _largest(lambda excess: float(bdtrc(flags, units, excess)), SPENT * level)


def _largest(tail: Callable[[float], float], level: float) -> float:
    """The largest argument at which the increasing *tail* is at most *level*, rounded down; 0 where there is none."""
    low, high = 0.0, 1.0
    if tail(0.0) > level:
        return 0.0
    if tail(1.0) <= level:
        return 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) <= level else (low, middle)
    return low
