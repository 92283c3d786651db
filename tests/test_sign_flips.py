"""The sign-flip test over documents, against full enumeration and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from llm_mia.canary import document_sums, flip_test, least_documents
from llm_mia.errors import InputError

LEVELS = (0.01, 0.05, 0.2, 0.5)


@pytest.mark.parametrize("documents", [1, 2, 5, 9])
@pytest.mark.parametrize("ties", [False, True])
def test_small_designs_equal_full_enumeration(documents: int, ties: bool) -> None:
    rng = np.random.default_rng(documents)
    given = rng.integers(-2, 3, documents).astype(float) if ties else rng.normal(size=documents)
    sums = np.array([np.dot(signs, given) for signs in itertools.product((1, -1), repeat=documents)])
    result = flip_test(given)
    assert result.exact
    assert result.p_value == pytest.approx(np.mean(sums >= given.sum() - 1e-9))
    assert result.statistic == pytest.approx(given.sum())
    assert result.documents == (given != 0).sum()
    assert result.effect.value == pytest.approx(given.mean())


def test_drawn_signs_give_what_all_signs_give() -> None:
    rng = np.random.default_rng(3)
    given = rng.normal(0.15, 1, size=17)
    exact = flip_test(given)
    drawn = flip_test([*given, 1e-12], flips=20_000)  # a document more, which changes no sum
    assert exact.exact
    assert not drawn.exact
    hits = round(drawn.p_value * 20_001) - 1
    assert binom.cdf(hits, 20_000, exact.p_value) > 1e-4
    assert binom.sf(hits - 1, 20_000, exact.p_value) > 1e-4


def p_values(*, placebo: bool, learned: float = 0.0, trials: int = 400) -> NDArray[np.float64]:
    """Of a model that prefers edited texts, as every model does, and gained *learned* by training on them.

    Each of 25 documents has its shift of style, which both models see, and each model errs independently.
    """
    rng, values = np.random.default_rng(7), []
    for trial in range(trials):
        style = rng.gamma(2.0, 0.5, size=25)
        target, other = (style + rng.standard_t(3, size=25) for _ in range(2))
        given = target + learned - (other if placebo else 0)
        values.append(flip_test(given, flips=199, seed=trial).p_value)
    return np.array(values)


def test_p_values_are_uniform_with_the_placebo_and_not_without_it() -> None:
    fair = p_values(placebo=True)
    for level in LEVELS:
        hits = int((fair <= level).sum())
        assert binom.sf(hits - 1, len(fair), level) > 1e-4
        assert binom.cdf(hits, len(fair), level) > 1e-4
    assert (p_values(placebo=False, trials=200) <= 0.05).mean() > 0.5
    assert (p_values(placebo=True, learned=2.0, trials=200) <= 0.05).mean() > 0.8


def test_pairs_of_a_document_are_no_independent_evidence() -> None:
    sums = document_sums(np.array([1.0, 2.0, 4.0, 8.0]), ["a", "b", "a", "a"])
    assert sums == {"a": 13.0, "b": 2.0}
    assert flip_test([*sums.values()]).p_value == 0.25


@pytest.mark.parametrize(("level", "least"), [(0.5, 1), (0.05, 5), (0.01, 7), (0.001, 10)])
def test_the_least_number_of_documents_is_that_of_the_smallest_p_value(level: float, least: int) -> None:
    assert least_documents(level) == least
    assert flip_test(np.ones(least)).p_value <= level
    if least > 1:
        assert flip_test(np.ones(least - 1)).p_value > level


def test_documents_without_a_difference_change_nothing() -> None:
    assert flip_test([0.0, 1.0, 0.0, 2.0]).p_value == flip_test([1.0, 2.0]).p_value == 0.25
    assert flip_test([0.0, 0.0]).p_value == 1.0


@pytest.mark.parametrize("given", [[], [np.nan], [1.0, np.inf]])
def test_what_cannot_be_compared_is_refused(given: list[float]) -> None:
    with pytest.raises(InputError):
        flip_test(given)
