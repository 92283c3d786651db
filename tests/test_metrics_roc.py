"""A ROC that is kept in a record or drawn: fewer points, and the band around it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from llm_mia.errors import UsageError
from llm_mia.metrics import auroc, roc, roc_points, tpr_at_fpr, tpr_at_fprs


def draw(m: int, n: int, shift: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(shift, 1, m), rng.normal(0, 1, n)]), np.repeat([1, 0], [m, n])


def area(fpr: tuple[float, ...], tpr: tuple[float, ...]) -> float:
    return float(np.trapezoid(tpr, fpr))


@pytest.mark.parametrize("decimals", [9, 1])
def test_few_points_lie_on_the_roc_and_keep_its_ends(decimals: int) -> None:
    values, labels = draw(3000, 4000, 0.4)
    values = values.round(decimals)  # with a decimal, members and non-members tie
    points, curve = roc_points(values, labels), roc(values, labels)
    assert len(points.fpr) == len(points.tpr) <= 200
    assert (points.fpr[0], points.tpr[0], points.fpr[-1], points.tpr[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(points.fpr) >= 0)
    assert np.all(np.diff(points.tpr) >= 0)
    on_curve = set(zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True)) | {(0.0, 0.0)}
    assert set(zip(points.fpr, points.tpr, strict=True)) <= on_curve
    # 200 points along log FPR + log TPR, which spans at most log(2 · 4000) + log(2 · 3000) = 17.7: neighbours are at
    # most 0.09 apart plus a step, so no rate is more than a tenth off.
    for rate in (0.001, 0.01, 0.1, 0.5):
        kept = max(tpr for fpr, tpr in zip(points.fpr, points.tpr, strict=True) if fpr <= rate)
        exact = float(curve.tpr[curve.fpr <= rate].max())
        assert 0.89 * exact - 1 / 3000 <= kept <= exact


def test_points_that_are_left_out_of_straight_runs_change_no_area() -> None:
    values, labels = draw(60, 80, 0.5)
    points = roc_points(values, labels)
    assert len(points.fpr) < 141
    assert area(points.fpr, points.tpr) == pytest.approx(auroc(values, labels).value, abs=1e-12)


def test_a_ramp_of_ties_is_no_straight_run() -> None:
    """A planted fault: a rule that leaves out every point between its neighbours would lose the AUROC of ties."""
    values, labels = np.repeat([3.0, 2.0, 1.0], [4, 4, 4]), np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1])
    points = roc_points(values, labels)
    assert points.fpr == (0.0, 1 / 6, 0.5, 1.0)
    assert area(points.fpr, points.tpr) == pytest.approx(auroc(values, labels).value, abs=1e-12)


def test_a_single_point_is_no_roc() -> None:
    with pytest.raises(UsageError, match="`most`"):
        roc_points([1.0, 2.0], [0, 1], 1)


RATES = [0.002, 0.01, 0.05, 0.3, 0.9]


@pytest.mark.parametrize("passages", [1, 4, 12])
def test_the_band_is_the_interval_at_each_rate(passages: int) -> None:
    values, labels = draw(48, 72, 0.7, seed=passages)  # with 12 passages a document there are 4 documents of members
    documents = [f"{label}-{row // passages}" for row, label in enumerate(labels.tolist())]
    band = tpr_at_fprs(values, labels, RATES, documents=documents)
    single = [tpr_at_fpr(values, labels, rate, documents=documents) for rate in RATES]
    assert [at.value for at in band] == [at.value for at in single]
    assert [at.low for at in band] == [min(at.low for at in single[place:]) for place in range(len(RATES))]
    assert [at.high for at in band] == [max(at.high for at in single[: place + 1]) for place in range(len(RATES))]


def test_a_band_whose_lower_end_would_fall_is_widened() -> None:
    """Where all resamples agree on a TPR of 1, the interval of a passage per document counts, which is wider."""
    values = np.array([*np.repeat(9.0, 59), 1.5, *np.repeat(np.arange(20.0) / 5, 2)])
    documents = [*(f"m{row // 5}" for row in range(60)), *(f"n{row // 2}" for row in range(40))]
    labels, rates = np.repeat([1, 0], [60, 40]), [0.9, 0.05, 0.4]  # in any order
    highest, _, middle = (tpr_at_fpr(values, labels, rate, documents=documents) for rate in rates)
    assert highest.low < middle.low
    ends = {
        rate: at.low for rate, at in zip(rates, tpr_at_fprs(values, labels, rates, documents=documents), strict=True)
    }
    assert ends[0.05] <= ends[0.4] == ends[0.9] == highest.low


def test_the_band_holds_the_roc_at_each_rate_as_often_as_it_says() -> None:
    draws, inside = 200, np.zeros(len(RATES))
    truth = norm.sf(norm.isf(RATES) - 0.7)
    for seed in range(draws):
        values, labels = draw(30, 40, 0.7, seed=seed)
        band = tpr_at_fprs(values, labels, RATES)
        ends = np.array([(at.low, at.high) for at in band])
        assert np.all(np.diff(ends, axis=0) >= 0)
        inside += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    # 4 standard errors of a share of 95 % in 200 draws.
    assert np.all(inside / draws >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / draws))


def test_fewer_resamples_of_many_passages_give_nearly_the_same_band() -> None:
    values, labels = draw(1500, 1500, 0.7)
    documents = [f"{label}-{row // 30}" for row, label in enumerate(labels.tolist())]
    (rough,) = tpr_at_fprs(values, labels, [0.05], documents=documents)
    fine = tpr_at_fpr(values, labels, 0.05, documents=documents)
    assert rough.value == fine.value
    # 1,333 resamples in place of 2,000. The 2.5 % quantile of r normal figures has a standard error of
    # √(0.025 · 0.975 / r) / 0.058 = 0.074 standard deviations at r = 1,333, and the two share no draws: 4 · 0.095.
    spread = (fine.high - fine.low) / 3.92
    assert abs(rough.low - fine.low) < 0.38 * spread
    assert abs(rough.high - fine.high) < 0.38 * spread
