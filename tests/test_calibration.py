"""Each guarantee is held by a check that simulates it, and each check is shown to fail on a planted fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from numpy.typing import ArrayLike, NDArray

from llm_mia.calibration import (
    benjamini_hochberg,
    conformal_p_values,
    fdr_floor,
    fpr_bound,
    fpr_threshold,
    nonmembers_needed,
)
from llm_mia.decision import (
    Calibration,
    Guarantee,
    GuaranteeKind,
    Origin,
    calibrate,
    calibration_from_json,
    calibration_to_json,
)
from llm_mia.errors import CalibrationError, InputError, LlmMiaError, UsageError
from llm_mia.records import SCHEMA_VERSION
from llm_mia.scores import ScoreTable

Floats = NDArray[np.float64]
steady = settings(derandomize=True, deadline=None)
LEVELS = 10  # distinct scores in the simulations with ties
rates = st.one_of(
    st.sampled_from([0.05, 0.01, 0.1, 0.2, 0.29, 0.3, 0.35, 0.07, 1 / 3, 2 / 3]),
    st.floats(0.001, 0.999),
)
tied = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60)
continuous = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def draw(rng: np.random.Generator, size: int, ties: bool) -> Floats:
    return rng.integers(LEVELS, size=size).astype(np.float64) if ties else rng.random(size)


def excess(figures: Floats, bound: float) -> float:
    """Standard errors by which the mean of independent *figures* exceeds *bound*."""
    return float((figures.mean() - bound) / max(figures.std(ddof=1) / np.sqrt(len(figures)), 1e-12))


# --- FPR --------------------------------------------------------------------------------------------------------------


def fpr_excess(threshold: Callable[[Floats, float], float], n: int, alpha: float, ties: bool) -> float:
    """Standard errors by which the mean true FPR of 1,000 calibrations exceeds *alpha*; each is known exactly."""
    rng = np.random.default_rng(0)
    chosen = np.array([threshold(draw(rng, n, ties), alpha) for _ in range(1000)])
    true_fpr = np.clip((LEVELS - 1 - chosen) / LEVELS, 0, 1) if ties else 1 - np.clip(chosen, 0, 1)
    return excess(true_fpr, alpha)


@pytest.mark.parametrize(("n", "alpha"), [(99, 0.05), (200, 0.01), (57, 0.1), (1000, 0.001)])
@pytest.mark.parametrize("ties", [False, True])
def test_realised_fpr_is_at_most_the_requested_fpr(n: int, alpha: float, ties: bool) -> None:
    assert fpr_excess(fpr_threshold, n, alpha, ties) < 4


def bound_excess(bound: Callable[[int, float], float], n: int, alpha: float, ties: bool) -> float:
    """Standard errors by which more than 5 % of 4,000 calibrations realise a rate above *bound*."""
    rng = np.random.default_rng(1)
    chosen = np.array([fpr_threshold(draw(rng, n, ties), alpha) for _ in range(4000)])
    true_fpr = np.clip((LEVELS - 1 - chosen) / LEVELS, 0, 1) if ties else 1 - np.clip(chosen, 0, 1)
    return excess((true_fpr > bound(n, alpha)).astype(np.float64), 0.05)


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (99, 0.05), (200, 0.01), (57, 0.1)])
@pytest.mark.parametrize("ties", [False, True])
def test_at_most_5_percent_of_calibrations_exceed_the_bound(n: int, alpha: float, ties: bool) -> None:
    assert bound_excess(fpr_bound, n, alpha, ties) < 4
    assert ties or bound_excess(fpr_bound, n, alpha, ties) > -4, "without ties the bound is exact"


def test_the_check_detects_the_requested_rate_taken_for_a_bound() -> None:
    assert bound_excess(lambda n, alpha: alpha, 99, 0.05, False) > 4


def test_without_ties_the_fpr_is_used_up() -> None:
    assert fpr_excess(fpr_threshold, 99, 0.05, ties=False) > -4


def test_the_check_detects_a_threshold_one_order_statistic_low() -> None:
    def next_lower(scores: Floats, alpha: float) -> float:
        return float(np.sort(scores)[len(scores) - 1 - int(alpha * (len(scores) + 1) + 1e-9)])

    assert fpr_excess(next_lower, 99, 0.05, ties=False) > 4


def super_uniformity_excess(p_values: Callable[[Floats, Floats], Floats], ties: bool) -> float:
    """Largest excess of P(p ≤ u) over u in standard errors, for u = 0.01 … 0.5, over 2,000 calibrations of 99."""
    rng = np.random.default_rng(1)
    drawn_p_values = np.array([p_values(draw(rng, 1, ties), draw(rng, 99, ties))[0] for _ in range(2000)])
    grid = np.arange(1, 51) / 100
    share = (drawn_p_values[:, None] <= grid).mean(axis=0)
    return float(np.max((share - grid) / np.sqrt(grid * (1 - grid) / 2000)))


@pytest.mark.parametrize("ties", [False, True])
def test_p_values_are_super_uniform(ties: bool) -> None:
    assert super_uniformity_excess(conformal_p_values, ties) < 4


def test_the_check_detects_ties_counted_for_the_candidate() -> None:
    def strictly_above(scores: Floats, calibration: Floats) -> Floats:
        return np.asarray((1 + (calibration > scores[:, None]).sum(axis=1)) / (len(calibration) + 1))

    assert super_uniformity_excess(strictly_above, ties=False) < 4
    assert super_uniformity_excess(strictly_above, ties=True) > 4


@steady
@given(scores=st.one_of(tied, continuous), calibration=st.one_of(tied, continuous))
def test_p_values_by_counting(scores: list[float], calibration: list[float]) -> None:
    counted = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    assert conformal_p_values(scores, calibration).tolist() == counted


@steady
@given(data=st.data(), fpr=rates)
def test_above_the_threshold_exactly_where_the_p_value_is_small(data: st.DataObject, fpr: float) -> None:
    needed = nonmembers_needed(fpr)
    values = data.draw(st.sampled_from([st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)]))
    calibration = data.draw(st.lists(values, min_size=min(needed, 200), max_size=200))
    scores = np.array(data.draw(st.lists(values, max_size=20)) + calibration)
    if len(calibration) < needed:
        with pytest.raises(CalibrationError):
            fpr_threshold(calibration, fpr)
    else:
        flagged = scores > fpr_threshold(calibration, fpr)
        assert flagged.tolist() == (conformal_p_values(scores, calibration) <= fpr).tolist()


@pytest.mark.parametrize(
    ("n", "fpr", "k"), [(99, 0.05, 5), (99, 0.29, 29), (57, 0.1, 5), (999, 0.001, 1), (2, 1 / 3, 1)]
)
def test_threshold_is_the_kth_largest(n: int, fpr: float, k: int) -> None:
    assert fpr_threshold(np.arange(n), fpr) == n - k


@steady
@given(fpr=st.one_of(rates, st.integers(2, 10**6).map(lambda n: 1 / n)))
def test_fewest_nonmembers(fpr: float) -> None:
    n = nonmembers_needed(fpr)
    assert 1 / (n + 1) <= fpr < 1 / n


def test_no_p_value_for_nan_and_the_ends_for_infinities() -> None:
    p = conformal_p_values([np.nan, np.inf, -np.inf], [1.0, 2.0, 3.0])
    assert np.isnan(p[0])
    assert p[1:].tolist() == [0.25, 1.0]


# --- FDR --------------------------------------------------------------------------------------------------------------


def fdr_excess(q_values: Callable[[Floats], Floats], fdr: float, members: int) -> float:
    """Standard errors by which the mean false discovery proportion exceeds fdr·(share of non-members).

    50 candidates share one calibration set of 999, 1,000 times.
    """
    rng = np.random.default_rng(2)
    truth = np.arange(50) < members
    false_share = np.zeros(1000)
    for i in range(1000):
        scores = rng.normal(size=50) + 3 * truth
        taken = q_values(conformal_p_values(scores, rng.normal(size=999))) <= fdr
        false_share[i] = (taken & ~truth).sum() / max(1, taken.sum())
    return excess(false_share, fdr * float(1 - truth.mean()))


@pytest.mark.parametrize("members", [0, 5, 25])
@pytest.mark.parametrize("fdr", [0.05, 0.2])
def test_false_discoveries_among_candidates_that_share_a_calibration_set(fdr: float, members: int) -> None:
    assert fdr_excess(benjamini_hochberg, fdr, members) < 4


def test_the_check_detects_p_values_taken_unadjusted() -> None:
    assert fdr_excess(lambda p: p, 0.2, 5) > 4


@steady
@example(numerators=[10, 10, 10], percent=5)  # 0.05 · 3 / 3 is 0.05000000000000001
@given(numerators=st.lists(st.integers(1, 200), min_size=1, max_size=40), percent=st.integers(1, 50))
def test_q_values_reject_what_the_step_up_procedure_rejects(numerators: list[int], percent: int) -> None:
    # In exact fractions, against the definition; p-values are k/200 and the level is percent/100.
    m, level = len(numerators), Fraction(percent, 100)
    exact = [Fraction(k, 200) for k in numerators]
    passing = [j for j in range(1, m + 1) if sorted(exact)[j - 1] <= j * level / m]
    rejected = [p <= sorted(exact)[passing[-1] - 1] if passing else False for p in exact]
    q = benjamini_hochberg([k / 200 for k in numerators])
    assert (q <= percent / 100).tolist() == rejected


@steady
@given(p=st.lists(st.floats(0, 1), max_size=30))
def test_q_values_by_definition(p: list[float]) -> None:
    m = len(p)
    slow = [min([1.0, *(t * m / sum(x <= t for x in p) for t in p if t >= p_value)]) for p_value in p]
    assert benjamini_hochberg(p).tolist() == pytest.approx(slow, rel=1e-11)


def test_nan_stays_and_does_not_count() -> None:
    q = benjamini_hochberg([0.01, np.nan, 0.04])
    assert np.isnan(q[1])
    assert q[[0, 2]].tolist() == [0.02, 0.04]
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert benjamini_hochberg([]).shape == (0,)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.inf])
def test_p_values_outside_the_unit_interval(p: float) -> None:
    with pytest.raises(UsageError, match=r"1 of \d p-values lie outside"):
        benjamini_hochberg([p, 0.5])


@steady
@given(n=st.integers(1, 3000), m=st.integers(1, 60), fdr=st.sampled_from([0.01, 0.05, 0.1, 0.2, 1 / 3]))
def test_the_floor_is_where_discoveries_begin(n: int, m: int, fdr: float) -> None:
    least = 1 / (n + 1)
    counts = [k for k in range(1, m + 1) if benjamini_hochberg([least] * k + [1.0] * (m - k))[0] <= fdr]
    if counts:
        assert fdr_floor(n, m, fdr) == counts[0]
    else:
        with pytest.raises(CalibrationError, match=f": {nonmembers_needed(fdr)} are needed"):
            fdr_floor(n, m, fdr)


@pytest.mark.parametrize("m", [1, 7, 49, 98, 103, 1000])
def test_a_lone_discovery_takes_exactly_m_over_q_less_one(m: int) -> None:
    assert fdr_floor(20 * m - 1, m, 0.05) == 1
    assert m == 1 or fdr_floor(20 * m - 2, m, 0.05) == 2
    assert benjamini_hochberg([1 / (20 * m)] + [1.0] * (m - 1))[0] <= 0.05


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fpr_threshold([], 0.1), CalibrationError, "there are no calibration scores"),
        (lambda: conformal_p_values([1.0], []), CalibrationError, "there are no calibration scores"),
        (
            lambda: conformal_p_values([1.0], [np.nan, np.inf, 1.0]),
            InputError,
            "2 of 3 calibration scores are NaN or infinite",
        ),
        (lambda: fpr_threshold([[1.0]], 0.1), UsageError, r"an array of shape \(1, 1\)"),
        (
            lambda: fpr_threshold(range(298), 0.001),
            CalibrationError,
            "298 non-members cannot certify FPR ≤ 0.001: at least 999 are needed",
        ),
        (lambda: fpr_threshold([1.0], 0.0), UsageError, "`fpr` must lie between 0 and 1"),
        (lambda: fpr_threshold([1.0], 1.0), UsageError, "`fpr` must lie between 0 and 1"),
        (lambda: fpr_threshold([1.0], float("nan")), UsageError, "`fpr` must lie between 0 and 1"),
        (lambda: fdr_floor(10, 10, 2.0), UsageError, "`fdr` must lie between 0 and 1"),
        (
            lambda: fdr_floor(0, 10, 0.1),
            CalibrationError,
            "an FDR needs non-members and candidates: there are 0 and 10",
        ),
        (
            lambda: calibration_of([2.0] * 30),
            CalibrationError,
            "all 30 scores of known non-members equal 2, so min_k:k=0.1 cannot distinguish",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# --- the artefact -----------------------------------------------------------------------------------------------------


def calibration_of(scores: ArrayLike, n_documents: int = 9) -> Calibration:
    values = np.asarray(scores, dtype=np.float64)
    documents = [f"Ünï {i % n_documents}" for i in range(len(values))]
    table = ScoreTable.of({"min_k:k=0.1": values}, [0] * len(values), documents=documents)
    return calibrate(table, "min_k:k=0.1", fpr=0.1)


def test_what_a_calibration_holds() -> None:
    calibration = calibration_of([3.0, 1.0, 2.0, *range(10, 30)], n_documents=23)
    assert (calibration.n, calibration.n_documents, calibration.documents) == (23, 23, ())
    assert calibration.threshold == fpr_threshold(calibration.scores, 0.1) == 28
    assert calibration.scores[:3] == (1.0, 2.0, 3.0)
    assert calibration.guarantee == Guarantee(GuaranteeKind.MARGINAL)
    shared = calibration_of([3.0, 1.0, 2.0, *range(10, 30)], n_documents=9)
    assert (shared.n, shared.n_documents, shared.scores) == (23, 9, calibration.scores)
    assert shared.documents[:5] == (0, 1, 2, 3, 4), "d1, d2, d0, d3, d4: numbered in the order of the scores"
    assert shared.documents[9:12] == (2, 0, 1)
    assert shared.threshold == 29, "9 documents for 10 %: a passage must be above every passage of all of them"
    assert shared.guarantee == Guarantee(GuaranteeKind.MARGINAL, by_document=True)
    assert calibration.origin is None


@steady
@given(scores=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=9, max_size=30, unique=True))
def test_round_trip_is_exact(scores: list[float]) -> None:
    calibration = replace(calibration_of(scores), origin=Origin(shared={"neighbours": {"by": "Ünï", "passes": 3}}))
    assert calibration_from_json(calibration_to_json(calibration)) == calibration


GUARANTEE = {
    "kind": "marginal",
    "confidence": None,
    "by_document": True,
    "by_category": False,
    "pooled": False,
    "pooled_by_size": False,
}


def edited(**changes: object) -> str:
    document = {**json.loads(calibration_to_json(calibration_of(range(20)))), **changes}
    return json.dumps({key: value for key, value in document.items() if value != "gone"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON, so it is not a calibration"),
        ("[" * 100_000, "is not JSON, so it is not a calibration"),
        ("[1]", "is not a calibration"),
        ("{}", "names no schema version"),
        (edited(schema_version=1), f"has schema version 1, and this release reads {SCHEMA_VERSION}"),
        (edited(fpr="gone", n="gone"), "'fpr' is missing"),
        (edited(note="x"), "note"),
        (edited(n=21), "n should be 20, not 21"),
        (edited(threshold=3.0), "threshold should be 19.0, not 3.0"),
        (edited(fpr=0.2), "threshold should be 17.0, not 19.0"),
        (edited(fpr=0.01), "9 documents of non-members, with 20 passages, cannot certify FPR ≤ 0.01: at least 99"),
        (edited(documents=[]), "should be"),
        (edited(documents=[*range(20)]), "should be"),
        (edited(documents=[0, 1]), "20 calibration scores but 2 documents"),
        (edited(documents=[*range(9), *range(8, -1, -1), 0, 1]), "edited after it was written"),
        (edited(documents=[str(i % 9) for i in range(20)]), "is not a whole number|is not of type int"),
        (edited(guarantee={**GUARANTEE, "by_category": True}), "guarantee should be"),
        (edited(scores=[*range(19, -1, -1)]), "the scores are not ascending"),
        (edited(scores=[*range(19)]), "19 calibration scores but 20 documents"),
        (edited(scores=[*range(19), float("nan")]), "1 of 20 calibration scores are NaN"),
        (edited(scores=["a"]), "'a' is not a number"),
        (edited(scores=None), "cannot be read as a calibration"),
        (edited(fpr=None), "None is not a number"),
        (edited(fpr="0.1"), "'0.1' is not a number"),
        (edited(attack=5), "5 is not of type str"),
        (edited(selection=None), "cannot be read as a calibration"),
        (edited(n_documents=10), "n_documents should be 9, not 10"),
        (edited(n_documents=10**400), "n_documents should be 9"),
    ],
)
def test_a_calibration_whose_figures_do_not_follow_from_its_scores_is_refused(text: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message) as caught:
        calibration_from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
