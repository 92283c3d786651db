"""Figures against definitions, intervals against simulated populations whose figures are known."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.errors import LlmMiaError, ScoresError, UsageError
from llm_mia.metrics import (
    auroc,
    bootstrap_weights,
    clopper_pearson,
    confidence_gap,
    fpr_at_tpr,
    roc,
    tpr_at_fpr,
)
from llm_mia.records import Interval

Floats = NDArray[np.float64]
steady = settings(derandomize=True, deadline=None)
Draw = Callable[[np.random.Generator], Floats]
normal = NormalDist()
scored = st.lists(
    st.tuples(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e3, 1e3)), st.integers(0, 1)),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({label for _, label in rows}) == 2)
shares = st.one_of(st.sampled_from([0.1, 0.05, 0.29, 0.3, 0.5, 0.9, 0.95]), st.floats(0.01, 0.99))
SIX = [5.0, 4.0, 2.0, 3.0, 1.0, 0.0], [1, 1, 1, 0, 0, 0]


def marks(m: int, n: int) -> NDArray[np.intp]:
    return np.repeat([1, 0], [m, n])


def gaussians(m: int, n: int, distance: float) -> Draw:
    return lambda rng: rng.normal(size=m + n) + distance * marks(m, n)


def coverage(figure: Callable[[Floats], Interval], draw: Draw, truth: float, times: int) -> float:
    rng = np.random.default_rng(0)
    intervals = [figure(draw(rng)) for _ in range(times)]
    assert all(interval.low <= interval.value <= interval.high for interval in intervals)
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def least(nominal: float, times: int) -> float:
    """What a coverage of *nominal* shows in *times* simulations, less four standard errors."""
    return nominal - 4 * float(np.sqrt(nominal * (1 - nominal) / times))


# --- values -----------------------------------------------------------------------------------------------------------


@steady
@given(rows=scored)
def test_auroc_by_counting_pairs(rows: list[tuple[float, int]]) -> None:
    scores, labels = map(list, zip(*rows, strict=True))
    pairs = [(a > b) + (a == b) / 2 for a, member in rows if member for b, other in rows if not other]
    assert auroc(scores, labels).value == pytest.approx(np.mean(pairs), abs=1e-12)


def steps(rows: list[tuple[float, int]]) -> list[tuple[float, float]]:
    """(FPR, TPR) of every threshold, by counting."""
    members, others = [s for s, label in rows if label], [s for s, label in rows if not label]
    thresholds = [*sorted({s for s, _ in rows}, reverse=True), -np.inf]
    return [(sum(s > t for s in others) / len(others), sum(s > t for s in members) / len(members)) for t in thresholds]


@steady
@given(rows=scored, share=shares)
def test_rates_are_steps_of_the_roc(rows: list[tuple[float, int]], share: float) -> None:
    scores, labels = map(list, zip(*rows, strict=True))
    curve, counted = roc(scores, labels), steps(rows)
    assert list(zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True)) == counted
    assert curve.thresholds.tolist() == [*sorted(set(scores), reverse=True), -np.inf]
    assert tpr_at_fpr(scores, labels, share).value == max(tpr for fpr, tpr in counted if fpr <= share)
    assert fpr_at_tpr(scores, labels, share).value == min(fpr for fpr, tpr in counted if tpr >= share)


@pytest.mark.parametrize(("fpr", "tpr"), [(0.29, 0.29), (0.05, 0.05), (0.07, 0.07), (0.999, 0.99), (0.001, 0.0)])
def test_rounding_costs_no_step(fpr: float, tpr: float) -> None:
    scores = np.repeat(np.arange(100.0), 2)  # one member tied with each of 100 non-members
    assert tpr_at_fpr(scores, np.tile([1, 0], 100), fpr).value == tpr
    assert fpr_at_tpr(scores, np.tile([1, 0], 100), 1 - fpr).value == pytest.approx(1 - tpr)


def test_by_hand() -> None:
    scores, labels = SIX
    assert auroc(scores, labels).value == 8 / 9
    assert tpr_at_fpr(scores, labels, 0.3).value == 2 / 3
    assert tpr_at_fpr(scores, labels, 0.34).value == 1.0
    assert fpr_at_tpr(scores, labels, 0.95).value == 1 / 3
    assert auroc([1.0] * 5, [1, 1, 0, 0, 0]).value == 0.5
    assert tpr_at_fpr([1.0] * 5, [True, True, False, False, False], 0.5).value == 0.0
    assert auroc([np.inf, 0.0, -np.inf], [1, 1, 0]).value == 1.0


# --- intervals of independent passages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "value"), [(SIX, 8 / 9), (([2.0, 3, 1, 0], [1, 1, 0, 0]), 1.0), (([0, 1], [1, 0]), 0.0)]
)
def test_newcombe_solved_on_a_grid(rows: tuple[list[float], list[int]], value: float) -> None:
    # Independent of the implementation: Q1 and Q2 as Hanley and McNeil 1982 write them, all θ tried, none solved for.
    theta = np.linspace(0, 1, 1_000_001)
    m, n = rows[1].count(1), rows[1].count(0)
    others = (m + n) / 2 - 1
    q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
    variance = (theta * (1 - theta) + others * (q1 - theta**2) + others * (q2 - theta**2)) / (m * n)
    near = theta[np.abs(value - theta) <= 1.959963985 * np.sqrt(np.maximum(variance, 0)) + 1e-12]
    interval = auroc(*rows)
    assert (interval.low, interval.high) == pytest.approx((near[0], near[-1]), abs=3e-6)


@pytest.mark.parametrize(("m", "n"), [(20, 20), (100, 50)])
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.95])
def test_auroc_interval_covers(m: int, n: int, truth: float) -> None:
    draw = gaussians(m, n, normal.inv_cdf(truth) * 2**0.5)
    assert coverage(lambda s: auroc(s, marks(m, n)), draw, truth, 500) > least(0.95, 500)


def test_the_check_detects_an_interval_without_variance_of_pairs() -> None:
    def pairs_as_trials(scores: Floats) -> Interval:
        value = auroc(scores, marks(20, 20)).value
        half = 1.96 * np.sqrt(value * (1 - value) / 400)
        return Interval(value, value - half, value + half)

    assert coverage(pairs_as_trials, gaussians(20, 20, 0), 0.5, 500) < least(0.95, 500)


@pytest.mark.parametrize(("m", "n"), [(50, 50), (200, 400)])
@pytest.mark.parametrize("fpr", [0.1, 0.01])
def test_tpr_interval_covers(m: int, n: int, fpr: float) -> None:
    truth = 1 - normal.cdf(normal.inv_cdf(1 - fpr) - 1.5)
    assert coverage(lambda s: tpr_at_fpr(s, marks(m, n), fpr), gaussians(m, n, 1.5), truth, 500) > least(0.95, 500)


@pytest.mark.parametrize(("m", "n"), [(50, 50), (400, 200)])
def test_fpr_interval_covers(m: int, n: int) -> None:
    truth = 1 - normal.cdf(normal.inv_cdf(0.05) + 1.5)
    assert coverage(lambda s: fpr_at_tpr(s, marks(m, n)), gaussians(m, n, 1.5), truth, 500) > least(0.95, 500)


def test_tpr_interval_allows_for_the_threshold() -> None:
    # The worst case that the exact bound is for: TPR jumps where the FPR passes 10 %. Members are at 1 or at 2 with
    # equal chance, the upper 10 % of non-members begin at 1; so a threshold that errs low by any amount takes in the
    # other half of the members, which Clopper–Pearson at the threshold of the sample does not allow for.
    def draw(rng: np.random.Generator) -> Floats:
        members = np.where(rng.random(100) < 0.5, 1.0, 2.0)
        return np.concatenate([members, np.where(rng.random(100) < 0.1, 1 + rng.random(100), rng.random(100))])

    def threshold_taken_as_known(scores: Floats) -> Interval:
        value = tpr_at_fpr(scores, marks(100, 100), 0.1).value
        return clopper_pearson(round(100 * value), 100)

    truth = 0.5  # members above 1, which 10 % of non-members are above
    assert coverage(lambda s: tpr_at_fpr(s, marks(100, 100), 0.1), draw, truth, 500) > least(0.95, 500)
    assert coverage(threshold_taken_as_known, draw, truth, 500) < least(0.95, 500)


def test_too_few_nonmembers_leave_the_low_end_open() -> None:
    assert tpr_at_fpr(range(60, 0, -1), marks(30, 30), 0.01).low == 0
    assert tpr_at_fpr(range(800, 0, -1), marks(400, 400), 0.01).low > 0.98
    assert tpr_at_fpr(range(800, 0, -1), marks(400, 400), 0.001).low == 0


@pytest.mark.parametrize(("n", "rate"), [(10, 0.05), (50, 0.3), (200, 0.99)])
def test_clopper_pearson_covers_exactly(n: int, rate: float) -> None:
    from scipy.special import bdtr

    inside = [interval.low <= rate <= interval.high for interval in (clopper_pearson(k, n) for k in range(n + 1))]
    chance = np.diff(bdtr(np.arange(n + 1), n, rate), prepend=0.0)
    assert chance[inside].sum() >= 0.95


def test_clopper_pearson_solves_its_definition() -> None:
    from scipy.special import bdtr

    interval = clopper_pearson(7, 20, 0.9)
    assert float(bdtr(7, 20, interval.high)) == pytest.approx(0.05)
    assert 1 - float(bdtr(6, 20, interval.low)) == pytest.approx(0.05)
    assert (clopper_pearson(0, 5).low, clopper_pearson(5, 5).high) == (0.0, 1.0)


@pytest.mark.parametrize(("m", "n", "spread"), [(8, 8, 0.05), (30, 6, 0.02)])
def test_gap_interval_covers(m: int, n: int, spread: float) -> None:
    def draw(rng: np.random.Generator) -> Floats:
        return np.asarray(np.concatenate([rng.normal(0.6, spread, m), rng.normal(0.5, 0.05, n)]))

    assert coverage(lambda s: confidence_gap(s[:m], s[m:]).gap, draw, 0.1, 1000) > least(0.95, 1000)


def test_gap_interval_is_welch() -> None:
    from scipy import stats

    members, others = [0.9, 0.8, 0.85, 0.95], [0.5, 0.75, 0.4]
    gap = confidence_gap(members, others).gap
    welch = stats.ttest_ind(members, others, equal_var=False).confidence_interval()
    assert (gap.low, gap.high) == pytest.approx((welch.low, welch.high))
    assert not confidence_gap(members, others).exposed, "the gap is 0.325, its interval reaches below 0.1"


def test_gap_without_spread_is_unknown() -> None:
    assert confidence_gap([0.9], [0.1, 0.2]).gap.low == -1
    alike = confidence_gap([0.9, 0.9], [0.85, 0.85])
    assert (alike.gap.low, alike.gap.high, alike.exposed) == (-1, 1, False)


# --- documents --------------------------------------------------------------------------------------------------------


def clustered(documents: int, passages: int, distance: float) -> tuple[Draw, list[str]]:
    """Unit normal scores, half of their variance between documents; *documents* of each class."""
    names = [f"d{i}" for i in range(2 * documents) for _ in range(passages)]

    def draw(rng: np.random.Generator) -> Floats:
        shared = np.repeat(rng.normal(size=2 * documents), passages)
        scores = np.sqrt(0.5) * (shared + rng.normal(size=len(names)))
        return np.asarray(scores + distance * marks(documents * passages, documents * passages))

    return draw, names


@pytest.mark.parametrize("documents", [5, 35])
def test_auroc_interval_covers_where_passages_share_documents(documents: int) -> None:
    draw, names = clustered(documents, 6, normal.inv_cdf(0.8) * 2**0.5)
    labels = marks(documents * 6, documents * 6)
    assert coverage(lambda s: auroc(s, labels, documents=names), draw, 0.8, 100) > least(0.93, 100)
    assert coverage(lambda s: auroc(s, labels), draw, 0.8, 100) < least(0.93, 100)


def test_rates_and_gap_cover_where_passages_share_documents() -> None:
    draw, names = clustered(30, 5, 1.5)
    labels = marks(150, 150)
    tpr, fpr = 1 - normal.cdf(normal.inv_cdf(0.9) - 1.5), 1 - normal.cdf(normal.inv_cdf(0.05) + 1.5)
    assert coverage(lambda s: tpr_at_fpr(s, labels, 0.1, documents=names), draw, tpr, 60) > least(0.93, 60)
    assert coverage(lambda s: fpr_at_tpr(s, labels, documents=names), draw, fpr, 60) > least(0.93, 60)

    def gap(scores: Floats, documents: list[str] | None) -> Interval:
        shrunk = 0.5 + scores / 20
        return confidence_gap(shrunk[:150], shrunk[150:], documents=documents).gap

    assert coverage(lambda s: gap(s, names), draw, 0.075, 100) > least(0.93, 100)
    assert coverage(lambda s: gap(s, None), draw, 0.075, 100) < least(0.93, 100)


FIGURES = [auroc, lambda s, y, **more: tpr_at_fpr(s, y, 0.1, **more), fpr_at_tpr]


@pytest.mark.parametrize("figure", FIGURES)
def test_one_passage_a_document_changes_nothing(figure: Callable[..., Interval]) -> None:
    scores = np.random.default_rng(0).normal(size=40)
    assert figure(scores, marks(20, 20), documents=[str(i) for i in range(40)]) == figure(scores, marks(20, 20))


@pytest.mark.parametrize("figure", FIGURES)
def test_documents_in_both_classes(figure: Callable[..., Interval]) -> None:
    scores = np.random.default_rng(0).normal(size=200)
    names = [str(i % 25) for i in range(200)]
    both = figure(scores, marks(100, 100), documents=names)
    assert 0 <= both.low < both.value < both.high <= 1
    assert both == figure(scores, marks(100, 100), documents=names, rng=0)


def test_documents_in_both_classes_are_drawn_whole() -> None:
    # Each row of weights must be a draw of 6 documents, 2 of which have passages of both classes.
    blocks = bootstrap_weights(np.array([0, 1, 2, 3]), np.array([2, 3, 4, 5]), np.random.default_rng(0))
    members, others = next(blocks)
    assert (members[:, 2:] == others[:, :2]).all()
    assert (members.sum(axis=1) + others[:, 2:].sum(axis=1) == 6).all()
    assert len(np.unique(members.sum(axis=1))) > 3  # not stratified: class sizes vary


def test_a_class_that_most_draws_lose_leaves_both_ends_open() -> None:
    # Two documents hold all members, and one also holds non-members: a joint draw of 30 misses both in 1 of 8.
    names = ["a", "a", "b", "b", *[str(i // 2) for i in range(56)]]
    labels = [1, 0, 1, 1, *[0] * 56]
    interval = auroc(np.random.default_rng(0).normal(size=60), labels, documents=names)
    assert (interval.low, interval.high) == (0, 1)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_single_document_in_a_class_leaves_the_interval_open(figure: Callable[..., Interval]) -> None:
    interval = figure(range(60, 0, -1), marks(30, 30), documents=["a"] * 30 + [str(i) for i in range(30)])
    assert (interval.low, interval.high) == (0, 1)
    gap = confidence_gap([0.9, 0.8], [0.1, 0.2], documents=["a", "a", "b", "c"]).gap
    assert (gap.low, gap.high) == (-1, 1)


def test_perfect_separation_is_not_certainty() -> None:
    # No resample of documents can show an error here; forty documents a class are evidence of forty, not of 4,000.
    names = [str(i // 100) for i in range(8000)]
    by_document = auroc(range(8000, 0, -1), marks(4000, 4000), documents=names)
    assert (by_document.value, by_document.high) == (1, 1)
    assert by_document.low == pytest.approx(auroc(range(80, 0, -1), marks(40, 40)).low)


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, labels, names = rng.normal(size=400), np.tile([1, 0], 200), np.array([str(i // 4) for i in range(400)])
    turned = rng.permutation(400)
    first = auroc(scores, labels, documents=names.tolist())
    again = auroc(scores[turned], labels[turned], documents=names[turned].tolist())
    assert (first.low, first.high) == pytest.approx((again.low, again.high))


def test_twenty_thousand_passages_in_seconds() -> None:
    scores = np.random.default_rng(0).normal(size=20_000)
    names = [str(i // 4) for i in range(20_000)]
    began = time.process_time()
    auroc(scores, marks(10_000, 10_000), documents=names)
    assert time.process_time() - began < 3


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: auroc([], []), ScoresError, "there are no scores: AUROC needs members and non-members"),
        (lambda: auroc([1.0, 2.0], [0, 0]), ScoresError, "only non-members: AUROC needs both"),
        (lambda: roc([1.0, 2.0], [1, 1]), ScoresError, "only members: a ROC needs both"),
        (lambda: auroc([1.0, 2.0], [0, 1, 1]), UsageError, "2 scores but 3 labels"),
        (
            lambda: auroc([np.nan, 2.0, np.nan, np.nan], [0, 1, 1, 0]),
            ScoresError,
            "3 scores are NaN, at positions 0, 2, 3",
        ),
        (lambda: auroc([1.0, 2.0], [0, 2]), ScoresError, "1 labels are neither 0 nor 1, the first 2"),
        (lambda: auroc([1.0, 2.0], ["yes", "no"]), ScoresError, "2 labels are neither 0 nor 1, the first 'yes'"),
        (lambda: auroc([1.0, 2.0], np.array([None, 1])), ScoresError, "1 labels are neither 0 nor 1, the first None"),
        (lambda: auroc([1.0, 2.0], [0, 1], documents=["a"]), UsageError, "2 scores but 1 documents"),
        (lambda: auroc([1.0, 2.0], [0, 1], confidence=1.0), UsageError, "`confidence` must lie between 0 and 1"),
        (lambda: tpr_at_fpr([1.0, 2.0], [0, 1], 0.0), UsageError, "`fpr` must lie between 0 and 1"),
        (lambda: fpr_at_tpr([1.0, 2.0], [0, 1], 1.0), UsageError, "`tpr` must lie between 0 and 1"),
        (lambda: clopper_pearson(3, 2), UsageError, "3 of 2 is not a share"),
        (lambda: clopper_pearson(0, 0), UsageError, "0 of 0 is not a share"),
        (lambda: confidence_gap([], [0.5]), ScoresError, "only non-members: a confidence gap needs both"),
        (lambda: confidence_gap([0.5, 1.5], [-0.5]), ScoresError, r"2 confidences lie outside 0\.\.1"),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
