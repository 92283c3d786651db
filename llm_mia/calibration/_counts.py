"""Lower bounds on the number of members among the candidates, which hold for every choice of candidates at once.

The method is closed testing (Marcus, Peritz and Gabriel 1976; as bounds Goeman and Solari 2011). A local test decides
whether all candidates of a set can be non-members. The true set of non-members passes this test with the wanted
confidence. Then a choice S contains at most as many non-members as the largest overlap of S with a set that passes.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError, UsageError
from ..records import Interval
from ._checks import Floats, check_rate, error_probability, finite, sorted_finite, twelve_digits
from ._p_values import ranks
from ._thresholds import check_enough, rank_at

Ranks: TypeAlias = NDArray[np.int64]
Method: TypeAlias = Literal["count", "simes"]


@dataclass(frozen=True, slots=True, eq=False)
class CountBound:
    """A lower bound on the number of members, for all candidates and for every choice; see `member_count_bound`."""

    members: int
    """At least this many of all candidates are members."""
    candidates: int
    """Number of candidates."""
    confidence: float
    """The bound holds with this probability or more, for every choice of candidates at once."""
    method: Method
    """The local test."""
    level: float | None
    """Level of the count test, fixed before the scores are seen; None for Simes."""
    n: int
    """Number of known non-members in the calibration set."""
    steps: Ranks
    """Shape (candidates,): for every u, at most u − 1 of the candidates with step ≤ u are non-members."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CountBound):
            return NotImplemented
        figures = ("members", "candidates", "confidence", "method", "level", "n")
        same = all(getattr(self, name) == getattr(other, name) for name in figures)
        return same and np.array_equal(self.steps, other.steps)

    __hash__ = None  # type: ignore[assignment]  # the array may be changed

    def within(self, choice: ArrayLike) -> int:
        """The least number of members among the chosen candidates.

        It holds with the same confidence however the choice was made, also after the scores were seen.

        Args:
            choice: a mask of shape (candidates,), or positions, each at most once.

        Raises:
            UsageError: *choice* is neither.
        """
        chosen = np.asarray(choice)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        try:
            steps = self.steps[chosen]
        except IndexError as error:
            raise UsageError(f"not a choice among {self.candidates} candidates: {error}") from None
        if chosen.dtype != bool and len(np.unique(chosen % max(1, self.candidates))) < chosen.size:
            raise UsageError("a candidate was chosen twice: give each position once")
        return _members_within(steps)


