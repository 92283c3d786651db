"""How many members at least: against closed testing over every subset, and held by simulation to its confidence."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.calibration import (
    conformal_p_values,
    exceedance_probability,
    fpr_threshold,
    member_count_bound,
    member_share,
)
from llm_mia.errors import CalibrationError, InputError, LlmMiaError, UsageError

Floats = NDArray[np.float64]
Method = Literal["count", "simes"]
steady = settings(derandomize=True, deadline=None)


def excess(figures: Floats, bound: float) -> float:
    """Standard errors by which the mean of independent *figures* exceeds *bound*."""
    return float((figures.mean() - bound) / max(figures.std(ddof=1) / np.sqrt(len(figures)), 1e-12))


# --- against every subset, in exact fractions -------------------------------------------------------------------------


def at_least(x: int, i: int, k: int, n: int) -> Fraction:
    """P(x or more of i non-members above the k-th largest of n): beta-binomial, summed."""
    ways = sum(comb(b + k - 1, b) * comb(i - b + n - k, i - b) for b in range(x, i + 1))
    return Fraction(ways, comb(n + i, i))


def fails_by_count(p: list[Fraction], n: int, risk: Fraction, level: Fraction) -> bool:
    k = int(level * (n + 1))
    return at_least(sum(each <= Fraction(k, n + 1) for each in p), len(p), k, n) <= risk


def fails_by_simes(p: list[Fraction], n: int, risk: Fraction, level: Fraction) -> bool:
    return any(each <= i * risk / len(p) for i, each in enumerate(sorted(p), 1))


def by_every_subset(
    fails: Callable[[list[Fraction], int, Fraction, Fraction], bool], p: list[Fraction], n: int, *rates: Fraction
) -> Callable[[set[int]], int]:
    """|S| less the largest overlap of S with a set of candidates that passes the local test."""
    subsets = (set(each) for size in range(len(p) + 1) for each in itertools.combinations(range(len(p)), size))
    passing = [each for each in subsets if not each or not fails([p[i] for i in each], n, *rates)]
    return lambda choice: len(choice) - max(len(choice & each) for each in passing)


percent = st.sampled_from([5, 10, 20, 40])


def check(scores: list[float], known: list[float], level: int, risk: int, choices: list[set[int]]) -> None:
    n = len(known)
    p = [Fraction(1 + sum(c >= s for c in known), n + 1) for s in scores]
    rates = Fraction(risk, 100), Fraction(level, 100)
    tests: list[tuple[Method, Any]] = [("count", fails_by_count), ("simes", fails_by_simes)]
    for method, fails in tests:
        if method == "count" and level * (n + 1) < 100:
            continue
        bound = member_count_bound(scores, known, 1 - risk / 100, method=method, level=level / 100)
        slow = by_every_subset(fails, p, n, *rates)
        assert bound.members == slow(set(range(len(scores)))), method
        for choice in choices:
            mask = np.array([i in choice for i in range(len(scores))])
            assert bound.within(mask) == bound.within(sorted(choice)) == slow(choice), method


@steady
@example(scores=[9.0] * 7, known=[*map(float, range(9))] + [0.0] * 10, level=5, risk=5, data=None)
@given(
    scores=st.lists(st.integers(0, 12).map(float), min_size=1, max_size=7),
    known=st.lists(st.integers(0, 10).map(float), min_size=1, max_size=60),
    level=percent,
    risk=percent,
    data=st.data(),
)
def test_the_bounds_of_closed_testing(
    scores: list[float], known: list[float], level: int, risk: int, data: st.DataObject | None
) -> None:
    choices = [set(range(len(scores)))]
    if data:
        choices = data.draw(st.lists(st.sets(st.integers(0, len(scores) - 1)), max_size=4))
    check(scores, known, level, risk, choices)


@pytest.mark.parametrize("seed", range(3))
def test_the_bounds_of_closed_testing_with_twelve_candidates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=12) + np.repeat([3.0, 0.0], 6), 1)
    choices = [set(rng.permutation(12)[:size].tolist()) for size in range(13)]
    check(scores.tolist(), np.round(rng.normal(size=60), 1).tolist(), 10, 20, choices)


def test_single_candidates_are_members_where_hommel_rejects_them() -> None:
    known = np.arange(199.0)
    scores = [300, 300, 197.5, 196.5, 194.5, 191.5, 186.5, 159.5, 139.5, 109.5]
    # statsmodels 0.15.0: multipletests(conformal_p_values(scores, known), method="hommel")[1]
    theirs = [0.045, 0.045, 0.07, 0.09, 0.125, 0.1625, 0.26, 0.45, 0.45, 0.45]
    for risk in (0.04, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3):
        bound = member_count_bound(scores, known, 1 - risk, method="simes")
        assert [bound.within([i]) for i in range(10)] == [int(p <= risk) for p in theirs]


@steady
@given(n=st.integers(1, 40), data=st.data())
def test_the_chance_of_so_many_above_is_exact(n: int, data: st.DataObject) -> None:
    k, i = data.draw(st.integers(1, n)), data.draw(st.integers(1, 40))
    x = data.draw(st.integers(1, i))
    assert exceedance_probability(x, i, k, n) == pytest.approx(float(at_least(x, i, k, n)), rel=1e-9)


def test_the_chance_of_so_many_above_is_that_of_scipy_for_large_sets() -> None:
    from scipy.stats import betabinom

    for x, i, k, n in ((60, 900, 50, 1000), (5300, 100_000, 5000, 100_000), (1, 10, 1, 10**6)):
        assert exceedance_probability(x, i, k, n) == pytest.approx(betabinom.sf(x - 1, i, k, n + 1 - k), rel=1e-6)


# --- by simulation ----------------------------------------------------------------------------------------------------

Bound = Callable[[Floats, Floats], int]


def exceeded(bound: Bound, *, members: int = 0, m: int = 60, n: int = 99, ties: bool = False) -> Floats:
    """Whether the bound exceeds the truth, in each of 1,500 audits."""
    rng, violations = np.random.default_rng(0), np.zeros(1500)
    for i in range(1500):
        scores, known = rng.normal(size=m), rng.normal(size=n)
        scores[:members] += 9
        if ties:
            scores, known = np.round(scores), np.round(known)
        violations[i] = bound(scores, known) > members
    return violations


@pytest.mark.parametrize(
    ("method", "level"), [("count", 0.05), ("count", 0.2), ("simes", 0.05)], ids=["count", "count at 20 %", "simes"]
)
@pytest.mark.parametrize(("members", "m", "n"), [(0, 60, 99), (20, 60, 99), (0, 200, 39), (0, 4, 199)])
@pytest.mark.parametrize("ties", [False, True])
def test_the_bound_exceeds_the_truth_in_at_most_5_percent_of_audits(
    method: Method, level: float, members: int, m: int, n: int, ties: bool
) -> None:
    def members_at_least(scores: Floats, known: Floats) -> int:
        return member_count_bound(scores, known, method=method, level=level).members

    assert excess(exceeded(members_at_least, members=members, m=m, n=n, ties=ties), 0.05) < 4


def test_the_count_test_uses_its_risk_up_where_members_are_plain() -> None:
    """Bounded by count, the number of members is exceeded as often as the discrete distribution lets it be."""
    violations = exceeded(lambda scores, known: member_count_bound(scores, known, level=0.2).members, members=20)
    assert violations.mean() > 0.02


def test_the_check_detects_a_calibration_set_taken_for_the_truth() -> None:
    """As if the share of non-members above a threshold were known to be 5 %: a binomial for the beta-binomial."""

    def as_if_known(scores: Floats, known: Floats) -> int:
        from scipy.special import bdtr

        above = int((scores > fpr_threshold(known, 0.05)).sum())
        most = int((bdtr(np.arange(len(scores)), len(scores), 0.05) < 0.95).sum())
        return above - most

    assert excess(exceeded(as_if_known, m=400), 0.05) > 4


def test_the_check_detects_ranks_off_by_one() -> None:
    def rank_too_low(method: Method) -> Bound:
        return lambda scores, known: (
            member_count_bound(scores, np.append(np.sort(known)[:-1], -99.0), method=method).members
        )

    assert excess(exceeded(rank_too_low("simes"), m=1, n=19), 0.05) > 4
    assert excess(exceeded(rank_too_low("count"), m=1, n=19), 0.05) > 4


def test_the_check_detects_the_better_of_many_levels() -> None:
    def best(scores: Floats, known: Floats) -> int:
        return max(member_count_bound(scores, known, level=level).members for level in (0.02, 0.05, 0.1, 0.2, 0.4, 0.6))

    assert excess(exceeded(best), 0.05) > 4


def test_it_holds_for_choices_after_looking() -> None:
    """The bound within the top j is at most the truth there, for all j at once, and only so is any of it usable."""
    rng, violations = np.random.default_rng(1), np.zeros(400)
    for i in range(400):
        scores, known = rng.normal(size=40), rng.normal(size=99)
        scores[:10] += 2
        order = np.argsort(-scores)
        for method in ("count", "simes"):
            bound = member_count_bound(scores, known, method=method, level=0.1)
            violations[i] += any(bound.within(order[:j]) > (order[:j] < 10).sum() for j in range(1, 41))
    assert excess((violations > 1).astype(np.float64), 0.05) < 4
    assert excess((violations > 0).astype(np.float64), 0.1) < 4


def test_counting_gives_more_than_simes_unless_members_are_few_and_far_above() -> None:
    def mean(method: Method, members: int, shift: float, n: int) -> float:
        rng = np.random.default_rng(0)
        known_and_scores = [(rng.normal(size=n), rng.normal(size=140)) for _ in range(25)]
        lift = shift * (np.arange(140) < members)
        return float(np.mean([member_count_bound(s + lift, c, method=method).members for c, s in known_and_scores]))

    for members, shift, n in itertools.product((14, 70), (1, 2, 3), (200, 1000)):
        assert mean("count", members, shift, n) >= mean("simes", members, shift, n)
    assert mean("count", 3, 6, 20_000) < mean("simes", 3, 6, 20_000)


# --- the share --------------------------------------------------------------------------------------------------------


def shares(members: int, m: int = 100, n: int = 199) -> tuple[Floats, Floats]:
    """Value and lower end in each of 1,000 audits with *members* of *m* at 2 σ."""
    rng, violations = np.random.default_rng(2), []
    for _ in range(1000):
        scores = rng.normal(size=m) + 2 * (np.arange(m) < members)
        share = member_share(conformal_p_values(scores, rng.normal(size=n)), n)
        assert share.low <= share.value <= share.high == 1.0
        violations.append((share.value, share.low))
    value, low = np.array(violations).T
    return value, low


@pytest.mark.parametrize("members", [0, 20, 60])
def test_the_lower_end_of_the_share_holds_and_its_value_is_no_more_than_the_truth_on_average(members: int) -> None:
    value, low = shares(members)
    assert excess((low > members / 100).astype(np.float64), 0.05) < 4
    if members:  # of none at all the value can only be too high: it is no less than 0
        assert excess(value, members / 100) < 4
        assert value.mean() > 0.8 * members / 100


def test_the_check_detects_an_estimate_taken_for_a_bound() -> None:
    value, _ = shares(20)
    assert excess((value > 0.2).astype(np.float64), 0.05) > 4


def test_the_share_is_the_count_over_the_candidates() -> None:
    rng = np.random.default_rng(0)
    scores, known = rng.normal(size=80) + np.repeat([2.0, 0.0], 40), rng.normal(size=150)
    share = member_share(conformal_p_values(scores, known), 150, level=0.1)
    assert share.low * 80 == member_count_bound(scores, known, level=0.1).members > 0
    assert (share.high, share.confidence) == (1.0, 0.95)


# --- ends -------------------------------------------------------------------------------------------------------------


def test_by_hand() -> None:
    bound = member_count_bound([21, 22, 23, 24, 5, 6], range(20), level=0.05)
    # One of three non-members above all of 20 has chance 3/23, two of four have 4/24 · 3/23 < 5 %.
    assert (bound.members, bound.candidates, bound.n, bound.level, bound.method) == (3, 6, 20, 0.05, "count")
    assert bound.within([0, 1, 2, 3]) == bound.within([True] * 4 + [False] * 2) == 3
    assert (bound.within([]), bound.within([4, 5]), bound.within([-6, -5])) == (0, 0, 1)
    assert member_count_bound([21.0], range(20), method="simes").level is None


@pytest.mark.parametrize("method", ["count", "simes"])
def test_scores_that_are_all_equal_show_nothing(method: Method) -> None:
    assert member_count_bound([7.0] * 30, [7.0] * 30, method=method).members == 0
    assert member_share([1.0] * 30, 30).low == 0


@pytest.mark.parametrize("method", ["count", "simes"])
def test_candidates_above_all_that_is_known_are_members(method: Method) -> None:
    bound = member_count_bound(np.full(50, 9.0), np.arange(-99.0, 0.0), method=method)
    assert bound.members >= 45


@pytest.mark.parametrize("method", ["count", "simes"])
def test_a_hundred_thousand_candidates_take_under_a_second(method: Method) -> None:
    rng = np.random.default_rng(0)
    scores, known = rng.normal(size=100_000), rng.normal(size=100_000)
    scores[:20_000] += 5
    start = time.process_time()
    bound = member_count_bound(scores, known, method=method)
    inside = bound.within(scores > 2)
    assert time.process_time() - start < 1
    assert 10_000 < inside <= bound.members <= 20_000


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: member_count_bound([], [1.0]), CalibrationError, "there are no candidates"),
        (lambda: member_count_bound([1.0], []), CalibrationError, "there are no calibration scores"),
        (
            lambda: member_count_bound([1.0, np.nan], [1.0]),
            InputError,
            r"1 of 2 candidate scores are NaN or infinite \(index 1\)",
        ),
        (lambda: member_count_bound([np.inf], [1.0]), InputError, "1 of 1 candidate scores"),
        (
            lambda: member_count_bound([1.0], range(18)),
            CalibrationError,
            "18 non-members cannot certify FPR ≤ 0.05: at least 19",
        ),
        (lambda: member_count_bound([1.0], range(20), 1.0), UsageError, "`confidence` must lie between"),
        (
            lambda: member_count_bound([1.0], range(20), method="both"),  # type: ignore[arg-type]
            UsageError,
            "must be 'count' or 'simes': got 'both'",
        ),
        (lambda: member_count_bound([1.0], range(20)).within([1]), UsageError, "not a choice among 1 candidates"),
        (
            lambda: member_count_bound([1.0], range(20)).within([True, False]),
            UsageError,
            "not a choice among 1 candidates",
        ),
        (lambda: member_count_bound([1.0], range(20)).within([0.5]), UsageError, "not a choice among 1 candidates"),
        (lambda: member_count_bound([1.0, 2.0], range(20)).within([0, -2]), UsageError, "a candidate was chosen twice"),
        (lambda: member_share([], 20), CalibrationError, "there are no p-values"),
        (
            lambda: member_share([0.03], 20),
            UsageError,
            "not conformal p-values from 20 calibration scores, .* 1/21, 2/21, …, 1",
        ),
        (lambda: member_share([0.0], 20), UsageError, "not conformal p-values"),
        (lambda: member_share([np.nan], 20), InputError, "1 of 1 p-values are NaN"),
        (lambda: member_share([1.0], 18), CalibrationError, "18 non-members cannot certify FPR ≤ 0.05"),
        (lambda: member_share([1.0], 20, cut=1.0), UsageError, "`cut` must lie between"),
        (lambda: member_share([1.0], 20, level=0.0), UsageError, "`level` must lie between"),
        (lambda: member_count_bound([1.0], range(20), level=1.0), UsageError, "`level` must lie between"),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
