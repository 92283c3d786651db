"""How probable so many flags are where no candidate is a member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._checks import Floats, twelve_digits
from ._counts import exceedance_probability
from ._thresholds import confident_threshold, rank_at

__all__ = ["chance_of_flags", "fewest_improbable", "flag_probabilities", "flag_rank"]


def flag_rank(n: int, fpr: float, confidence: float | None = None) -> int:
    """The k for which a threshold at *fpr* is the k-th largest of *n* calibration scores.

    >>> flag_rank(99, 0.05), flag_rank(99, 0.05, 0.95)
    (5, 2)
    """
    if confidence is None:
        return rank_at(fpr, n)
    return n - int(confident_threshold(range(n), fpr, confidence))  # of the ranks 0, 1, …, n − 1


def chance_of_flags(counts: Sequence[tuple[int, int, int, int]]) -> float:
    """P(as many flags or more in all, if no candidate is a member), over candidates and calibration sets together.

    It is exact where candidates are exchangeable with the calibration set of their category and with each other, and
    scores do not tie; with ties it is too large. The number of flags in a category is beta-binomial (negative
    hypergeometric), since all candidates share the calibration set; categories are independent.

    Args:
        counts: for each category the flags, the candidates m, the rank k of the threshold (`flag_rank`) and the number
            n of calibration scores.

    >>> chance_of_flags([(1, 1, 1, 19)]), chance_of_flags([(6, 140, 5, 100)])  # 7 flags are expected
    (0.05, 0.592172946864)
    >>> chance_of_flags([(1, 1, 1, 19), (0, 1, 1, 19)])  # 1 − 0.95²
    0.0975
    """
    flags = sum(x for x, *_ in counts)
    if not flags:
        return 1.0
    if len(counts) == 1:
        return exceedance_probability(*counts[0])
    return twelve_digits(min(1.0, float(flag_probabilities([each for _, *each in counts])[flags:].sum())))


def flag_probabilities(counts: Sequence[Sequence[int]]) -> Floats:
    """P(x flags in all, if no candidate is a member) for x = 0, 1, …, the number of candidates; see `chance_of_flags`.

    Args:
        counts: for each category the candidates m, the rank k of the threshold and the number n of calibration scores.

    >>> flag_probabilities([(1, 1, 19)]).round(9).tolist()
    [0.95, 0.05]
    """
    from scipy.stats import betabinom

    total = np.ones(1)
    for m, k, n in counts:
        total = np.convolve(total, betabinom.pmf(np.arange(m + 1), m, k, n + 1 - k))
    return total


def fewest_improbable(probabilities: ArrayLike, level: float) -> int | None:
    """The least x with P(X ≥ x) ≤ *level*; None where even the largest number of flags is more probable than that.

    Args:
        probabilities: P(X = x) for x = 0, 1, …, shape (number + 1,).
        level: of a finding.

    >>> fewest_improbable([0.5, 0.25, 0.25], 0.25), fewest_improbable([0.5, 0.25, 0.25], 0.2)
    (2, None)
    """
    chances = np.cumsum(np.asarray(probabilities, dtype=np.float64)[::-1])[::-1]
    improbable = np.flatnonzero([twelve_digits(chance) <= level for chance in chances.tolist()])
    return int(improbable[0]) if len(improbable) else None