def member_count_bound(
    scores: ArrayLike,
    calibration: ArrayLike,
    confidence: float = 0.95,
    *,
    method: Method = "count",
    level: float = 0.05,
) -> CountBound:
    """A lower bound on the number of members among all candidates, and among every choice of them.

    The bound holds with probability *confidence* or more, over candidates and calibration set together. It assumes
    that non-members among the candidates are exchangeable with the calibration set *and with each other*: a single
    passage per document, or passages that are as good as independent. It assumes nothing about members. Ties count
    against membership. Method and level must be fixed before the scores are seen: the better of two bounds does not
    hold with this confidence.

    ``method="count"``: let k = ⌊level·(n + 1)⌋. The number of i non-members that score above the k-th largest of n
    calibration scores has a known distribution (negative hypergeometric, since they share the calibration set). Among
    all sets of a given size, the set with the lowest scores passes most easily. So the bound is the number of
    candidates above, less the largest number of non-members that can be above.
    ``method="simes"``: Simes' inequality, which holds for conformal p-values (PRDS, Bates et al. 2023), closed by
    Hommel's shortcut. *level* is not used, and no bound above 0 is possible with fewer than about
    m / ((1 − confidence)(n + 1)) members.

    Counting, at the default FPR of an audit, is the default method: its bound is larger unless members are few and
    score far above everything else. Mean bounds in simulations (normal scores, n = 1,000 known, m = 500 candidates),
    by count, by Simes: 50 members shifted by 2 or 3 σ: 20, 0.7 and 35, 12; 250 members shifted by 1, 2, 3 σ: 44, 0.4
    and 145, 36 and 219, 139. Simes gave more with n = 20,000, m = 1,000 and 10 members at 6 σ: 2.5, 9.8; there *level*
    0.01 gave 4.3.

    Args:
        scores: of the candidates, shape (m,).
        calibration: scores of known non-members, shape (n,).
        confidence: with which the bound holds.
        method: the local test, ``count`` or ``simes``.
        level: of the count.

    Raises:
        CalibrationError: there are no candidates, or n is too small for *level*.
        InputError: a score is NaN or infinite.
        UsageError: *level* or *method* is out of range.

    The time is O(m log m). Goeman and Solari 2011, Statistical Science 26:584; Goeman et al. 2019, Biometrika 106:841;
    for conformal p-values Magnani, Sesia and Solari 2023, arXiv:2308.05534.

    >>> bound = member_count_bound([21, 22, 23, 24, 5, 6], range(20), level=0.05)
    >>> bound.members, bound.within([0, 1, 2]), bound.within([4, 5])  # four are above all known, 1 may be by chance
    (3, 2, 0)
    """
    allowed = error_probability(confidence)
    known, candidates = sorted_finite(calibration), finite(scores, "candidate scores")
    n, m = len(known), len(candidates)
    if m == 0:
        raise CalibrationError("there are no candidates: give at least 1 to bound the number of members")
    numerators = ranks(candidates, known)
    if method == "count":
        check_rate("level", level)
        check_enough(n, level)
        steps = _count_steps(numerators, n, rank_at(level, n), allowed)
    elif method == "simes":
        steps = _simes_steps(numerators, n, allowed)
    else:
        raise UsageError(f"`method` must be 'count' or 'simes': got {method!r}")
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
    """An estimate of the share of members among the candidates, with a lower bound; the upper end is always 1.

    The share is at least the lower end with probability *confidence* or more. The upper end cannot be bounded:
    members need not score higher than non-members, so no p-values rule out that all candidates are members. The lower
    end is that of `member_count_bound` by count at *level*, under the same assumptions; it allows for the fact that
    all p-values share *n* calibration scores. The value is Storey's estimate, 1 − #{p > cut} / (m·P(p > cut)), with
    the exact probability of a non-member: on average it is at most the true share, before it is raised to the lower
    end where it lies below.

    Args:
        p_values: conformal, from *n* calibration scores, shape (m,).
        n: number of calibration scores.
        confidence: with which the lower end holds.
        level: of the count; fixed before the scores are seen.
        cut: of Storey's estimate; fixed before the scores are seen.

    Raises:
        CalibrationError: there are no p-values, or n is too small for *level*.
        UsageError: a p-value is no multiple of 1/(n + 1), or *level* or *cut* is out of range.

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
    low = _members_within(_count_steps(numerators, n, rank_at(level, n), error_probability(confidence))) / m
    value = 1 - int((numerators > k).sum()) / (m * (1 - k / (n + 1)))
    return Interval(max(value, low), low, 1.0, confidence)


def _numerators(p_values: ArrayLike, n: int) -> Ranks:
    """The integers j of the p-values j/(n + 1)."""
    given = finite(p_values, "p-values")
    if not len(given):
        raise CalibrationError("there are no p-values: give at least 1 to estimate a share")
    whole = np.rint(given * (n + 1))
    if (np.abs(given * (n + 1) - whole) > 1e-6).any() or whole.min() < 1 or whole.max() > n + 1:
        raise UsageError(
            f"these are not conformal p-values from {n} calibration scores, which are 1/{n + 1}, 2/{n + 1}, …, 1"
        )
    return whole.astype(np.int64)


def _members_within(steps: Ranks) -> int:
    """The largest #{step ≤ u} − (u − 1) over u, or 0."""
    size = len(steps)
    upto = np.cumsum(np.bincount(np.minimum(steps, size + 1), minlength=size + 2))[1 : size + 1]
    return int(np.max(upto - np.arange(size), initial=0))


def _simes_steps(numerators: Ranks, n: int, allowed: float) -> Ranks:
    """For each candidate the least u with h·p ≤ u·(1 − confidence); h is the size of the largest set that passes.

    Sets of the i largest p-values pass Simes' test up to i = h and fail beyond it, so bisection gives h.
    """
    ascending = np.sort(numerators)
    m = len(ascending)
    budget = twelve_digits(allowed * (n + 1)) * (1 + 1e-12)

    def fails(size: int) -> bool:
        return bool((ascending[m - size :] * size <= budget * np.arange(1, size + 1)).any())

    h = bisect.bisect_left(range(1, m + 1), True, key=fails)
    return np.maximum(1, np.ceil(numerators * h / budget)).astype(np.int64)


def _count_steps(numerators: Ranks, n: int, k: int, allowed: float) -> Ranks:
    """For a candidate above the k-th largest calibration score: 1 + the most non-members that can be above it.

    For the other candidates it is m + 1, which no u reaches. A set with all the candidates below passes most easily,
    and each further non-member above makes it harder.
    """
    above = numerators <= k
    below = int((~above).sum())
    possible = bisect.bisect_left(
        range(1, int(above.sum()) + 1), True, key=lambda x: exceedance_probability(x, x + below, k, n) <= allowed
    )
    return np.where(above, possible + 1, len(numerators) + 1)


def exceedance_probability(x: int, i: int, k: int, n: int) -> float:
    """P(x or more of *i* non-members score above the k-th largest of n others), 1 ≤ x ≤ i, all exchangeable.

    This happens where fewer than k of the n are among the x + k − 1 largest of all n + i: hypergeometric.

    >>> exceedance_probability(1, 1, 1, 19), exceedance_probability(2, 2, 1, 3)  # 1/20; 2/5 · 1/4
    (0.05, 0.1)
    """
    from scipy.special import gammaln

    def log_choose(a: int, b: int | Ranks) -> Floats:
        return np.asarray(gammaln(a + 1.0) - gammaln(np.add(b, 1.0)) - gammaln(a - np.asarray(b) + 1.0))

    top = x + k - 1
    calibration = np.arange(max(0, top - i), min(k - 1, n) + 1, dtype=np.int64)
    logs = log_choose(n, calibration) + log_choose(i, top - calibration) - log_choose(n + i, top)
    return twelve_digits(float(np.exp(logs).sum()))
