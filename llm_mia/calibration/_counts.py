"""How many of the candidates are members at least: bounds that hold for every choice among them at once.

Closed testing (Marcus, Peritz and Gabriel 1976; as bounds Goeman and Solari 2011): a local test asks of a set of
candidates whether all of it can be non-members. The true set of non-members passes its test with the confidence asked
for, and then no choice S holds more of them than the largest overlap of S with a set that passes.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError
from ..records import Interval
from ._checks import Floats, check_rate, finite, risk, sorted_finite, twelve_digits
from ._p_values import ranks
from ._thresholds import check_enough, rank_at

Ranks: TypeAlias = NDArray[np.int64]
Method: TypeAlias = Literal["count", "simes"]


@dataclass(frozen=True, slots=True, eq=False)
class CountBound:
    """At least so many members among all candidates, or among any choice of them; made by `member_count_bound`."""

    members: int
    """At least this many of all candidates are members."""
    candidates: int
    """How many candidates there are."""
    confidence: float
    """Holds with this probability or more, for every choice of candidates at once."""
    method: Method
    """The local test."""
    level: float | None
    """Of the count test, fixed beforehand; None for Simes."""
    n: int
    """Known non-members calibrated on."""
    steps: Ranks
    """Shape (candidates,): for every u, at most u − 1 of the candidates with step ≤ u are non-members."""

    def within(self, choice: ArrayLike) -> int:
        """At least this many of the chosen are members; the choice may follow from looking at anything.

        *choice* is a mask of shape (candidates,), or positions, each once.

        Raises `CalibrationError` where it is neither.
        """
        chosen = np.asarray(choice)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        try:
            steps = self.steps[chosen]
        except IndexError as error:
            raise CalibrationError(f"not a choice among {self.candidates} candidates: {error}") from None
        if chosen.dtype != bool and len(np.unique(chosen % max(1, self.candidates))) < chosen.size:
            raise CalibrationError("a candidate was chosen twice: give each position once")
        return _members_within(steps)


def member_count_bound(
    scores: ArrayLike,
    calibration: ArrayLike,
    confidence: float = 0.95,
    *,
    method: Method = "count",
    level: float = 0.05,
) -> CountBound:
    """With probability *confidence* or more, at least this many of the candidates are members, and of any choice.

    Assumes that non-members among the candidates are exchangeable with the calibration set *and with each other*: one
    passage a document, or passages that are as good as independent. Nothing is assumed of members. The probability
    is over candidates and calibration set together; ties count against membership. Method and level must be fixed
    before the scores are seen: the better of two bounds is no bound at this confidence.

    ``method="count"``: how many of i non-members score above the k-th largest of n calibration scores,
    k = ⌊level·(n + 1)⌋, is known exactly (negative hypergeometric: they share the calibration set). Of all sets of a
    size that with the lowest scores passes most easily, so the bound is (number above) − (most non-members that can
    be above). ``method="simes"``: Simes' inequality, which conformal p-values obey (PRDS, Bates et al. 2023), closed
    by Hommel's shortcut; *level* plays no part, and fewer than about m / ((1 − confidence)(n + 1)) are never found.

    Counting is the default, at the FPR that audits default to, since it finds more unless members are few and far
    above all else. Mean bound in simulations (normal scores, n = 1,000 known, m = 500 candidates), by count, by Simes:
    50 members shifted by 2 or 3 σ: 20, 0.7 and 35, 12; 250 members shifted by 1, 2, 3 σ: 44, 0.4 and 145, 36 and
    219, 139. Simes was ahead with n = 20,000, m = 1,000 and 10 members at 6 σ: 2.5, 9.8; there *level* 0.01 gave 4.3.

    *scores* has shape (m,), *calibration* shape (n,). Takes O(m log m) time.

    Raises `CalibrationError` where there are no candidates, a score is NaN or infinite, or n too small for *level*.
    Goeman and Solari 2011, Statistical Science 26:584; Goeman et al. 2019, Biometrika 106:841; for conformal p-values
    Magnani, Sesia and Solari 2023, arXiv:2308.05534.

    >>> bound = member_count_bound([21, 22, 23, 24, 5, 6], range(20), level=0.05)
    >>> bound.members, bound.within([0, 1, 2]), bound.within([4, 5])  # of the four above 20 known, one may be by chance
    (3, 2, 0)
    """
    allowed = risk(confidence)
    known, candidates = sorted_finite(calibration), finite(scores, "candidate scores")
    n, m = len(known), len(candidates)
    if m == 0:
        raise CalibrationError("there are no candidates to bound the number of members among")
    numerators = ranks(candidates, known)
    if method == "count":
        check_rate("level", level)
        check_enough(n, level)
        steps = _count_steps(numerators, n, rank_at(level, n), allowed)
    elif method == "simes":
        steps = _simes_steps(numerators, n, allowed)
    else:
        raise CalibrationError(f"no method {method!r} to bound a count with: it is 'count' or 'simes'")
    return CountBound(
        members=_members_within(steps),
        candidates=m,
        confidence=confidence,
        method=method,
        level=level if method == "count" else None,
        n=n,
        steps=steps,
    )


def member_share(
    p_values: ArrayLike, n: int, *, confidence: float = 0.95, level: float = 0.05, cut: float = 0.5
) -> Interval:
    """With probability *confidence* or more the share of members among the candidates is at least the lower end.

    Only the lower end carries a guarantee, and only it can: members need not score higher than non-members, so no
    p-values rule out that all candidates are members; the upper end is 1. The lower end is that of
    `member_count_bound` by count at *level*, which allows for all p-values sharing *n* calibration scores, and assumes
    what it assumes. The value is Storey's estimate, 1 − #{p > cut} / (m·P(p > cut)) with a non-member's exact
    probability: on average at most the true share, before it is kept from falling below the lower end.

    *p_values* has shape (m,): conformal, of *n* calibration scores. *level* and *cut* are fixed beforehand.

    Raises `CalibrationError` where there are none, one is no multiple of 1/(n + 1), or n is too small for *level*.
    Storey 2002, J. R. Statist. Soc. B 64:479; Goeman and Solari 2011.

    >>> share = member_share([0.05] * 8 + [0.5, 0.95], 19)  # 1 of 10 beyond 0.5, where half of the non-members are
    >>> share.low, round(share.value, 3), share.high
    (0.7, 0.8, 1.0)
    """
    check_rate("level", level)
    check_rate("cut", cut)
    check_enough(n, level)
    numerators = _numerators(p_values, n)
    m, k = len(numerators), rank_at(cut, n)
    low = _members_within(_count_steps(numerators, n, rank_at(level, n), risk(confidence))) / m
    value = 1 - int((numerators > k).sum()) / (m * (1 - k / (n + 1)))
    return Interval(max(value, low), low, 1.0, confidence)


def _numerators(p_values: ArrayLike, n: int) -> Ranks:
    """The j of p-values j/(n + 1)."""
    given = finite(p_values, "p-values")
    if not len(given):
        raise CalibrationError("there are no p-values to estimate a share from")
    whole = np.rint(given * (n + 1))
    if (np.abs(given * (n + 1) - whole) > 1e-6).any() or whole.min() < 1 or whole.max() > n + 1:
        raise CalibrationError(
            f"these are not the conformal p-values of {n} calibration scores: 1/{n + 1}, 2/{n + 1}, …, 1"
        )
    return whole.astype(np.int64)


def _members_within(steps: Ranks) -> int:
    """The largest #{step ≤ u} − (u − 1) over u, or 0."""
    size = len(steps)
    upto = np.cumsum(np.bincount(np.minimum(steps, size + 1), minlength=size + 2))[1 : size + 1]
    return int(np.max(upto - np.arange(size), initial=0))


