"""The permutation test of published against control documents, against full enumeration and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, ttest_ind

from llm_mia.canary import document_means, least_control, resplit, split_test
from llm_mia.errors import InputError

LEVELS = (0.01, 0.05, 0.2, 0.5)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 6), (4, 3), (3, 6), (5, 5)])
@pytest.mark.parametrize("ties", [False, True])
def test_small_designs_equal_full_enumeration(sizes: tuple[int, int], ties: bool) -> None:
    rng = np.random.default_rng(sum(sizes))
    given = rng.integers(-2, 3, sum(sizes)).astype(float) if ties else rng.normal(size=sum(sizes))
    observed = given[: sizes[0]].mean() - given[sizes[0] :].mean()
    statistics = []
    for chosen in itertools.combinations(range(len(given)), sizes[0]):
        inside = np.isin(np.arange(len(given)), chosen)
        statistics.append(given[inside].mean() - given[~inside].mean())
    result = split_test(given[: sizes[0]], given[sizes[0] :])
    assert result.exact
    assert (result.splits, result.published, result.control) == (len(statistics), *sizes)
    assert result.p_value == pytest.approx(np.mean(np.array(statistics) >= observed - 1e-9))
    assert result.statistic == result.effect.value == pytest.approx(observed)


def test_drawn_splits_give_what_all_splits_give() -> None:
    rng = np.random.default_rng(3)
    published, control = rng.normal(0.5, 1, size=9), rng.normal(size=9)
    exact, drawn = split_test(published, control), split_test(published, control, splits=20_000)
    assert exact.exact
    assert not drawn.exact
    hits = round(drawn.p_value * 20_001) - 1
    assert binom.cdf(hits, 20_000, exact.p_value) > 1e-4
    assert binom.sf(hits - 1, 20_000, exact.p_value) > 1e-4
    null = resplit(published, control)
    assert sum(null.counts) == 20_000
    assert null.low <= 0 <= null.high


def p_values(*, other_edit: float = 0.0, learned: float = 0.0, trials: int = 400) -> NDArray[np.float64]:
    """Of a model that likes an edit by a rule, which no symmetry about zero survives, and gained *learned* by training.

    Args:
        other_edit: how much less the control documents were edited, as a planted fault.
        learned: what training adds to the published documents.
        trials: how many tests.
    """
    rng, values = np.random.default_rng(7), []
    for trial in range(trials):
        published, control = (2.0 + rng.gamma(2.0, 0.5, size) + rng.standard_t(3, size) for size in (25, 15))
        values.append(split_test(published + learned, control - other_edit, splits=199, seed=trial).p_value)
    return np.array(values)


def test_p_values_are_uniform_where_documents_are_exchangeable_and_not_otherwise() -> None:
    fair = p_values()
    for level in LEVELS:
        hits = int((fair <= level).sum())
        assert binom.sf(hits - 1, len(fair), level) > 1e-4
        assert binom.cdf(hits, len(fair), level) > 1e-4
    assert (p_values(other_edit=1.0, trials=200) <= 0.05).mean() > 0.3, "a planted fault, which has to break it"
    assert (p_values(learned=2.0, trials=200) <= 0.05).mean() > 0.8


def test_sums_over_unequal_numbers_of_pairs_break_it_and_means_hardly_do() -> None:
    """Published documents have nine pairs, control documents one; each pair is preferred for its edit."""
    rng, of_sums, of_means = np.random.default_rng(5), [], []
    for trial in range(200):
        pairs = np.concatenate([rng.normal(0.5, 1, 20 * 9), rng.normal(0.5, 1, 20)])
        documents = [*np.repeat([f"p{n}" for n in range(20)], 9).tolist(), *(f"c{n}" for n in range(20))]
        means = [*document_means(pairs, documents).values()]
        sums = [*pairs[: 20 * 9].reshape(20, 9).sum(1), *pairs[20 * 9 :]]
        of_means.append(split_test(means[:20], means[20:], splits=199, seed=trial).p_value)
        of_sums.append(split_test(sums[:20], sums[20:], splits=199, seed=trial).p_value)
    assert np.mean(np.array(of_sums) <= 0.05) > 0.9
    assert np.mean(np.array(of_means) <= 0.05) < 0.12


def test_the_interval_is_that_of_welch() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, 12), rng.normal(0, 3, 7)
    expected = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    effect = split_test(first, second).effect
    assert (effect.low, effect.high) == pytest.approx((expected.low, expected.high))
    assert split_test([1.0], [0.0, 1.0]).effect.low == -np.inf
    assert split_test([1.0, 1.0], [0.0, 0.0]).effect.low == 1.0


@pytest.mark.parametrize(("published", "least"), [(1, 99), (2, 13), (5, 4), (60, 2), (99, 1)])
def test_the_least_number_of_control_documents_is_that_of_the_smallest_p_value(published: int, least: int) -> None:
    assert least_control(published, 0.01) == least
    assert split_test(np.ones(published) + np.arange(published), -np.arange(float(least))).p_value <= 0.01
    if least > 1:
        assert split_test(np.ones(published) + np.arange(published), -np.arange(least - 1.0)).p_value > 0.01


@pytest.mark.parametrize("groups", [([], [1.0]), ([1.0], []), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_what_cannot_be_compared_is_refused(groups: tuple[list[float], list[float]]) -> None:
    with pytest.raises(InputError):
        split_test(*groups)
