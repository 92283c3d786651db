"""Passages compared with what several shadow models give: against the authors' code, densities, and faults."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llm_mia.attacks import cohort
from llm_mia.errors import InputError, UsageError

WITHIN = (np.arange(6) + np.arange(45)[:, None]) % 6 < 3
_ROW, _MODEL = np.arange(1, 46)[:, None], np.arange(1, 8)
_ALL = -2 - 1.5 * np.abs(np.sin(_ROW)) - 0.4 * np.sin(3 * _ROW + 2 * _MODEL)
OF_TARGET, OF_SHADOWS = _ALL[:, -1], _ALL[:, :-1] + 0.5 * WITHIN
PASSAGES, OTHERS = slice(5), slice(5, 45)

# What the authors' code gave on the exponentials of these, without trimming; passages and population as above:
# privacytrustlab/ml_privacy_meter at d327341, research/2024_rmia/main.py (`softmax_relative`, online and offline); its
# present modules/mia/attacks/rmia.py gives the same offline at γ = 1.
OF_SEVERAL: list[tuple[cohort.Form, float, float, list[float]]] = [
    ("online", 1.0, 1.0, [0.9, 0.125, 0.8, 0.225, 0.725]),
    ("online", 1.0, 1.2, [0.675, 0.0, 0.625, 0.0, 0.575]),
    ("online", 0.3, 1.0, [0.9, 0.125, 0.8, 0.225, 0.725]),  # online there is no a
    ("offline", 1.0, 1.0, [0.875, 0.2, 0.825, 0.2, 0.725]),
    ("offline", 0.3, 1.0, [0.475, 0.05, 0.95, 0.225, 0.35]),
    ("offline", 0.3, 1.2, [0.375, 0.0, 0.95, 0.15, 0.25]),
]


@pytest.mark.parametrize(("form", "a", "gamma", "expected"), OF_SEVERAL)
def test_rmia_with_several_references_is_the_authors(
    form: cohort.Form, a: float, gamma: float, expected: list[float]
) -> None:
    ratio = cohort.shadow_ratio(OF_TARGET[PASSAGES], OF_SHADOWS[PASSAGES], WITHIN[PASSAGES], form=form, a=a)
    population = cohort.population_ratios(OF_TARGET[OTHERS], OF_SHADOWS[OTHERS], WITHIN[OTHERS], form=form, a=a)
    assert cohort.share_exceeded(ratio, population, gamma=gamma).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("a", [0.3, 1.0])
def test_with_a_single_reference_offline_is_the_plain_ratio(a: float) -> None:
    several = cohort.shadow_ratio(OF_TARGET, OF_SHADOWS[:, :1], np.zeros((45, 1), np.bool_), form="offline", a=a)
    assert several == pytest.approx(cohort.log_likelihood_ratio(OF_TARGET, OF_SHADOWS[:, 0], a=a), abs=1e-12)


def test_lira_is_the_ratio_of_two_normal_densities() -> None:
    online = cohort.lira(OF_TARGET, OF_SHADOWS, WITHIN, spread_in=0.6, spread_out=0.4)
    offline = cohort.lira(OF_TARGET, OF_SHADOWS, WITHIN, spread_in=0.6, spread_out=0.4, form="offline")
    for row, phi in enumerate(OF_TARGET):
        of_in, of_out = (OF_SHADOWS[row][which].mean() for which in (WITHIN[row], ~WITHIN[row]))
        assert online[row] == pytest.approx(stats.norm.logpdf(phi, of_in, 0.6) - stats.norm.logpdf(phi, of_out, 0.4))
        assert stats.norm.cdf(offline[row]) == pytest.approx(stats.norm.cdf(phi, of_out, 0.4))


def test_the_spreads_are_those_within_passages() -> None:
    """With the passages' difficulty in it, as in the authors' code, the spread would be 2 or more."""
    rng = np.random.default_rng(4)
    within = rng.permuted(np.tile(np.arange(8) < 4, (2000, 1)), axis=1)
    likelihoods = rng.normal(-4, 2, size=(2000, 1)) + np.where(within, 1 + 0.3 * rng.normal(size=(2000, 8)), 0)
    likelihoods += np.where(within, 0, 0.5 * rng.normal(size=(2000, 8)))
    # Estimates from 6,000 degrees of freedom: 5 standard errors, σ / √(2 · 6000) each.
    spread_in, spread_out = cohort.pooled_spreads(likelihoods, within)
    assert spread_in == pytest.approx(0.3, abs=5 * 0.3 / math.sqrt(12_000))
    assert spread_out == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(12_000))
    likelihoods[7, 3] = math.nan
    assert cohort.pooled_spreads(likelihoods, within) == cohort.pooled_spreads(
        *(np.delete(each, 7, 0) for each in (likelihoods, within))
    )
    spread_in, spread_out = cohort.pooled_spreads([[-1.0, -2.0, -4.0]], [[True, False, False]])
    assert math.isnan(spread_in), "a single shadow has no deviation"
    assert spread_out == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("form", ["online", "offline"])
def test_a_shadow_without_a_score_is_never_dropped(form: cohort.Form) -> None:
    shadows, within = OF_SHADOWS[PASSAGES].copy(), WITHIN[PASSAGES]
    for row, which in ((0, ~within[0]), (1, within[1])):
        shadows[row, np.flatnonzero(which)[0]] = math.nan
    missing = [True, form == "online", False, False, False]
    lira = cohort.lira(OF_TARGET[PASSAGES], shadows, within, spread_in=1.0, spread_out=1.0, form=form)
    ratio = cohort.shadow_ratio(OF_TARGET[PASSAGES], shadows, within, form=form)
    assert np.isnan(lira).tolist() == np.isnan(ratio).tolist() == missing
    assert np.isnan(cohort.share_exceeded(ratio, np.zeros(1))).tolist() == missing
    nothing = np.zeros((5, 6), np.bool_)
    lacking = np.isnan(cohort.lira(OF_TARGET[PASSAGES], OF_SHADOWS[PASSAGES], nothing, spread_in=1.0, spread_out=1.0))
    assert lacking.all(), "no shadow was trained on these passages"
    assert np.isnan(cohort.shadow_ratio(OF_TARGET[PASSAGES], OF_SHADOWS[PASSAGES], ~nothing, form=form)).all()


@pytest.mark.parametrize("spread", [0.0, math.nan, -1.0])
def test_a_spread_that_is_no_spread_is_refused(spread: float) -> None:
    with pytest.raises(
        InputError, match=r"models that were not trained on a passage, .* train at least 4 shadow models"
    ):
        cohort.lira([-1.0], [[-1.0]], [[False]], spread_in=1.0, spread_out=spread, form="offline")
    with pytest.raises(InputError, match=r"models that were trained on a passage, .* train at least 4 shadow models"):
        cohort.lira([-1.0], [[-1.0]], [[False]], spread_in=spread, spread_out=1.0)


def test_a_population_of_shadow_models_that_gives_no_ratios_is_refused() -> None:
    with pytest.raises(UsageError, match="is empty"):
        cohort.population_ratios([], np.empty((0, 4)), np.empty((0, 4), np.bool_))
    with pytest.raises(InputError, match=r"1 of 2 passages .* at position 1"):
        cohort.population_ratios([-1.0, math.nan], [[-1.0, -2.0]] * 2, [[True, False]] * 2)
    unused = cohort.population_ratios([-1.0], [[-1.0, -2.0, math.nan]], [[True, False, False]])
    assert unused.tolist() == cohort.population_ratios([-1.0], [[-1.0, -2.0]], [[True, False]]).tolist()
