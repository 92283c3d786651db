"""How many members a count of flags would usually reveal."""

from __future__ import annotations

import numpy as np

from ._chance import flag_probabilities

__all__ = ["detectable_members"]


def detectable_members(m: int, k: int, n: int, power: float, level: float, *, chance: float = 0.8) -> int | None:
    """The least number of members among *m* candidates for which so many flags come that they are significant.

    With so many members the p-value of `chance_of_flags` is at most *level* with probability *chance* or more, if each
    member is flagged with probability *power*, independently, and the other candidates are exchangeable with the
    calibration set. None where not even *m* members would be enough.

    Args:
        m: candidates.
        k: rank of the threshold among the calibration scores (`flag_rank`).
        n: calibration scores.
        power: share of members that are flagged.
        level: the largest p-value that is significant.
        chance: how often it is to be significant.

    >>> detectable_members(1, 5, 100, 1.0, 0.05)  # a flag of a single candidate has p = 5/101
    1
    >>> detectable_members(100, 5, 100, 0.7, 0.05), detectable_members(100, 5, 100, 0.1, 0.05)
    (15, None)
    """
    none = flag_probabilities([(m, k, n)])
    tails = np.cumsum(none[::-1])[::-1]
    significant = np.flatnonzero(tails <= level)
    if not len(significant):
        return None
    needed = int(significant[0])
    low, high = 0, m
    if _significant(m, k, n, power, needed, m) < chance:
        return None
    while low < high:  # more members give more flags, where a member is flagged more often than others
        middle = (low + high) // 2
        low, high = (low, middle) if _significant(m, k, n, power, needed, middle) >= chance else (middle + 1, high)
    return low


def _significant(m: int, k: int, n: int, power: float, needed: int, members: int) -> float:
    """P(at least *needed* flags), with so many *members* among the *m* candidates."""
    from scipy.stats import binom

    by_members = binom.pmf(np.arange(members + 1), members, power)
    others = flag_probabilities([(m - members, k, n)])
    # others_from[x] = P(at least x flags among the other candidates)
    others_from = np.append(np.cumsum(others[::-1])[::-1], 0.0)
    missing = np.clip(needed - np.arange(members + 1), 0, len(others))
    return float(by_members @ others_from[missing])
