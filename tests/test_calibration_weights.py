"""A calibration set from elsewhere: p-values with the true weights and with estimated ones, and q-values for any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.calibration import (
    benjamini_hochberg,
    benjamini_yekutieli,
    conformal_p_values,
    fit_of_ratio,
    likelihood_ratio_weights,
    weighted_p_values,
)
from llm_mia.errors import CalibrationError, InputError, LlmMiaError, UsageError

Floats = NDArray[np.float64]
PValues = Callable[[Floats, Floats, Floats, Floats], Floats]
steady = settings(derandomize=True, deadline=None)
GRID = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.5])


def excess(figures: Floats, bound: float) -> float:
    """Standard errors by which the mean of independent *figures* exceeds *bound*."""
    return float((figures.mean() - bound) / max(figures.std(ddof=1) / np.sqrt(len(figures)), 1e-12))


# --- with known weights -----------------------------------------------------------------------------------------------


def ratio(lengths: Floats) -> Floats:
    """Density of N(1, 1) over that of N(0, 1), times a factor that must not matter."""
    return np.asarray(7 * np.exp(lengths - 0.5))


def shifted_excess(p_values: PValues, ties: bool, n: int = 50) -> float:
    """Largest excess of P(p ≤ u) over u, in standard errors, where candidates are longer and longer ones score more."""
    rng, results = np.random.default_rng(0), []
    for _ in range(3000):
        known, new = rng.normal(0, 1, n), rng.normal(1, 1, 1)
        scores, candidates = (length + rng.normal(size=len(length)) for length in (known, new))
        if ties:
            scores, candidates = np.round(scores), np.round(candidates)
        results.append(p_values(candidates, ratio(new), scores, ratio(known))[0] <= GRID)
    shares = np.array(results, dtype=np.float64)
    return max(excess(shares[:, i], u) for i, u in enumerate(GRID))


@pytest.mark.parametrize("ties", [False, True])
def test_with_the_true_weights_p_values_are_super_uniform(ties: bool) -> None:
    assert shifted_excess(weighted_p_values, ties) < 4


def test_the_check_detects_equal_weights_a_missing_weight_and_ties_counted_for_the_candidate() -> None:
    def own_left_out(scores: Floats, own_weights: Floats, known: Floats, weights: Floats) -> Floats:
        return np.array([weights[known >= score].sum() / weights.sum() for score in scores])

    def strictly_above(scores: Floats, own_weights: Floats, known: Floats, weights: Floats) -> Floats:
        return np.array([(weights[known > scores[0]].sum() + own_weights[0]) / (weights.sum() + own_weights[0])])

    def unweighted(scores: Floats, own_weights: Floats, known: Floats, weights: Floats) -> Floats:
        return conformal_p_values(scores, known)

    assert shifted_excess(unweighted, ties=False) > 4
    assert shifted_excess(own_left_out, ties=False) > 4
    assert shifted_excess(strictly_above, ties=True) > 4


numbers = st.integers(-4, 4).map(float)
weighing = st.integers(1, 6).map(float)


@steady
@given(
    candidates=st.lists(st.tuples(numbers, weighing), max_size=8),
    known=st.lists(st.tuples(numbers, weighing), min_size=1, max_size=12),
)
def test_by_counting(candidates: list[tuple[float, float]], known: list[tuple[float, float]]) -> None:
    scores, own_weights = [score for score, _ in candidates], [weight for _, weight in candidates]
    calibration, weights = zip(*known, strict=True)
    results = weighted_p_values(scores, own_weights, calibration, weights).tolist()
    total = sum(weights)
    assert results == [(sum(w for c, w in known if c >= s) + own_w) / (total + own_w) for s, own_w in candidates]
    same = weighted_p_values(scores, [0.3] * len(scores), calibration, [0.3] * len(known))
    assert same == pytest.approx(conformal_p_values(scores, calibration))
    repeated = [c for c, w in known for _ in range(int(w))]
    ones = weighted_p_values(scores, [1.0] * len(scores), calibration, weights)
    assert ones.tolist() == conformal_p_values(scores, repeated).tolist(), "a weight of 3 is as good as 3 of its kind"


def test_equal_scores_have_p_value_1() -> None:
    assert weighted_p_values([7.0], [0.3], [7.0] * 5, [0.1, 0.7, 0.0, 2.0, 1e-9]).tolist() == [1.0]


# --- with estimated weights -------------------------------------------------------------------------------------------


def fitted_share(weigh: bool) -> float:
    """P(p ≤ 0.1) of non-members whose lengths are another mixture than those of the calibration set."""
    rng, results = np.random.default_rng(3), []
    for draw in range(25):
        known, new = rng.normal(0, 1, 400), rng.normal(0.8, 1, 300)
        scores, candidates = (length + rng.normal(size=len(length)) for length in (known, new))
        if weigh:
            documents = [f"{draw} {i // 2}" for i in range(700)]
            fitted = likelihood_ratio_weights(known[:, None], new[:, None], documents, seed=draw)
            results.append(weighted_p_values(candidates, fitted.candidates, scores, fitted.calibration) <= 0.1)
        else:
            results.append(conformal_p_values(candidates, scores) <= 0.1)
    return float(np.mean(results))


def test_with_estimated_weights_p_values_are_nearly_super_uniform() -> None:
    assert fitted_share(weigh=True) < 0.12
    assert fitted_share(weigh=False) > 0.2, "and the check notices when none are used"


def shares_of_squares(check_fit: bool) -> list[float]:
    """P(p ≤ 0.1) of non-members whose lengths have the same mean and another spread, of each draw that is not refused.

    The score grows with the distance of the length from its mean. The true ratio is the exponential of a square.
    """
    rng, results = np.random.default_rng(4), []
    for draw in range(12):
        known, new = rng.normal(0, 1, 400), rng.normal(0, 1.6, 300)
        scores, candidates = (np.abs(length) + 0.3 * rng.normal(size=len(length)) for length in (known, new))
        names = [f"{draw} {i}" for i in range(700)]
        try:
            fitted = likelihood_ratio_weights(known[:, None], new[:, None], names, seed=draw, check_fit=check_fit)
        except CalibrationError:
            continue
        p_values = weighted_p_values(candidates, fitted.candidates, scores, fitted.calibration)
        results.append(float((p_values <= 0.1).mean()))
    return results


def test_a_ratio_that_is_not_log_linear_is_refused_because_its_weights_do_not_hold_the_rate() -> None:
    unchecked = shares_of_squares(check_fit=False)
    assert np.mean(unchecked) > 0.2, "the planted fault: without the test 10 % becomes more than 20 %"
    assert shares_of_squares(check_fit=True) == []
    rng = np.random.default_rng(4)
    known, new, names = rng.normal(0, 1, (400, 1)), rng.normal(0, 1.6, (300, 1)), list(map(str, range(700)))
    with pytest.raises(
        CalibrationError, match=r"not log-linear in the features: the square of feature 0 is missing .*add it"
    ):
        likelihood_ratio_weights(known, new, names)
    squared = likelihood_ratio_weights(np.hstack([known, known**2]), np.hstack([new, new**2]), names)
    assert squared.fit.p_value > 0.01, "with the square as a feature, as the message advises, the ratio is log-linear"


def test_a_log_linear_ratio_is_refused_as_rarely_as_the_level_allows_with_and_without_shared_documents() -> None:
    rng, p_values = np.random.default_rng(5), []
    for draw in range(60):
        per = 1 + 3 * (draw % 2)
        features = np.repeat(np.concatenate([rng.normal(0, 1, (90, 2)), rng.normal(0.5, 1, (60, 2))]), per, axis=0)
        documents = [f"d{i // per}" for i in range(len(features))]
        p_values.append(fit_of_ratio(features, np.arange(len(features)) >= 90 * per, documents, draw).p_value)
    # With probability 0.999 at most 9 of 60 are below 0.05 (binomial).
    assert sum(p <= 0.05 for p in p_values) <= 9

    def by_passage(draw: int) -> float:
        features = np.repeat(np.random.default_rng(draw).normal(size=(40, 1)), 20, axis=0)
        return fit_of_ratio(features, np.arange(800) >= 480, [str(i) for i in range(800)]).p_value

    assert sum(by_passage(draw) <= 0.05 for draw in range(10)) > 5, "copies that count as documents are noticed"


def test_features_with_two_values_leave_nothing_to_test_and_their_product_is_tested() -> None:
    rng = np.random.default_rng(6)
    language = rng.integers(0, 2, (600, 1)).astype(np.float64)
    names = [str(i) for i in range(600)]
    assert fit_of_ratio(language, np.arange(600) >= 300, names).p_value == 1
    both = np.column_stack([language[:, 0], np.where(np.arange(600) >= 300, language[:, 0], 1 - language[:, 0])])
    fit = fit_of_ratio(both, np.arange(600) >= 300, names)
    assert (fit.p_value <= 0.001, fit.worst) == (True, "the product of features 0 and 1")


def test_estimated_weights_are_the_density_ratio_within_a_few_percent() -> None:
    rng = np.random.default_rng(0)
    known, new = rng.normal(0, 1, (3000, 1)), rng.normal(0.7, 1, (1500, 1))
    fitted = likelihood_ratio_weights(1000 * known - 5, 1000 * new - 5, [f"d{i}" for i in range(4500)])
    for lengths, weights in ((known, fitted.calibration), (new, fitted.candidates)):
        errors = np.log(weights) - (0.7 * lengths[:, 0] - 0.245)
        assert np.abs(errors).max() < 0.35
        assert np.abs(errors).mean() < 0.08
    assert fitted.calibration.mean() == pytest.approx(1, abs=0.05)
    # E(w)² / E(w²) = exp(−0.49) of 3,000 in the limit
    assert fitted.effective_n == pytest.approx(3000 * np.exp(-0.49), rel=0.1)
    assert fitted.clipped <= 5


def test_ratios_beyond_twenty_are_cut_back_and_counted() -> None:
    rng = np.random.default_rng(0)
    known, new = rng.normal(0, 1, (200, 2)), rng.normal(6, 1, (200, 2))
    fitted = likelihood_ratio_weights(known, new, [str(i) for i in range(400)])
    assert fitted.clipped > 300
    assert (fitted.calibration.min(), fitted.candidates.max()) == (0.05, 20.0)


def test_no_passage_weighs_by_a_fit_to_its_own_document() -> None:
    """Two features by which each document would be memorised if its other passage were in the fit."""
    rng = np.random.default_rng(1)
    marks = np.repeat(rng.normal(size=(60, 40)), 2, axis=0)
    documents = [f"d{i // 2}" for i in range(120)]
    apart, together = (
        likelihood_ratio_weights(marks[:60], marks[60:], names) for names in (documents, list(map(str, range(120))))
    )
    assert np.log(together.candidates).mean() - np.log(together.calibration).mean() > 1
    assert abs(np.log(apart.candidates).mean() - np.log(apart.calibration).mean()) < 1


def test_folds_depend_on_name_and_seed() -> None:
    rng = np.random.default_rng(2)
    known, new = rng.normal(0, 1, (40, 1)), rng.normal(1, 1, (30, 1))
    names = [f"d{i}" for i in range(70)]
    first = likelihood_ratio_weights(known, new, names)
    turned = likelihood_ratio_weights(known[::-1], new, names[:40][::-1] + names[40:])
    assert turned.calibration[::-1] == pytest.approx(first.calibration, rel=1e-4)
    assert likelihood_ratio_weights(known, new, names, seed=1).calibration != pytest.approx(first.calibration)
    constant = likelihood_ratio_weights(np.ones((40, 1)), np.ones((30, 1)), names)
    assert constant.effective_n == pytest.approx(40)


def test_documents_with_passages_on_both_sides_stay_whole_and_no_fold_lacks_a_side() -> None:
    ones = np.ones((2, 1))
    weights = likelihood_ratio_weights(ones, ones, ["both", "known", "new", "both"], folds=2)
    assert np.isfinite([*weights.calibration, *weights.candidates]).all()


# --- q-values whatever the dependence ---------------------------------------------------------------------------------


HARMONIC = float(np.sum(1 / np.arange(1, 21)))


def false_discoveries(q_values: Callable[[Floats], Floats], at: float, fdr: float = 0.1, m: int = 20) -> float:
    """Standard errors by which any discovery among m non-members happens more often than *fdr*.

    The worst dependence there is (Guo and Rao 2008): with probability at/j, j = 1 … m, some j p-values, drawn at
    random, lie just where the step-up procedure at level *at* takes j, and the others above. Each is uniform.
    """
    rng = np.random.default_rng(0)
    chance = np.append(1 - at * np.sum(1 / np.arange(1, m + 1)), at / np.arange(1, m + 1))
    results = np.zeros(4000)
    for i, j in enumerate(rng.choice(m + 1, size=4000, p=chance)):
        p = rng.uniform(at, 1, m)
        p[rng.permutation(m)[:j]] = rng.uniform((j - 1) * at / m, j * at / m, j)
        results[i] = (q_values(p) <= fdr).any()
    return excess(results, fdr)


def test_by_yekutieli_holds_under_the_worst_dependence_and_by_hochberg_does_not() -> None:
    assert false_discoveries(benjamini_yekutieli, at=0.1) < 4
    assert abs(false_discoveries(benjamini_yekutieli, at=0.1 / HARMONIC)) < 4, "where it is worst, the rate is used up"
    assert false_discoveries(benjamini_hochberg, at=0.1) > 4


def conformal_fdr_excess(q_values: Callable[[Floats], Floats], members: int, fdr: float = 0.2) -> float:
    """Standard errors by which the mean false discovery share of 40 candidates by 200 non-members exceeds *fdr*."""
    rng, shares = np.random.default_rng(1), []
    for _ in range(1000):
        scores = rng.normal(size=40) + 3 * (np.arange(40) < members)
        taken = q_values(conformal_p_values(scores, rng.normal(size=200))) <= fdr
        shares.append(taken[members:].sum() / max(1, taken.sum()))
    return excess(np.array(shares), fdr)


@pytest.mark.parametrize("members", [0, 8])
def test_false_discoveries_by_p_values_that_share_a_calibration_set(members: int) -> None:
    assert conformal_fdr_excess(benjamini_yekutieli, members) < 4
    assert conformal_fdr_excess(benjamini_hochberg, members) < 4
    assert conformal_fdr_excess(lambda p: benjamini_hochberg(p) / 3, members) > 4, (
        "and the check finds q-values too low"
    )


@steady
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_q_values_of_scipy(p: list[float]) -> None:
    from scipy.stats import false_discovery_control

    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p, method="bh"), rel=1e-11)
    assert benjamini_yekutieli(p) == pytest.approx(false_discovery_control(p, method="by"), rel=1e-11)


def test_nan_stays_and_does_not_count() -> None:
    q = benjamini_yekutieli([0.01, np.nan, 0.04])
    assert np.isnan(q[1])
    assert q[[0, 2]].tolist() == pytest.approx([0.03, 0.06])
    assert benjamini_yekutieli([]).shape == (0,)


# --- what is refused --------------------------------------------------------------------------------------------------

ONE, NAMES = np.ones((6, 1)), [str(i) for i in range(12)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: weighted_p_values([1.0], [1.0], [], []), CalibrationError, "there are no calibration scores"),
        (lambda: weighted_p_values([1.0], [1.0, 2.0], [1.0], [1.0]), UsageError, "1 candidate scores but 2 weights"),
        (lambda: weighted_p_values([1.0], [1.0], [1.0], []), UsageError, "1 calibration scores but 0 weights"),
        (
            lambda: weighted_p_values([np.nan], [1.0], [1.0], [1.0]),
            InputError,
            r"candidate scores are NaN or infinite \(index 0\)",
        ),
        (
            lambda: weighted_p_values([1.0], [np.inf], [1.0], [1.0]),
            InputError,
            "1 of 1 candidate weights are NaN or infinite",
        ),
        (
            lambda: weighted_p_values([1.0], [1.0], [1.0, 2.0], [1.0, -1.0]),
            UsageError,
            r"weights are negative \(index 1\)",
        ),
        (
            lambda: weighted_p_values([1.0, 2.0], [1.0, 0.0], [1.0], [1.0]),
            UsageError,
            r"candidate weight is 0 \(index 1\)",
        ),
        (lambda: benjamini_yekutieli([1.5]), UsageError, "1 p-values lie outside"),
        (lambda: likelihood_ratio_weights(ONE, ONE, NAMES[:6]), UsageError, "12 passages but 6 documents"),
        (
            lambda: likelihood_ratio_weights(ONE, np.ones((6, 2)), NAMES),
            UsageError,
            "1 features of the calibration set but 2",
        ),
        (lambda: likelihood_ratio_weights(ONE[:, 0], ONE, NAMES), UsageError, r"not of shape \(6,\)"),
        (
            lambda: likelihood_ratio_weights(ONE, ONE * np.nan, NAMES),
            InputError,
            "6 of 6 candidate passages have a NaN",
        ),
        (
            lambda: likelihood_ratio_weights(ONE, ONE, ["a"] * 6 + NAMES[6:]),
            CalibrationError,
            "1 documents of the calibration set cannot",
        ),
        (
            lambda: likelihood_ratio_weights(ONE, ONE, NAMES, folds=7),
            CalibrationError,
            "6 documents of the calibration set cannot fill 7 folds: use fewer `folds`",
        ),
        (
            lambda: likelihood_ratio_weights(ONE, ONE, NAMES, folds=1),
            UsageError,
            "`folds` is 1, which leaves no data to fit on",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
