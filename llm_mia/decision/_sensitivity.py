"""How large a difference between candidates and non-members, other than membership, a finding withstands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..calibration import Floats, fewest_improbable, flag_probabilities, largest_excess, largest_excess_flags
from ._finding_record import Sensitivity
from ._rules import ErrorRate, Rule

__all__ = ["REMOVED_AT", "excess_of_discoveries", "excess_of_flags", "least_flags", "removable", "sensitivity"]

REMOVED_AT = 0.9
"""Share of the level at which a test has to stay significant without the flags that a difference causes; the rest of
the level is the probability that the difference causes more flags (`largest_excess_flags`)."""


def excess_of_flags(counts: Sequence[tuple[int, int, int, int]], p_value: float, level: float) -> float | None:
    """`largest_excess` for the *counts* of `chance_of_flags`; None where the *p_value* is above the level."""
    if p_value > level:
        return None
    flags, m = sum(x for x, *_ in counts), sum(m for _, m, *_ in counts)
    return largest_excess(flag_probabilities([each for _, *each in counts]), flags, m, level)


def least_flags(counts: Sequence[tuple[int, int, int, int]], level: float) -> int | None:
    """The fewest flags in all whose p-value is at most *level*, for the *counts* of `chance_of_flags`.

    >>> least_flags([(0, 140, 5, 100)], 0.05)
    15
    """
    return fewest_improbable(flag_probabilities([each for _, *each in counts]), level)


def excess_of_discoveries(p_values: Floats, smallest_q: float, level: float) -> float | None:
    """`largest_excess_flags` for Simes' test; None where the smallest q-value is above the level.

    The i candidates with the smallest p-values give q = c·p/i. Without d of them it is c·p/(i − d), which is at most
    nine tenths of the level where d ≤ i − c·p/(0.9·level).
    """
    if smallest_q > level:
        return None
    ascending, places = np.sort(p_values), np.arange(1.0, len(p_values) + 1)
    factor = smallest_q / float((ascending / places).min())
    return largest_excess_flags(removable(places, factor * ascending, REMOVED_AT * level), len(p_values), level)


def sensitivity(excess: float | None, m: int, rule: Rule, level: float) -> Sensitivity | None:
    """The sensitivity that follows from the probability *excess* with which a difference may flag a candidate of *m*.

    A concave ROC with an AUROC of (1 + excess·(1 − α))/2 flags a share of at most t + excess·(1 − t) for all t ≤ α,
    which is what a flag by chance (t) or by the difference (excess) gives.
    """
    if excess is None:
        return None
    by_rate = rule.rate is ErrorRate.FALSE_POSITIVES
    alpha = rule.level if by_rate else level
    share = excess * (1 - alpha)
    return Sensitivity(share * m, share, alpha + share if by_rate else None, (1 + share) / 2)


def removable(places: Floats, values: Floats, critical: float) -> int:
    """How many of the candidates may be removed so that the smallest of *values* / *places* stays at most *critical*.

    *places* are the numbers of candidates at or above each candidate's score.

    >>> removable(np.array([1.0, 2.0, 3.0]), np.array([0.02, 0.02, 0.09]), 0.02)
    1
    """
    return math.floor(float((places - values / critical).max()) + 1e-9)
