"""Rates at a threshold and the privacy loss they rule out: coverage computed exactly, and planted faults detected."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from llm_mia.errors import LlmMiaError, ScoresError, UsageError
from llm_mia.metrics import clopper_pearson, epsilon_lower_bound, epsilon_of_one_run, rates_at_threshold


def marks(m: int, n: int) -> list[int]:
    return [1] * m + [0] * n


# --- rates ------------------------------------------------------------------------------------------------------------


def test_rates_are_counts_above_and_their_exact_ends() -> None:
    rates = rates_at_threshold([5.0, 4.0, 2.0, 3.0, 1.0, 0.0, 4.0], [1, 1, 1, 0, 0, 0, 0], 3.0, confidence=0.9)
    assert (rates.true_positives, rates.members, rates.false_positives, rates.nonmembers) == (2, 3, 1, 4)
    assert (rates.tpr, rates.fpr) == (clopper_pearson(2, 3, 0.9), clopper_pearson(1, 4, 0.9))
    every, none = (rates_at_threshold([1.0, 1.0], [1, 0], threshold) for threshold in (-math.inf, math.inf))
    assert (every.tpr.value, every.fpr.value, none.tpr.value, none.fpr.value) == (1, 1, 0, 0)
    assert rates_at_threshold([1.0] * 4, [1, 1, 0, 0], 1.0).false_positives == 0  # a tie isn't above


def test_one_passage_a_document_changes_nothing() -> None:
    scores = np.random.default_rng(0).normal(size=40)
    names = [str(i) for i in range(40)]
    assert rates_at_threshold(scores, marks(20, 20), 0.5) == rates_at_threshold(
        scores, marks(20, 20), 0.5, documents=names
    )


def test_rates_cover_where_passages_share_documents() -> None:
    # Eight passages of each of 20 documents, alike in four fifths of their variance; a tenth lies above 1.2816.
    rng, names = np.random.default_rng(0), [str(i // 8) for i in range(320)]
    held = []
    for _ in range(80):
        scores = np.sqrt(0.8) * np.repeat(rng.normal(size=40), 8) + np.sqrt(0.2) * rng.normal(size=320)
        intervals = [rates_at_threshold(scores, marks(160, 160), 1.2816, documents=each).fpr for each in (names, None)]
        held.append([each.low <= 0.1 <= each.high for each in intervals])
    by_document, independent = np.mean(held, axis=0)
    assert by_document > 0.93 - 4 * math.sqrt(0.93 * 0.07 / 80)
    assert independent < 0.93 - 4 * math.sqrt(0.93 * 0.07 / 80)


def test_a_class_is_judged_by_its_own_documents() -> None:
    names = ["one book"] * 20 + [str(i // 2) for i in range(40)]
    rates = rates_at_threshold([1.0] * 20 + [0.0] * 40, marks(20, 40), 0.5, documents=names)
    assert (rates.tpr.low, rates.tpr.high) == (0, 1)  # one document is no evidence about others
    assert rates.fpr.low == 0
    assert rates.fpr.high == pytest.approx(clopper_pearson(0, 20).high)  # twenty documents, not forty passages


# --- privacy loss -----------------------------------------------------------------------------------------------------

Bound = Callable[[int, int, int, int], float]


def exceeds(bound: Bound, epsilon: float, n: int, delta: float = 0.0) -> float:
    """Chance that *bound* exceeds the ε of randomised response after n trials of either kind, summed over all outcomes.

    The response is revealed outright with probability *delta*, else true with odds e^ε.
    """
    from scipy.stats import binom

    right = delta + (1 - delta) * math.exp(epsilon) / (1 + math.exp(epsilon))
    chances = [binom.pmf(np.arange(n + 1), n, rate) for rate in (right, 1 - right)]
    above = np.array([[bound(tp, n, fp, n) > epsilon for fp in range(n + 1)] for tp in range(n + 1)])
    return float(chances[0] @ above @ chances[1])


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("delta", [0.0, 0.05])
def test_bound_exceeds_the_epsilon_of_randomised_response_in_at_most_5_percent_of_cases(
    epsilon: float, delta: float
) -> None:
    @cache
    def bound(tp: int, members: int, fp: int, nonmembers: int) -> float:
        return epsilon_lower_bound(tp, members, fp, nonmembers, delta=delta)

    assert exceeds(bound, epsilon, 40, delta) <= 0.05


def test_the_check_detects_point_estimates_and_an_unsplit_error() -> None:
    def estimate(tp: int, members: int, fp: int, nonmembers: int) -> float:
        return math.log(max(tp, 0.5) / members / (max(fp, 0.5) / nonmembers))

    assert exceeds(estimate, 1.0, 40) > 0.05

    def each_rate_by_itself(tp: int, members: int, fp: int, nonmembers: int) -> float:
        return epsilon_lower_bound(tp, members, fp, nonmembers, confidence=0.6)  # what "20 % each" would come to

    assert exceeds(each_rate_by_itself, 1.0, 40) > 0.05


def test_bound_by_hand() -> None:
    # All of 10 right: TPR ≥ 0.025^(1/10) = 0.691503 and FPR ≤ 0.308497, so ε ≥ log(0.691503/0.308497) = 0.807155.
    assert epsilon_lower_bound(10, 10, 0, 10) == pytest.approx(0.807155, abs=1e-6)
    assert epsilon_lower_bound(10, 10, 0, 10, delta=0.1) == pytest.approx(math.log(0.591503 / 0.308497), abs=1e-5)
    assert epsilon_lower_bound(0, 10, 10, 10) == 0.0  # worse than chance is no evidence for its reverse
    assert epsilon_lower_bound(10, 10, 0, 10, delta=0.9) == 0.0


def test_misses_count_as_much_as_hits() -> None:
    # A threshold so low that no member is missed shows in what isn't flagged: TNR over FNR.
    assert epsilon_lower_bound(100, 100, 50, 100) == pytest.approx(epsilon_lower_bound(50, 100, 0, 100))
    assert epsilon_lower_bound(100, 100, 50, 100) > 2


def test_more_trials_show_more() -> None:
    intervals = [epsilon_lower_bound(73 * k, 100 * k, 27 * k, 100 * k) for k in (1, 10, 100)]
    assert intervals == sorted(intervals)
    assert intervals[-1] < math.log(73 / 27)
    assert epsilon_lower_bound(73, 100, 27, 100, confidence=0.5) > epsilon_lower_bound(73, 100, 27, 100)


# --- a single training run --------------------------------------------------------------------------------------------


def exceeds_in_a_run(bound: Bound, epsilon: float, members: int, nonmembers: int, guesses: int) -> float:
    """Chance that *bound* exceeds ε after a single run that leaks all that ε-differential privacy allows.

    Of a pool, exactly *members* passages are drawn at random; the mechanism names *guesses* passages, with a
    probability proportional to exp(ε · members among them). Exchanging a member for a non-member changes that
    probability by a factor of at most e^ε.
    """
    named = np.arange(max(0, guesses - nonmembers), min(guesses, members) + 1)
    ways = [math.comb(members, k) * math.comb(nonmembers, guesses - k) * math.exp(epsilon * k) for k in named.tolist()]
    above = [bound(k, members, guesses - k, nonmembers) > epsilon for k in named.tolist()]
    return float(np.dot(ways, above) / np.sum(ways))


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_the_bound_of_a_run_exceeds_the_epsilon_of_its_mechanism_in_at_most_5_percent_of_cases(epsilon: float) -> None:
    shares = [exceeds_in_a_run(epsilon_of_one_run, epsilon, 40, 60, guesses) for guesses in range(1, 100)]
    assert max(shares) <= 0.05
    assert max(shares) > 0.03, "and hardly more cautious than necessary"

    def ratio_of_shares(tp: int, members: int, fp: int, nonmembers: int) -> float:
        return math.log(max(tp, 0.5) / members / (max(fp, 0.5) / nonmembers))

    assert exceeds_in_a_run(ratio_of_shares, epsilon, 40, 60, 10) > 0.05, "the check detects an estimate"


def test_the_bound_of_a_run_is_the_end_of_fishers_exact_interval_of_the_odds_ratio() -> None:
    from scipy.stats.contingency import odds_ratio

    table = [[30, 10], [12, 48]]  # members flagged and not, non-members flagged and not
    exact = odds_ratio(table).confidence_interval(0.95, alternative="greater")
    assert epsilon_of_one_run(30, 40, 12, 60) == pytest.approx(math.log(exact.low), abs=1e-6)
    # A single member, which is named, and a single non-member: e^ε / (e^ε + 1) = 0.75 at e^ε = 3.
    assert epsilon_of_one_run(1, 1, 0, 1, confidence=0.25) == pytest.approx(math.log(3))
    assert epsilon_of_one_run(0, 10, 10, 10) == 0.0


def test_two_sets_that_differ_give_a_bound_without_any_training() -> None:
    """Why the decision gives a bound only for members that were drawn at random: the planted fault is its absence."""
    rng = np.random.default_rng(0)
    above = [
        epsilon_of_one_run(int((rng.normal(1, 1, 100) > 1.3).sum()), 100, int((rng.normal(0, 1, 100) > 1.3).sum()), 100)
        for _ in range(100)
    ]
    assert np.mean(np.array(above) > 0) > 0.9


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rates_at_threshold([1.0, 2.0], [0, 1], math.nan), UsageError, "`threshold` is NaN"),
        (lambda: rates_at_threshold([1.0, math.nan], [0, 1], 1.0), ScoresError, "1 scores are NaN, at position 1"),
        (
            lambda: rates_at_threshold([1.0, 2.0], [1, 1], 1.0),
            ScoresError,
            "only members: a rate at a threshold needs both",
        ),
        (lambda: rates_at_threshold([1.0, 2.0], [0, 1], 1.0, documents=["a"]), UsageError, "2 scores but 1 documents"),
        (lambda: epsilon_lower_bound(3, 2, 0, 2), UsageError, "3 of 2 is not a share"),
        (lambda: epsilon_of_one_run(3, 2, 0, 2), UsageError, "3 of 2 is not a share"),
        (lambda: epsilon_of_one_run(1, 2, 0, 2, confidence=1.0), UsageError, "`confidence` must lie between 0 and 1"),
        (lambda: epsilon_lower_bound(1, 2, 0, 0), UsageError, "0 of 0 is not a share"),
        (lambda: epsilon_lower_bound(1, 2, 0, 2, confidence=1.0), UsageError, "`confidence` must lie between 0 and 1"),
        (lambda: epsilon_lower_bound(1, 2, 0, 2, delta=1.0), UsageError, r"`delta` must lie in 0\.\.1"),
        (lambda: epsilon_lower_bound(1, 2, 0, 2, delta=math.nan), UsageError, r"`delta` must lie in 0\.\.1"),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
