"""A ROC that is kept in a record or drawn: fewer points, and the band around it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.errors import UsageError
from llm_mia.metrics import auroc, roc, roc_points


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
