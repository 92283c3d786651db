"""DeLong's interval and the comparison of two attacks, against definitions, hand-worked figures and simulation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.errors import LlmMiaError, ScoresError, UsageError
from llm_mia.metrics import PairedComparison, auroc, compare_attacks, delong, delong_estimate
from llm_mia.records import Interval

Floats = NDArray[np.float64]
normal = NormalDist()
steady = settings(derandomize=True, deadline=None)
few_scores = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=8)


def marks(m: int, n: int) -> NDArray[np.intp]:
    return np.repeat([1, 0], [m, n])


def least(nominal: float, times: int) -> float:
    return nominal - 4 * float(np.sqrt(nominal * (1 - nominal) / times))


def held(interval: Interval, truth: float) -> bool:
    assert interval.low <= interval.value <= interval.high
    return interval.low <= truth <= interval.high


def correlated(
    rng: np.random.Generator, m: int, n: int, figures: tuple[float, float], rho: float
) -> tuple[Floats, Floats]:
    """Scores of two attacks with these AUROCs, whose noise correlates by *rho*."""
    noise = rng.normal(size=(2, m + n))
    noise[1] = rho * noise[0] + math.sqrt(1 - rho**2) * noise[1]
    first, second = (
        scores + normal.inv_cdf(f) * 2**0.5 * marks(m, n) for scores, f in zip(noise, figures, strict=True)
    )
    return np.asarray(first), np.asarray(second)


# --- values -----------------------------------------------------------------------------------------------------------


def test_delong_by_hand() -> None:
    # Members 4, 3, 1 are above 1, 1 and 1/2 of the non-members 2, 0, whom 2/3 and 1 of the members are above.
    # Variances 1/12 and 1/18, so 1/36 + 1/36; the log odds of 5/6 are log 5, and half the interval is
    # 1.959964 · √(1/18) / (5/36) = 3.326174 of them.
    interval = delong([4.0, 3.0, 1.0, 2.0, 0.0], [1, 1, 1, 0, 0])
    assert interval.value == pytest.approx(5 / 6)
    assert interval.low == pytest.approx(1 / (1 + math.exp(3.326174 - math.log(5))), abs=1e-6)
    assert interval.high == pytest.approx(1 / (1 + math.exp(-3.326174 - math.log(5))), abs=1e-6)


@steady
@given(members=few_scores, nonmembers=few_scores)
def test_covariance_by_counting_pairs(members: list[tuple[int, int]], nonmembers: list[tuple[int, int]]) -> None:
    result = delong_estimate(np.array(members, dtype=np.float64), np.array(nonmembers, dtype=np.float64))
    wins = np.array(
        [[[(x > y) + (x == y) / 2 for x, y in zip(a, b, strict=True)] for b in nonmembers] for a in members]
    )
    assert result.values == pytest.approx(wins.mean(axis=(0, 1)).tolist())
    assert result.covariance is not None
    for i, j in product((0, 1), repeat=2):
        by_member, by_nonmember = (
            np.cov(wins[:, :, i].mean(axis=axis), wins[:, :, j].mean(axis=axis))[0, 1] / wins.shape[1 - axis]
            for axis in (1, 0)
        )
        assert result.covariance[i, j] == pytest.approx(by_member + by_nonmember, abs=1e-12)


def test_ten_thousand_a_class_agree_with_the_plain_formula() -> None:
    # With many passages all scales give the same: DeLong's z test and ± 1.96 standard errors.
    first, second = correlated(np.random.default_rng(0), 10_000, 10_000, (0.6, 0.594), 0.8)
    began = time.process_time()
    result = compare_attacks(first, second, marks(10_000, 10_000))
    assert time.process_time() - began < 3
    estimate = delong_estimate(*np.split(np.column_stack([first, second]), 2))
    assert estimate.covariance is not None
    error = math.sqrt(float(np.array([1, -1]) @ estimate.covariance @ np.array([1, -1])))
    z = result.difference.value / error
    assert result.p_value == pytest.approx(2 * normal.cdf(-abs(z)), rel=0.02)
    assert result.difference.high - result.difference.low == pytest.approx(2 * 1.959964 * error, rel=0.01)
    single = delong(first, marks(10_000, 10_000))
    assert single.high - single.low == pytest.approx(2 * 1.959964 * math.sqrt(estimate.covariance[0, 0]), rel=0.01)


# --- coverage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "n"), [(20, 20), (100, 50)])
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.95])
def test_delong_interval_covers(m: int, n: int, truth: float) -> None:
    rng, labels = np.random.default_rng(0), marks(m, n)
    draws = (rng.normal(size=m + n) + normal.inv_cdf(truth) * 2**0.5 * labels for _ in range(800))
    assert np.mean([held(delong(scores, labels), truth) for scores in draws]) > least(0.95, 800)


def test_the_check_detects_plain_standard_errors_near_one() -> None:
    def plain(scores: Floats) -> Interval:
        estimate = delong_estimate(scores[:20, None], scores[20:, None])
        assert estimate.covariance is not None
        half = 1.96 * math.sqrt(estimate.covariance[0, 0])
        return Interval(estimate.values[0], estimate.values[0] - half, estimate.values[0] + half)

    rng = np.random.default_rng(0)
    draws = (rng.normal(size=40) + normal.inv_cdf(0.95) * 2**0.5 * marks(20, 20) for _ in range(800))
    assert np.mean([held(plain(scores), 0.95) for scores in draws]) < least(0.95, 800)


PAIRS = [(20, 20, (0.8, 0.7), 0.8), (20, 20, (0.99, 0.95), 0.5), (60, 30, (0.6, 0.6), 0.0), (60, 30, (0.8, 0.8), 0.9)]


def missed(compare: Callable[[Floats, Floats, NDArray[np.intp]], PairedComparison], case: int, times: int) -> Floats:
    m, n, figures, rho = PAIRS[case]
    rng = np.random.default_rng(case)
    result = [compare(*correlated(rng, m, n, figures, rho), marks(m, n)) for _ in range(times)]
    return np.array([not held(each.difference, figures[0] - figures[1]) for each in result], dtype=np.float64)


@pytest.mark.parametrize("case", range(len(PAIRS)))
def test_difference_interval_covers(case: int) -> None:
    assert 1 - missed(compare_attacks, case, 250).mean() > least(0.95, 250)


def test_the_check_detects_attacks_taken_for_independent_of_each_other_or_without_error() -> None:
    def without_error_of_the_other(first: Floats, second: Floats, labels: NDArray[np.intp]) -> PairedComparison:
        first_auroc, second_value = delong(first, labels), delong(second, labels).value
        return PairedComparison(
            Interval(*(end - second_value for end in (first_auroc.value, first_auroc.low, first_auroc.high))), 1.0
        )

    assert 1 - missed(without_error_of_the_other, 2, 250).mean() < least(0.95, 250)


def clustered(rng: np.random.Generator, documents: int, passages: int) -> tuple[Floats, Floats]:
    """Two equally good attacks, four fifths of whose variance lies between documents."""
    n = 2 * documents
    noise = [2 * np.repeat(rng.normal(size=n), passages) + rng.normal(size=n * passages) for _ in (0, 1)]
    labels = marks(documents * passages, documents * passages)
    return np.asarray(noise[0] + labels), np.asarray(noise[1] + labels)


def test_difference_covers_where_passages_share_documents() -> None:
    rng, labels, names = np.random.default_rng(0), marks(60, 60), [str(i // 5) for i in range(120)]
    draws = [clustered(rng, 12, 5) for _ in range(60)]
    by_document = [compare_attacks(*each, labels, names, rng=1) for each in draws]
    independent = [compare_attacks(*each, labels) for each in draws]
    assert np.mean([held(each.difference, 0) for each in by_document]) > least(0.93, 60)
    assert np.mean([held(each.difference, 0) for each in independent]) < least(0.93, 60)
    for each in by_document:  # p-value and interval say the same
        assert (each.p_value <= 0.05) == (not held(each.difference, 0)) or each.p_value == pytest.approx(0.05, abs=2e-3)


def test_p_values_keep_their_level() -> None:
    rng = np.random.default_rng(3)
    result = np.array(
        [compare_attacks(*correlated(rng, 30, 30, (0.7, 0.7), 0.5), marks(30, 30)).p_value for _ in range(400)]
    )
    for u in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(result <= u) < u + 4 * math.sqrt(u * (1 - u) / 400)
    assert np.mean(result <= 0.2) > 0.08


@steady
@given(members=few_scores, nonmembers=few_scores, confidence=st.sampled_from([0.5, 0.8, 0.95]))
def test_p_value_is_read_off_the_interval(
    members: list[tuple[int, int]], nonmembers: list[tuple[int, int]], confidence: float
) -> None:
    rows, labels = np.array(members + nonmembers), marks(len(members), len(nonmembers))
    result = compare_attacks(rows[:, 0], rows[:, 1], labels, confidence=confidence)
    turned = compare_attacks(rows[:, 1], rows[:, 0], labels, confidence=confidence)
    assert result.p_value == pytest.approx(turned.p_value, abs=1e-6)
    assert result.difference.low == pytest.approx(-turned.difference.high, abs=1e-9)
    if abs(result.p_value - (1 - confidence)) > 1e-4:
        assert (result.p_value < 1 - confidence) == (not held(result.difference, 0))


# --- where there is nothing to see ------------------------------------------------------------------------------------


def test_no_spread_is_not_certainty() -> None:
    labels = marks(10, 10)
    for scores in (labels.astype(float), np.zeros(20)):
        ours, theirs = delong(scores, labels), auroc(scores, labels)
        assert (ours.low, ours.high) == (theirs.low, theirs.high)
    assert (delong([2.0, 1.0, 0.0], [1, 0, 0]).low, delong([2.0, 1.0, 0.0], [1, 0, 0]).high) == (0, 1)


def test_an_attack_against_itself() -> None:
    scores = np.random.default_rng(0).normal(size=40)
    result = compare_attacks(scores, np.exp(scores), marks(20, 20))
    assert (result.difference.value, result.p_value) == (0, 1)
    assert -0.1 < result.difference.low <= 0 <= result.difference.high < 0.1
    perfect = compare_attacks([3.0, 2, 1, 0], [30.0, 20, 10, 0], [1, 1, 0, 0])
    assert perfect.p_value == 1
    assert perfect.difference.low < -0.3
    assert perfect.difference.high > 0.3


def test_all_scores_equal_against_complete_separation() -> None:
    result = compare_attacks(marks(20, 20), np.zeros(40), marks(20, 20))
    assert result.difference.value == 0.5
    assert 0 < result.difference.low < result.difference.high < 1
    assert compare_attacks([1.0, 1, 0, 0], [0.0] * 4, [1, 1, 0, 0]).p_value > 0.05


def test_a_single_passage_or_document_gives_no_interval() -> None:
    single = compare_attacks([1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [1, 0, 0])
    assert (single.difference.low, single.difference.high, single.p_value) == (-1, 1, 1)
    names = ["a"] * 10 + [str(i) for i in range(10)]
    result = compare_attacks(range(20, 0, -1), range(20), marks(10, 10), names)
    assert (result.difference.value, result.difference.low, result.difference.high, result.p_value) == (1, -1, 1, 1)


def test_few_documents_show_no_small_p_value() -> None:
    names = [str(i // 50) for i in range(400)]  # four documents a class
    result = compare_attacks(range(400, 0, -1), range(400), marks(200, 200), names)
    assert 0.05 < result.p_value < 0.08
    with_many = compare_attacks(range(400, 0, -1), range(400), marks(200, 200), [str(i // 5) for i in range(400)])
    assert with_many.p_value < 0.005


def test_documents_in_both_classes_and_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 200))
    names, labels = np.array([str(i % 50) for i in range(200)]), marks(100, 100)
    result = compare_attacks(first, second, labels, names.tolist())
    assert -1 < result.difference.low < result.difference.high < 1
    assert result == compare_attacks(first, second, labels, names.tolist(), rng=0)
    turned = rng.permutation(200)
    again = compare_attacks(first[turned], second[turned], labels[turned], names[turned].tolist())
    assert again.difference.low == pytest.approx(result.difference.low)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: delong([], []), ScoresError, "there are no scores: AUROC needs members and non-members"),
        (lambda: delong([1.0, 2.0], [1, 1]), ScoresError, "only members: AUROC needs both"),
        (lambda: delong([1.0, np.nan], [1, 0]), ScoresError, "1 scores are NaN, at position 1"),
        (lambda: delong([1.0, 2.0], [1, 0], 1.0), UsageError, "`confidence` must lie between 0 and 1"),
        (lambda: compare_attacks([1.0, 2.0], [1.0], [1, 0]), UsageError, "1 scores but 2 labels"),
        (
            lambda: compare_attacks([1.0, 2.0], [np.nan, np.nan], [1, 0]),
            ScoresError,
            "2 scores are NaN, at positions 0, 1",
        ),
        (lambda: compare_attacks([1.0, 2.0], [1.0, 2.0], [1, 0], ["a"]), UsageError, "2 scores but 1 documents"),
        (
            lambda: compare_attacks([1.0, 2.0], [1.0, 2.0], [0, 0]),
            ScoresError,
            "only non-members: a comparison needs both",
        ),
        (
            lambda: compare_attacks([1.0, 2.0], [1.0, 2.0], [0, 1], confidence=0),
            UsageError,
            "`confidence` must lie between 0 and 1",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_infinite_scores_are_ordered() -> None:
    assert delong([np.inf, 0.0, -np.inf, 0.0], [1, 1, 0, 0]).value == 0.875
