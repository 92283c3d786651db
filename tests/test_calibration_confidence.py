"""Thresholds with confidence and by category: what each promises, held by simulation, and the faults it would find."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import ArrayLike, NDArray

from llm_mia.calibration import (
    Split,
    confident_threshold,
    conformal_p_values,
    fpr_bound,
    fpr_threshold,
    nonmembers_needed,
)
from llm_mia.decision import (
    Calibration,
    Guarantee,
    GuaranteeKind,
    Origin,
    Selection,
    Wanted,
    calibrate,
    calibration_from_json,
    calibration_to_json,
)
from llm_mia.errors import CalibrationError, InputError, LlmMiaError, ScoresError, UsageError
from llm_mia.scores import ScoreTable

Floats = NDArray[np.float64]
steady = settings(derandomize=True, deadline=None)
LEVELS = 10


def excess(figures: Floats, bound: float) -> float:
    """Standard errors by which the mean of independent *figures* exceeds *bound*."""
    return float((figures.mean() - bound) / max(figures.std(ddof=1) / np.sqrt(len(figures)), 1e-12))


# --- with confidence --------------------------------------------------------------------------------------------------

Threshold = Callable[[Floats, float, float], float]


def exceeded(threshold: Threshold, n: int, fpr: float, confidence: float, ties: bool) -> Floats:
    """Whether each of 2,000 calibrations realises more than *fpr*; the rate of each is known exactly."""
    rng = np.random.default_rng(0)
    draws = rng.integers(LEVELS, size=(2000, n)) / LEVELS if ties else rng.random((2000, n))
    chosen = np.array([threshold(draw, fpr, confidence) for draw in draws])
    realised = LEVELS - 1 - np.round(chosen * LEVELS) if ties else 1 - chosen
    return (realised / (LEVELS if ties else 1) > fpr).astype(np.float64)


@pytest.mark.parametrize(
    ("n", "fpr", "confidence"),
    [(59, 0.05, 0.95), (299, 0.01, 0.95), (300, 0.05, 0.95), (50, 0.1, 0.8), (800, 0.01, 0.9)],
)
@pytest.mark.parametrize("ties", [False, True])
def test_a_calibration_set_exceeds_the_rate_as_seldom_as_promised(
    n: int, fpr: float, confidence: float, ties: bool
) -> None:
    assert excess(exceeded(confident_threshold, n, fpr, confidence, ties), 1 - confidence) < 4


@pytest.mark.parametrize(("n", "fpr"), [(99, 0.05), (473, 0.01)])
def test_the_check_detects_the_marginal_threshold_and_one_order_statistic_lower(n: int, fpr: float) -> None:
    def next_lower(scores: Floats, rate: float, confidence: float) -> float:
        return float(np.max(scores[scores < confident_threshold(scores, rate, confidence)]))

    assert excess(exceeded(lambda scores, rate, _: fpr_threshold(scores, rate), n, fpr, 0.95, ties=False), 0.05) > 4
    assert excess(exceeded(next_lower, n, fpr, 0.95, ties=False), 0.05) > 4


@steady
@given(
    n=st.integers(1, 2000),
    fpr=st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.5, 0.9]),
    confidence=st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]),
)
def test_exactly_as_many_above_as_the_beta_quantile_allows(n: int, fpr: float, confidence: float) -> None:
    from scipy.stats import beta

    scores = np.arange(n, dtype=float)
    if n < nonmembers_needed(fpr, confidence):
        assert (1 - fpr) ** n > 1 - confidence
        with pytest.raises(CalibrationError, match=f"at least {nonmembers_needed(fpr, confidence)} are needed"):
            confident_threshold(scores, fpr, confidence)
        return
    k = int((scores > confident_threshold(scores, fpr, confidence)).sum())
    assert beta.cdf(fpr, k + 1, n - k) >= confidence - 1e-9
    assert k == n - 1 or beta.cdf(fpr, k + 2, n - k - 1) < confidence


@pytest.mark.parametrize(
    ("fpr", "confidence", "n"), [(0.01, 0.95, 299), (0.05, 0.95, 59), (0.01, 0.99, 459), (0.5, 0.75, 2), (0.1, 0.19, 2)]
)
def test_fewest_non_members_for_a_confidence(fpr: float, confidence: float, n: int) -> None:
    assert nonmembers_needed(fpr, confidence) == n
    assert confident_threshold(range(n), fpr, confidence) == n - 1
    with pytest.raises(CalibrationError, match=rf"{100 * confidence:g} % confidence: at least {n} are needed"):
        confident_threshold(range(n - 1), fpr, confidence) if n > 1 else None


def test_scores_that_are_all_equal_flag_nothing() -> None:
    same = [7.0] * 60
    assert (fpr_threshold(same, 0.05), confident_threshold(same, 0.05)) == (7.0, 7.0)
    assert conformal_p_values([7.0, 7.0], same).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: confident_threshold([1.0], 0.5, 1.0), UsageError, "`confidence` must lie between 0 and 1"),
        (lambda: confident_threshold([1.0], 0.0), UsageError, "`fpr` must lie between 0 and 1"),
        (lambda: confident_threshold([], 0.1), CalibrationError, "there are no calibration scores"),
        (lambda: nonmembers_needed(0.1, float("nan")), UsageError, "`confidence` must lie between"),
        (lambda: fpr_bound(99, 0.05, 1.5), UsageError, "`confidence` must lie between"),
        (
            lambda: fpr_threshold([0.0] * 3 + [np.nan] * 7, 0.1),
            InputError,
            r"7 of 10 .* infinite \(index 3, 4, 5, 6, 7 …\)",
        ),
    ],
)
def test_refusals_are_one_line(call: Callable[[], object], error: type[LlmMiaError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def calibration(scores: ArrayLike, categories: Sequence[str] | None = None, **more: Any) -> Calibration:
    """What independent non-members with these scores give."""
    table = ScoreTable.of(scores, [0] * len(np.asarray(scores)), categories=categories)
    return calibrate(table, "score", **{"fpr": 0.05, **more})


# --- against other packages -------------------------------------------------------------------------------------------

KNOWN = (np.arange(57) ** 2 % 101) / 10
ASKED = np.array([0.0, 2.5, 4.9, 7.0, 9.6, 9.7, 9.9, 12.0])


def test_p_values_and_thresholds_of_other_packages() -> None:
    # crepes 0.9.1: crepes.base.p_values_batch(KNOWN, ASKED, smoothing=False) * 58
    assert (conformal_p_values(ASKED, KNOWN) * 58).tolist() == pytest.approx([58, 41, 32, 24, 5, 3, 2, 1])
    # MAPIE 1.6.0, a regressor that predicts 0: SplitConformalRegressor(zero, confidence_level=1 - fpr, prefit=True)
    # .conformalize(X, KNOWN).predict_interval(X)[1][0, 1, 0] is the quantile of |KNOWN - 0|
    assert [fpr_threshold(KNOWN, fpr) for fpr in (0.05, 0.1, 0.29)] == [9.7, 9.5, 7.9]


def test_p_values_by_category_of_another_package() -> None:
    kinds, asked = [str(i % 2) for i in range(57)], [str(i % 2) for i in range(8)]
    calibrated = calibration(KNOWN, kinds, fpr=0.1)
    # crepes 0.9.1: crepes.base.p_values_batch(KNOWN, ASKED, np.arange(57) % 2, np.arange(8) % 2, smoothing=False)
    theirs = [1.0, 19 / 29, 0.6, 9 / 29, 4 / 30, 1 / 29, 2 / 30, 1 / 29]
    assert calibrated.p_values(ASKED, asked).tolist() == pytest.approx(theirs)


# --- by category ------------------------------------------------------------------------------------------------------

MEANS = {"de": 1.5, "en": 0.0, "fr": -1.0}


def by_category(
    flagged: Callable[[Floats, Sequence[str], Floats, Sequence[str]], NDArray[np.bool_]],
) -> dict[str, Floats]:
    """The share flagged of 400 new non-members of each category, in each of 300 calibrations."""
    rng, names = np.random.default_rng(0), np.array(sorted(MEANS))
    shares: dict[str, list[float]] = {name: [] for name in MEANS}
    for _ in range(300):
        kinds = rng.choice(names, size=240, p=[0.2, 0.5, 0.3])
        known = rng.normal([MEANS[name] for name in kinds])
        new = np.repeat(names, 400)
        flags = flagged(known, kinds.tolist(), rng.normal([MEANS[name] for name in new]), new.tolist())
        for name in MEANS:
            shares[name].append(flags[new == name].mean())
    return {name: np.array(values) for name, values in shares.items()}


def test_each_category_keeps_the_rate_by_itself() -> None:
    def by_its_category(known: Floats, kinds: Sequence[str], new: Floats, asked: Sequence[str]) -> NDArray[np.bool_]:
        return calibration(known, kinds).flagged(new, asked)

    shares = by_category(by_its_category)
    assert all(excess(realised, 0.05) < 4 for realised in shares.values())
    assert all(realised.mean() > 0.02 for realised in shares.values()), "conservative, not dead"


def test_the_check_detects_one_threshold_for_all_categories() -> None:
    def common(known: Floats, kinds: Sequence[str], new: Floats, asked: Sequence[str]) -> NDArray[np.bool_]:
        return calibration(known).flagged(new)

    shares = by_category(common)
    assert excess(shares["de"], 0.05) > 4
    assert excess(np.mean([*shares.values()], axis=0), 0.05) > -30, "though over all it is about right"


def pool_excess(pool: bool | list[str]) -> float:
    """Standard errors by which the pool realises over 5 %: singles, and one that may just stand alone."""
    from scipy.special import ndtr

    rng, over = np.random.default_rng(1), []
    for _ in range(1200):
        large = rng.binomial(219, 19 / 219)
        known = np.append(rng.normal(size=219 - large), rng.normal(4, 1, large))
        kinds = [f"single {i}" for i in range(219 - large)] + ["large"] * large
        calibrated = calibration(known, kinds, pool=pool)
        above = ndtr(np.array([0.0, 4.0]) - calibrated.categories["other"].threshold)
        share = np.array([200, 0 if "large" in calibrated.categories else 19])
        over.append(share @ (above - 0.05))
    return excess(np.array(over), 0.0)


def test_a_pool_named_beforehand_keeps_the_rate_as_a_whole() -> None:
    assert pool_excess([*(f"single {i}" for i in range(219)), "large"]) < 4


def test_the_check_detects_a_pool_read_off_this_very_set() -> None:
    assert pool_excess(pool=True) > 4, "by a little: the docstring says so"


# --- the artefact -----------------------------------------------------------------------------------------------------

KINDS = ["en"] * 60 + ["de"] * 70 + ["fr"] * 5 + ["it"] * 40 + ["other"] * 30
SCORES = np.random.default_rng(0).normal(size=len(KINDS)).round(3)


def calibration_of(scores: ArrayLike = SCORES, categories: Sequence[str] | None = KINDS, **more: Any) -> Calibration:
    """The same of passages of 150 documents: a document has a passage in each of two categories, or one passage."""
    n = len(np.asarray(scores))
    table = ScoreTable.of(scores, [0] * n, documents=[f"d{i % 150}" for i in range(n)], categories=categories)
    return calibrate(table, "score", **{"fpr": 0.05, **more})


FULL: dict[str, Any] = {"pool": ["fr", "it", "es"], "confidence": 0.95}


def full() -> Calibration:
    """A calibration in which every field holds something."""
    split = Split.of("abc", "xyy", [True, False, False], fit_share=0.5, seed=3)
    selection = Selection(Wanted.AUTO, {"loss": 0.7, "min_k:k=0.1": 0.6})
    origin = Origin(shared={"frequencies": {"id": "ü"}})
    return replace(calibration_of(**FULL), split=split, selection=selection, origin=origin)


def test_what_a_calibration_by_category_holds() -> None:
    calibration = calibration_of(**FULL)
    assert {name: each.n for name, each in calibration.categories.items()} == {"de": 70, "en": 60, "other": 75}
    assert calibration.categories["other"].pooled == ("es", "fr", "it", "other")
    assert calibration.thresholds["it"] == calibration.thresholds["es"] == calibration.categories["other"].threshold
    assert calibration.thresholds["de"] == confident_threshold(SCORES[60:130], 0.05)
    assert calibration.threshold == max(calibration.thresholds.values()), "whoever knows only this flags too few"
    assert (calibration.n, calibration.scores) == (205, tuple(sorted(SCORES.tolist())))
    confident = GuaranteeKind.WITH_CONFIDENCE
    assert calibration.guarantee == Guarantee(confident, 0.95, by_document=True, by_category=True, pooled=True)
    assert calibration_of(pool=True).guarantee == Guarantee(GuaranteeKind.MARGINAL, None, True, True, True, True)
    assert (calibration.n_documents, calibration.categories["other"].n_documents) == (150, 75)
    asked = [9.0, -9.0, np.nan, 9.0]
    assert calibration.flagged(asked, ["de", "de", "fr", "es"]).tolist() == [True, False, False, True]
    p_values = calibration.p_values(asked, ["de", "de", "fr", "es"])
    assert p_values.tolist() == pytest.approx([1 / 71, 1.0, np.nan, 1 / 76], nan_ok=True)


def test_what_is_pooled_goes_where_other_is() -> None:
    names, scores = ["en"] * 20 + ["other"] * 20, [*range(40)]
    assert calibration_of(scores, names, pool=["es"]).thresholds == {"en": 19.0, "es": 39.0, "other": 39.0}
    assert calibration_of(scores, names, pool=True).thresholds == {"en": 19.0, "other": 39.0}
    assert calibration_of(scores, ["en"] * 20 + ["fr"] * 20, pool="fr").thresholds == {"en": 19.0, "fr": 39.0}
    assert calibration_of(scores, ["en"] * 20 + ["fr"] * 20, pool=["es"]).thresholds == {"en": 19.0, "fr": 39.0}


@pytest.mark.parametrize("more", [{}, FULL, {"pool": True}, {"categories": None, "confidence": 0.9}])
def test_round_trip_is_exact(more: dict[str, Any]) -> None:
    for calibration in (calibration_of(**{"pool": True, **more}), full()):
        text = calibration_to_json(calibration)
        assert calibration_from_json(text) == calibration
        respaced = json.dumps(json.loads(text), sort_keys=True)
        assert calibration_from_json(respaced) == calibration, "spaces and order of keys are no edit"


def changed(path: str, value: object) -> str:
    document = json.loads(calibration_to_json(full()))
    *parents, last = path.split("/")
    inner = document
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("n_documents", 8), "n_documents should be 150, not 8"),
        (changed("attack", "zlib"), "edited after it was written"),
        (changed("origin/shared/frequencies/id", "u"), "edited after it was written"),
        (changed("selection/wanted", "stack"), "edited after it was written"),
        (changed("origin/shared/deep", json.loads("[" * 400 + "]" * 400)), "edited after"),
        (changed("split/seed", 4), "edited after it was written"),
        (changed("sha256", "0" * 64), "edited after it was written"),
        (changed("split/fit_sha", ""), "cannot be read as a calibration"),
        (changed("categories/de/threshold", -1.0), "figures of category 'de' are not those of its scores"),
        (changed("categories/de/n", 71), "figures of category 'de'"),
        (changed("categories/de/scores", [1.0]), "1 calibration scores but 70 documents"),
        (changed("categories/de/documents", [0] * 70), "category 'de': 1 document of non-members, with 70 passages"),
        (changed("categories/de/scores", [*range(70)]), "threshold should be|not those of the categories"),
        (changed("categories/other/pooled_by_size", True), "guarantee should be|edited after"),
        (changed("categories/other/pooled", []), "guarantee should be"),
        (changed("categories", {}), "should be"),
        (changed("categories", 5), "5 is not a mapping"),
        (changed("categories/de", {}), "'threshold' is missing"),
        (changed("scores", [1.0]), "1 calibration scores but 205 documents"),
        (changed("documents", [0] * 205), "should be"),
        (changed("categories/de/documents", [10**400, *range(69)]), "figures of category|should be"),
        (changed("confidence", None), "should be"),
        (changed("confidence", 0.5), "should be"),
        (changed("confidence", "high"), "'high' is not a number"),
    ],
)
def test_an_edited_calibration_is_refused(text: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message) as caught:
        calibration_from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: calibration_of(),
            CalibrationError,
            r"^5 documents of category 'fr' \(14 more needed\) cannot certify FPR ≤ 0.05: each category needs at least",
        ),
        (
            lambda: calibration_of(confidence=0.95, pool=["fr"]),
            CalibrationError,
            r"35 documents of category 'other' \(24 more needed\), 40 documents of category 'it' \(19 more",
        ),
        (
            lambda: calibration_of(range(5), ["fr"] * 5, pool=True),
            CalibrationError,
            r"5 of category 'other' \(14 more needed\) cannot certify FPR ≤ 0.05: each .*: add non-members$",
        ),
        (
            lambda: calibration_of([1.0] * 20 + [*range(20)], ["a"] * 20 + ["b"] * 20),
            CalibrationError,
            "all 20 .* of category 'a' equal 1, so score",
        ),
        (
            lambda: calibration_of([np.inf, *SCORES[1:]]),
            ScoresError,
            r"1 of 205 scores of known non-members are infinite \('1'\): search for the cause",
        ),
        (
            lambda: calibration_of(pool=True).flagged([1.0]),
            CalibrationError,
            "has the categories 'de', 'en', 'fr', 'it'",
        ),
        (lambda: calibration_of(pool=True).flagged([1.0], ["de", "en"]), UsageError, "1 scores but 2 categories"),
        (
            lambda: calibration_of(pool=True).p_values([1.0], ["nl"]),
            CalibrationError,
            "no known non-member is of the category 'nl', so no passage of it can be flagged",
        ),
        (
            lambda: calibration_of(categories=None).flagged([1.0], ["de"]),
            CalibrationError,
            "the calibration has no categories",
        ),
        (
            lambda: calibration_to_json(replace(full(), origin=Origin(shared={"by": {1, 2}}))),
            CalibrationError,
            "cannot be written",
        ),
    ],
)
def test_what_a_calibration_by_category_refuses(
    call: Callable[[], object], error: type[LlmMiaError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
