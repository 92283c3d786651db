"""Folds and permutations: what chance does to a figure, against simulated chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.metrics import auroc
from llm_mia.validity.folds import assign_folds, folds_by_document, most_folds
from llm_mia.validity.permutation import (
    POWER,
    WIDENING,
    LabelExchange,
    category_auroc,
    exchange_labels,
    fitted_test,
    given_test,
    kolmogorov_smirnov,
    placements,
    rate_test,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Folds = Callable[[Bools, Ints, int, np.random.Generator], Ints]
steady = settings(derandomize=True, deadline=None)


def most(nominal: float, times: int) -> float:
    """What a rate of *nominal* shows in *times* simulations, and four standard errors."""
    return nominal + 4 * math.sqrt(nominal * (1 - nominal) / times)


def random_labels(n: int, rng: np.random.Generator) -> Bools:
    return np.asarray(rng.permutation(n) < n // 2)


def learned(features: Floats, labels: Bools, folds: Ints) -> Floats:
    """Out of fold: the passage along the difference of the class means, the plainest classifier that learns."""
    scores = np.empty(len(labels))
    for fold in np.unique(folds):
        out = folds == fold
        taught, known = features[~out], labels[~out]
        scores[out] = features[out] @ (taught[known].mean(axis=0) - taught[~known].mean(axis=0))
    return scores


# --- scores that were fitted ------------------------------------------------------------------------------------------


def fitted_p_values(times: int, widening: float = WIDENING) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    features, documents = rng.normal(size=(60, 15)), np.arange(60)
    results = []
    for _ in range(times):
        labels = random_labels(60, rng)
        folds = folds_by_document(labels, documents, 2, rng)
        scores = learned(features, labels, folds)
        results.append(
            fitted_test(
                scores[:, None],
                exchange_labels(labels, documents, folds),
                level=0.05,
                permutations=199,
                rng=rng,
                widening=widening,
            )[0]
        )
    return np.array([each.p_value for each in results]), np.array([each.value for each in results])


def test_fitted_scores_of_nothing_are_seldom_significant() -> None:
    p_values, values = fitted_p_values(400)
    assert (p_values <= 0.05).mean() <= most(0.05, 400)
    assert (p_values <= 0.01).mean() <= most(0.01, 400)
    assert abs(values.mean() - 0.5) < 4 * values.std() / math.sqrt(400)
    # Without the widening, folds that learn from each other count as independent: the same check detects it.
    assert (fitted_p_values(400, widening=1.0)[0] <= 0.05).mean() > most(0.05, 400)


def test_fitted_scores_of_something_are_significant() -> None:
    rng = np.random.default_rng(0)
    labels, documents = random_labels(100, rng), np.arange(100)
    folds = folds_by_document(labels, documents, 5, rng)
    scores = learned(rng.normal(size=(100, 5)) + labels[:, None], labels, folds)
    results = fitted_test(
        scores[:, None], exchange_labels(labels, documents, folds), level=0.005, permutations=999, rng=rng
    )[0]
    assert results.p_value == 0.001
    assert 0.5 < results.critical < 0.75 < results.value


def test_pooled_folds_are_biased_and_places_are_not() -> None:
    # What a fold was taught is the share of members elsewhere, and nothing of the passage: 0.5 is the honest figure.
    labels = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    folds = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    taught = np.where(folds == 0, labels[folds == 1].mean(), labels[folds == 0].mean())
    assert auroc(taught, labels).value < 0.3
    assert auroc(placements(taught, labels, folds), labels).value == 0.5


def test_places_average_the_folds() -> None:
    rng = np.random.default_rng(0)
    labels = random_labels(200, rng)
    folds = np.repeat([0, 1, 2, 3], [80, 60, 40, 20])
    scores = rng.normal(size=200) + labels + 5 * folds
    per_fold = [auroc(scores[folds == fold], labels[folds == fold]).value for fold in range(4)]
    mean = np.average(per_fold, weights=[labels[folds == fold].sum() for fold in range(4)])
    tested = fitted_test(
        scores[:, None], exchange_labels(labels, np.arange(200), folds), level=0.1, permutations=9, rng=rng
    )[0]
    assert tested.value == pytest.approx(mean, abs=1e-6)
    # The non-members' places are a grid of their number: rounding only.
    assert auroc(placements(scores, labels, folds), labels).value == pytest.approx(mean, abs=0.02)


# --- scores that were given -------------------------------------------------------------------------------------------


def given_p_values(documents: Ints, taken: Ints, times: int) -> Floats:
    """p-values of scores alike within each of *documents*, the labels exchanged over *taken*."""
    rng = np.random.default_rng(0)
    results = []
    for _ in range(times):
        scores = rng.normal(size=documents.max() + 1)[documents] + 0.3 * rng.normal(size=len(documents))
        labels = random_labels(documents.max() + 1, rng)[documents]
        results.append(
            given_test(scores[:, None], exchange_labels(labels, taken), level=0.05, permutations=99, rng=rng)[0].p_value
        )
    return np.array(results)


def test_given_scores_are_tested_exactly_over_documents() -> None:
    documents = np.repeat(np.arange(14), [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 8, 12])
    assert (given_p_values(documents, documents, 800) <= 0.05).mean() <= most(0.05, 800)
    # Passages of one document treated as independent: the same check detects it.
    assert (given_p_values(documents, np.arange(60), 800) <= 0.05).mean() > most(0.05, 800)


def smallest_p_values(times: int) -> tuple[Floats, Floats]:
    """The least p-value of eight columns that are alike: adjusted together; and, 100 times, of separate tests."""
    rng = np.random.default_rng(0)
    together, apart = [], []
    for time in range(times):
        scores = 0.7 * rng.normal(size=(40, 1)) + 0.7 * rng.normal(size=(40, 8))
        labels = exchange_labels(random_labels(40, rng), np.arange(40))
        together.append(min(p_values_of(scores, labels, rng)))
        if time < 100:
            apart.append(min(p for column in scores.T for p in p_values_of(column[:, None], labels, rng)))
    return np.array(together), np.array(apart)


def p_values_of(scores: Floats, labels: LabelExchange, rng: np.random.Generator) -> list[float]:
    return [each.p_value for each in given_test(scores, labels, level=0.05, permutations=99, rng=rng)]


def test_columns_are_tested_together() -> None:
    together, apart = smallest_p_values(300)
    assert (together <= 0.05).mean() <= most(0.05, 300)
    # The test is exact, so it rejects about as often as it may: Bonferroni would reject less often, as the columns are
    # much alike.
    assert (together <= 0.05).mean() >= 0.05 - 4 * math.sqrt(0.05 * 0.95 / 300)
    # Eight separate tests: the same check detects that nobody has adjusted them.
    assert (apart <= 0.05).mean() > most(0.05, 100)


def seen(labels: Bools, auroc: float, times: int, columns: int) -> float:
    """How often a difference between two normal distributions with that *auroc* is significant at 0.02."""
    from scipy.special import ndtri

    rng = np.random.default_rng(1)
    exchange, distance = exchange_labels(labels, np.arange(len(labels))), math.sqrt(2) * float(ndtri(auroc))
    hits = 0
    for _ in range(times):
        scores = rng.normal(size=(len(labels), columns))
        scores[:, 0] += distance * labels
        hits += given_test(scores, exchange, level=0.02, permutations=199, rng=rng)[0].p_value <= 0.02
    return hits / times


@pytest.mark.parametrize(("members", "others", "columns"), [(30, 30, 1), (12, 100, 6)])
def test_a_difference_of_the_detectable_size_is_seen_as_often_as_stated(
    members: int, others: int, columns: int
) -> None:
    labels = np.repeat([True, False], [members, others])
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(len(labels), columns))
    result = given_test(scores, exchange_labels(labels, np.arange(len(labels))), level=0.02, permutations=1999, rng=rng)
    # The standard deviation of the figure is that without a difference, and distributions may be other than normal:
    # within 0.1 of the stated probability, besides four standard errors of 400 draws.
    allowed = 0.1 + 4 * math.sqrt(POWER * (1 - POWER) / 400)
    assert abs(seen(labels, result[0].detectable, 400, columns) - POWER) <= allowed
    # The least significant figure is another value: a difference of that size is seen in half of the cases.
    assert POWER - seen(labels, result[0].critical, 400, columns) > allowed


def test_given_scores_by_counting_all_arrangements() -> None:
    labels = exchange_labels(np.array([1, 1, 0, 0], dtype=bool), np.arange(4))
    scores = np.array([4.0, 3.0, 2.0, 1.0])[:, None]
    results = given_test(scores, labels, level=0.05, permutations=5999, rng=np.random.default_rng(0))[0]
    assert results.value == 1
    assert results.p_value == pytest.approx(2 / 6, abs=0.03)  # this arrangement and its reverse, of six


def test_labels_change_places_as_they_may() -> None:
    # Documents 0 and 1 are members, 2 and 3 are not, 4 is both.
    documents = np.array([0, 0, 1, 2, 3, 3, 3, 4, 4, 4])
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 1, 0, 0], dtype=bool)
    held = exchange_labels(labels, documents)
    assert held.log_arrangements == pytest.approx(math.log(6 * 3))
    drawn = np.concatenate([*held.draw(2000, np.random.default_rng(0))])
    assert len(np.unique(drawn, axis=0)) == 18
    assert (drawn[:, 7:].sum(axis=1) == 1).all()
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 4] == drawn[:, 6]).all()
    assert (drawn[:, [0, 2, 3, 4]].sum(axis=1) == 2).all()
    in_folds = exchange_labels(labels, documents, np.array([0, 0, 1, 0, 1, 1, 1, 1, 1, 1]))
    assert in_folds.log_arrangements == pytest.approx(math.log(2 * 2 * 3))


def test_kolmogorov_smirnov_is_scipys_and_exact() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(300):
        values, labels = rng.integers(0, 12, 40).astype(float), random_labels(40, rng)
        distance, p_value = kolmogorov_smirnov(values, exchange_labels(labels, np.arange(40)), 99, rng)
        assert distance == pytest.approx(ks_2samp(values[labels], values[~labels]).statistic)
        p_values.append(p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= most(0.05, 300)


def test_rates_by_counting_and_exact() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(300):
        scores, labels = rng.integers(0, 30, 60).astype(float), random_labels(60, rng)
        p_values.append(rate_test(scores, exchange_labels(labels, np.arange(60)), 0.1, permutations=99, rng=rng))
    assert np.mean(np.array(p_values) <= 0.05) <= most(0.05, 300)
    # Both members above both non-members: 1 of the 6 arrangements of labels does as well.
    four = exchange_labels(np.array([1, 1, 0, 0], dtype=bool), np.arange(4))
    p_value = rate_test(np.array([4.0, 3.0, 2.0, 1.0]), four, 0.1, permutations=5999, rng=rng)
    assert p_value == pytest.approx(1 / 6, abs=0.03)


def test_categories_ordered_by_their_share_of_members() -> None:
    categories = np.array([0, 0, 0, 1, 1, 2])
    members = np.array([[1, 1, 0, 1, 0, 0], [0, 0, 1, 1, 1, 1]], dtype=np.float32)
    expected = []
    for row in members:
        share = np.array([row[categories == kind].mean() for kind in categories])
        expected.append(auroc(share, row).value)
    assert category_auroc(members, categories) == pytest.approx(expected)


# --- folds ------------------------------------------------------------------------------------------------------------


@steady
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=60),
    seed=st.integers(0, 5),
)
def test_folds_keep_documents_whole_and_hold_both_classes(rows: list[tuple[int, bool]], seed: int) -> None:
    documents, labels = np.array([d for d, _ in rows]), np.array([label for _, label in rows])
    folds = most_folds(labels, documents)
    if not folds:
        return
    results = folds_by_document(labels, documents, folds, np.random.default_rng(seed))
    assert all(len(np.unique(results[documents == each])) == 1 for each in documents)
    assert set(results[labels]) == set(results[~labels]) == set(range(folds))
    assert (results == folds_by_document(labels, documents, folds, np.random.default_rng(seed))).all()


def balanced_folds(labels: Bools, documents: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Folds with balanced classes, which `folds_by_document` avoids where it can."""
    counts: Floats = np.stack([np.bincount(documents, weights=kind) for kind in (~labels, labels)], axis=1)
    shuffled = rng.permutation(len(counts))
    return assign_folds(counts, shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")], folds)[documents]


def mean_by_folds(folds_of: Folds, times: int) -> tuple[float, float]:
    """Mean AUROC and its standard error of labels drawn by passage, where short documents differ from long ones."""
    rng = np.random.default_rng(0)
    documents = np.concatenate([np.repeat(np.arange(10), 12), np.arange(10, 50)])
    features = np.stack([documents >= 10, np.ones(160)], axis=1) + 0.1 * rng.normal(size=(160, 2))
    values = []
    for _ in range(times):
        labels = random_labels(160, rng)
        folds = folds_of(labels, documents, 5, rng)
        values.append(auroc(placements(learned(features, labels, folds), labels, folds), labels).value)
    return float(np.mean(values)), float(np.std(values)) / math.sqrt(times)


def test_folds_by_size_leave_no_bias() -> None:
    mean, error = mean_by_folds(folds_by_document, 500)
    assert abs(mean - 0.5) < 4 * error
    mean, error = mean_by_folds(balanced_folds, 500)
    assert mean < 0.5 - 4 * error
