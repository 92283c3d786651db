"""Thresholds for a false positive rate, on average over calibration sets or with confidence in this one."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

from numpy.typing import ArrayLike

from ..errors import CalibrationError
from ._checks import check_rate, risk, sorted_finite, twelve_digits


def fpr_threshold(calibration: ArrayLike, fpr: float) -> float:
    """A new non-member exchangeable with the n calibrated on scores above this with probability at most *fpr*.

    The guarantee is marginal: it averages over calibration sets. One unlucky set can run above *fpr*, by about
    √(fpr/n). The threshold is the k-th largest calibration score with k = ⌊fpr·(n + 1)⌋, so that
    ``score > threshold`` exactly where ``conformal_p_values(score) <= fpr``, ties included.

    Raises `CalibrationError` where n cannot certify *fpr*, naming the n that would.
    Vovk, Gammerman and Shafer 2005.

    >>> fpr_threshold(range(1, 100), 0.05)  # 99 non-members; the 5th largest
    95.0
    >>> fpr_threshold(range(10), 0.05)
    Traceback (most recent call last):
    llm_mia.errors.CalibrationError: 10 non-members cannot certify FPR ≤ 0.05: at least 19 are needed
    """
    known = sorted_finite(calibration)
    check_enough(len(known), fpr)
    return float(known[len(known) - rank_at(fpr, len(known))])


def confident_threshold(calibration: ArrayLike, fpr: float, confidence: float = 0.95) -> float:
    """With probability *confidence* or more over the calibration draw, a non-member exceeds this with at most *fpr*.

    This takes n non-members drawn independently from where new ones come from, which is more than exchangeable. The
    threshold is the (k + 1)-th largest calibration score: the rate that it realises follows Beta(k + 1, n − k), and
    k is the largest with P(Beta(k + 1, n − k) > fpr) = P(Binomial(n, fpr) ≤ k) ≤ 1 − confidence. Tied scores realise
    less. Flags are ``score > threshold``.

    Raises `CalibrationError` where even k = 0 is too many, naming the n that would do.
    Wilks 1941, Annals of Mathematical Statistics 12:91; Vovk 2012, arXiv:1209.2673, proposition 2a.

    >>> confident_threshold(range(299), 0.01), confident_threshold(range(473), 0.01)  # the largest, the second largest
    (298.0, 471.0)
    >>> confident_threshold(range(298), 0.01)
    Traceback (most recent call last):
    llm_mia.errors.CalibrationError: 298 non-members cannot certify FPR ≤ 0.01 at 95 % confidence: at least 299 are \
needed
    """
    known = sorted_finite(calibration)
    n, allowed = len(known), risk(confidence)
    check_enough(n, fpr, confidence)
    too_many = bisect.bisect_right(range(n), allowed, key=lambda k: _at_most(k, n, fpr))
    return float(known[n - too_many])


def nonmembers_needed(fpr: float, confidence: float | None = None) -> int:
    """With fewer non-members than this none can be flagged: ⌈1/fpr⌉ − 1 for `fpr_threshold`.

    With *confidence* it is the fewest for `confident_threshold`: the least n with (1 − fpr)ⁿ ≤ 1 − confidence.

    Raises `CalibrationError` where *fpr* or *confidence* lies outside (0, 1).

    >>> [nonmembers_needed(fpr) for fpr in (0.05, 0.01, 0.001)]
    [19, 99, 999]
    >>> [nonmembers_needed(fpr, 0.95) for fpr in (0.05, 0.01, 0.001)]
    [59, 299, 2995]
    """
    check_rate("FPR", fpr)
    if confidence is None:
        n = math.ceil(1 / Fraction(fpr)) - 1
        return n - 1 if 1 / n <= fpr else n  # 1/3 as a double lies below a third, yet the p-value 1/3 equals it
    allowed = risk(confidence)
    n = max(1, math.ceil(math.log(allowed) / math.log1p(-fpr)))
    while n > 1 and _at_most(0, n - 1, fpr) <= allowed:
        n -= 1
    while _at_most(0, n, fpr) > allowed:
        n += 1
    return n


def fpr_bound(n: int, fpr: float, confidence: float = 0.95) -> float:
    """With *confidence* over the draw of n independent non-members, their `fpr_threshold` realises this rate at most.

    The marginal guarantee is an average over calibration sets; a single one can be unlucky. The rate that the k-th
    largest of n scores realises follows Beta(k, n + 1 - k), k = ⌊fpr (n + 1)⌋, exactly where scores are continuous,
    and lies below that where they tie.

    Raises `CalibrationError` where n can't certify *fpr*. Vovk 2012, "Conditional validity of inductive conformal
    predictors", proposition 2a.

    >>> round(fpr_bound(99, 0.05), 3), round(fpr_bound(999, 0.05), 3)
    (0.09, 0.062)
    """
    from scipy.special import betaincinv

    check_enough(n, fpr)
    check_rate("confidence", confidence)
    k = rank_at(fpr, n)
    return float(betaincinv(k, n + 1 - k, confidence))


def rank_at(fpr: float, n: int) -> int:
    """How many of the n + 1 p-values k/(n + 1) are at most *fpr*.

    ⌊fpr·(n + 1)⌋ asked of the quotient that a p-value is: 0.29 · 100 is 28.999999999999996, but 29 / 100 is 0.29.

    >>> rank_at(0.29, 99), rank_at(0.01, 98)
    (29, 0)
    """
    k = math.floor(fpr * (n + 1))
    if (k + 1) / (n + 1) <= fpr:
        return k + 1
    return k - 1 if k / (n + 1) > fpr else k


def check_enough(n: int, fpr: float, confidence: float | None = None) -> None:
    """`CalibrationError` where *n* non-members cannot certify *fpr*, marginally or with *confidence*."""
    needed = nonmembers_needed(fpr, confidence)
    if n < needed:
        raise CalibrationError(f"{n} non-members {cannot(fpr, confidence)}: at least {needed} are needed")


def cannot(fpr: float, confidence: float | None) -> str:
    """What too few non-members cannot do.

    >>> cannot(0.01, 0.95)
    'cannot certify FPR ≤ 0.01 at 95 % confidence'
    """
    return f"cannot certify FPR ≤ {fpr:g}" + ("" if confidence is None else f" at {100 * confidence:g} % confidence")


def _at_most(k: int, n: int, fpr: float) -> float:
    """P(Binomial(n, fpr) ≤ k), to the digits that 1 − confidence is given in."""
    from scipy.special import bdtr

    return twelve_digits(float(bdtr(k, n, fpr)))
