"""Thresholds for a false positive rate, on average over calibration sets or with confidence for this set."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

from numpy.typing import ArrayLike

from ..errors import CalibrationError
from ._checks import check_rate, error_probability, sorted_finite, twelve_digits


def fpr_threshold(calibration: ArrayLike, fpr: float) -> float:
    """The threshold for *fpr* on average: the k-th largest of n calibration scores, k = ⌊fpr·(n + 1)⌋.

    A new non-member that is exchangeable with the calibration set scores above it with probability at most *fpr*. The
    guarantee is marginal, an average over calibration sets: the rate of a single set can be above *fpr*, by about
    √(fpr/n). ``score > threshold`` holds exactly where ``conformal_p_values(score) <= fpr``, ties included.

    Raises:
        CalibrationError: n cannot certify *fpr*; the message gives the necessary n.

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
    """The threshold for *fpr* with *confidence*: the (k + 1)-th largest of n calibration scores.

    With probability *confidence* or more over the draw of the calibration set, a new non-member scores above it with
    probability at most *fpr*. This requires more than exchangeability: the n non-members and the new non-member are
    drawn independently from the same distribution. The true rate at the threshold has the distribution
    Beta(k + 1, n − k), and k is the largest with P(Beta(k + 1, n − k) > fpr) = P(Binomial(n, fpr) ≤ k) ≤
    1 − confidence. With tied scores the rate is lower. Flags are ``score > threshold``.

    Raises:
        CalibrationError: n cannot certify *fpr*, even with k = 0; the message gives the necessary n.

    Wilks 1941, Annals of Mathematical Statistics 12:91; Vovk 2012, arXiv:1209.2673, proposition 2a.

    >>> confident_threshold(range(299), 0.01), confident_threshold(range(473), 0.01)  # the largest, the second largest
    (298.0, 471.0)
    >>> confident_threshold(range(298), 0.01)
    Traceback (most recent call last):
    llm_mia.errors.CalibrationError: 298 non-members cannot certify FPR ≤ 0.01 at 95 % confidence: at least 299 are \
needed
    """
    known = sorted_finite(calibration)
    n, allowed = len(known), error_probability(confidence)
    check_enough(n, fpr, confidence)
    too_many = bisect.bisect_right(range(n), allowed, key=lambda k: _at_most(k, n, fpr))
    return float(known[n - too_many])


def nonmembers_needed(fpr: float, confidence: float | None = None) -> int:
    """The least number of non-members that certifies *fpr*: ⌈1/fpr⌉ − 1 for `fpr_threshold`.

    With *confidence* it is the least for `confident_threshold`: the least n with (1 − fpr)ⁿ ≤ 1 − confidence. With
    fewer non-members, no candidate can be flagged.

    Raises:
        CalibrationError: *fpr* or *confidence* lies outside (0, 1).

    >>> [nonmembers_needed(fpr) for fpr in (0.05, 0.01, 0.001)]
    [19, 99, 999]
    >>> [nonmembers_needed(fpr, 0.95) for fpr in (0.05, 0.01, 0.001)]
    [59, 299, 2995]
    """
    check_rate("fpr", fpr)
    if confidence is None:
        n = math.ceil(1 / Fraction(fpr)) - 1
        return n - 1 if 1 / n <= fpr else n  # 1/3 as a double lies below a third, yet the p-value 1/3 equals it
    allowed = error_probability(confidence)
    n = max(1, math.ceil(math.log(allowed) / math.log1p(-fpr)))
    while n > 1 and _at_most(0, n - 1, fpr) <= allowed:
        n -= 1
    while _at_most(0, n, fpr) > allowed:
        n += 1
    return n


def fpr_bound(n: int, fpr: float, confidence: float = 0.95) -> float:
    """An upper bound on the true false positive rate at the `fpr_threshold` of n independent non-members.

    It holds with *confidence* over the draw of the calibration set, where the guarantee of `fpr_threshold` is only an
    average over such draws. The true rate at the k-th largest of n scores, k = ⌊fpr (n + 1)⌋, has the distribution
    Beta(k, n + 1 - k) where scores are continuous, and is lower where scores tie.

    Raises:
        CalibrationError: n cannot certify *fpr*.

    Vovk 2012, "Conditional validity of inductive conformal predictors", proposition 2a.

    >>> round(fpr_bound(99, 0.05), 3), round(fpr_bound(999, 0.05), 3)
    (0.09, 0.062)
    """
    from scipy.special import betaincinv

    check_enough(n, fpr)
    check_rate("confidence", confidence)
    k = rank_at(fpr, n)
    return float(betaincinv(k, n + 1 - k, confidence))


def rank_at(fpr: float, n: int) -> int:
    """The largest k for which the p-value k/(n + 1) is at most *fpr*: ⌊fpr·(n + 1)⌋ without rounding errors.

    The quotient is compared, as for p-values: 0.29 · 100 is 28.999999999999996, but 29 / 100 is 0.29.

    >>> rank_at(0.29, 99), rank_at(0.01, 98)
    (29, 0)
    """
    k = math.floor(fpr * (n + 1))
    if (k + 1) / (n + 1) <= fpr:
        return k + 1
    return k - 1 if k / (n + 1) > fpr else k


def check_enough(n: int, fpr: float, confidence: float | None = None) -> None:
    """Raise `CalibrationError` where *n* non-members cannot certify *fpr*, marginally or with *confidence*."""
    needed = nonmembers_needed(fpr, confidence)
    if n < needed:
        known = "1 non-member" if n == 1 else f"{n} non-members"
        raise CalibrationError(f"{known} {describe_uncertified(fpr, confidence)}: at least {needed} are needed")


def describe_uncertified(fpr: float, confidence: float | None) -> str:
    """The predicate of a message about too few non-members.

    >>> describe_uncertified(0.01, 0.95)
    'cannot certify FPR ≤ 0.01 at 95 % confidence'
    """
    return f"cannot certify FPR ≤ {fpr:g}" + ("" if confidence is None else f" at {100 * confidence:g} % confidence")


def _at_most(k: int, n: int, fpr: float) -> float:
    """P(Binomial(n, fpr) ≤ k), rounded like `error_probability` so that the two compare."""
    from scipy.special import bdtr

    return twelve_digits(float(bdtr(k, n, fpr)))