def _simes_steps(numerators: Ranks, n: int, allowed: float) -> Ranks:
    """The least u with h·p ≤ u·(1 − confidence), where h is the size of the largest set that passes Simes' test.

    Sets of the i largest p-values pass up to i = h and fail beyond it, so that h is found by bisection.
    """
    ascending = np.sort(numerators)
    m = len(ascending)
    budget = twelve_digits(allowed * (n + 1)) * (1 + 1e-12)

    def fails(size: int) -> bool:
        return bool((ascending[m - size :] * size <= budget * np.arange(1, size + 1)).any())

    h = bisect.bisect_left(range(1, m + 1), True, key=fails)
    return np.maximum(1, np.ceil(numerators * h / budget)).astype(np.int64)


def _count_steps(numerators: Ranks, n: int, k: int, allowed: float) -> Ranks:
    """Candidates above the k-th largest calibration score: 1 + the most non-members that can be; never for the rest.

    A set with all the candidates below is the easiest to pass, and each non-member more above makes it harder.
    """
    above = numerators <= k
    below = int((~above).sum())
    possible = bisect.bisect_left(
        range(1, int(above.sum()) + 1), True, key=lambda x: exceedance(x, x + below, k, n) <= allowed
    )
    return np.where(above, possible + 1, len(numerators) + 1)


def exceedance(x: int, i: int, k: int, n: int) -> float:
    """P(x or more of *i* non-members score above the k-th largest of n others), all in random order, 1 ≤ x ≤ i.

    They do where among the first x + k − 1 of all n + i, from the top, fewer than k are of the n: hypergeometric.

    >>> exceedance(1, 1, 1, 19), exceedance(2, 2, 1, 3)  # 1/20; 2/5 · 1/4
    (0.05, 0.1)
    """
    from scipy.special import gammaln

    def log_choose(a: int, b: int | Ranks) -> Floats:
        return np.asarray(gammaln(a + 1.0) - gammaln(np.add(b, 1.0)) - gammaln(a - np.asarray(b) + 1.0))

    first = x + k - 1
    of_them = np.arange(max(0, first - i), min(k - 1, n) + 1, dtype=np.int64)
    logs = log_choose(n, of_them) + log_choose(i, first - of_them) - log_choose(n + i, first)
    return twelve_digits(float(np.exp(logs).sum()))
