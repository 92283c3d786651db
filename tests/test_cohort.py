"""Passages compared with a population: against the definitions, the authors' code, and whole distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from llm_mia.attacks import cohort
from llm_mia.errors import InputError, LlmMiaError, UsageError

Floats = NDArray[np.float64]
steady = settings(derandomize=True, deadline=None)

OWN, OTHER = np.array([-5.454541, -4.969208, -2.5, -4.0, -3.0]), np.array([-4.969208, -5.454541, -3.0, -4.1, -2.9])
STEPS = np.arange(1, 41)
POPULATION = -2 - 3 * np.abs(np.sin(STEPS)), -2 - 3 * np.abs(np.sin(STEPS + 0.7 * np.cos(3 * STEPS)))

# What `run_rmia` of privacytrustlab/ml_privacy_meter, modules/mia/attacks/rmia.py, gave on the exponentials of these.
AUTHORS = {
    0.3: [0.0, 0.125, 0.9, 0.55, 0.8],
    0.6: [0.0, 0.15, 0.9, 0.55, 0.8],
    1.0: [0.275, 0.725, 0.725, 0.6, 0.45],
}


@pytest.mark.parametrize(("a", "expected"), AUTHORS.items())
def test_rmia_is_the_authors(a: float, expected: list[float]) -> None:
    assert cohort.rmia(OWN, OTHER, *POPULATION, a=a).tolist() == pytest.approx(expected)


def plain_rmia(x: tuple[float, float], z: tuple[Floats, Floats], a: float, gamma: float) -> tuple[float, float]:
    """RMIA and InfoRMIA by their definitions, in probabilities, one population passage at a time."""

    def ratio(of_target: float, of_reference: float) -> float:
        return math.exp(of_target) / (0.5 * ((1 + a) * math.exp(of_reference) + (1 - a)))

    ratios = [ratio(of_target, of_reference) for of_target, of_reference in zip(*z, strict=True)]
    wins = [ratio(*x) / of_other >= gamma for of_other in ratios]
    return sum(wins) / len(wins), math.log(ratio(*x)) - sum(map(math.log, ratios)) / len(ratios)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("a", [0.2, 0.9, 1.0])
def test_the_definitions(a: float, gamma: float) -> None:
    share = cohort.rmia(OWN, OTHER, *POPULATION, a=a, gamma=gamma)
    gain = cohort.info_rmia(OWN, OTHER, *POPULATION, a=a)
    for i, x in enumerate(zip(OWN, OTHER, strict=True)):
        assert (share[i], gain[i]) == pytest.approx(plain_rmia(x, POPULATION, a, gamma))


def test_a_passage_that_is_in_the_population_ties_with_itself() -> None:
    assert cohort.rmia(-2.5, -3.1, [-2.5], [-3.1], a=0.3) == 1
    assert cohort.rmia(-2.5, -3.1, [-2.5], [-3.1], a=0.3, gamma=1.0001) == 0


def test_one_passage_alone_scores_as_among_others() -> None:
    for function in (cohort.rmia, cohort.info_rmia):
        together = function(OWN, OTHER, *POPULATION, a=0.6)
        assert together.shape == OWN.shape
        for i, score in enumerate(together):
            alone = function(OWN[i], OTHER[i], *POPULATION, a=0.6)
            assert (alone.shape, float(alone)) == ((), score)


numbers = st.integers(-80, -1).map(lambda n: n / 8)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40)


def columns(rows: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    return np.array([of_target for of_target, _ in rows]), np.array([of_reference for _, of_reference in rows])


@steady
@given(pairs, pairs, st.sampled_from([0.25, 1.0]), st.randoms(use_true_random=False))
def test_what_must_hold_of_both(
    rows: list[tuple[float, float]], z: list[tuple[float, float]], a: float, rng: Any
) -> None:
    of_target, of_reference = columns(rows)
    others = columns(z)
    share, gain = (
        cohort.rmia(of_target, of_reference, *others, a=a),
        cohort.info_rmia(of_target, of_reference, *others, a=a),
    )
    assert ((share >= 0) & (share <= 1)).all()
    shuffled = columns(rng.sample(z, len(z)))
    assert (cohort.rmia(of_target, of_reference, *shuffled, a=a) == share).all()
    assert cohort.info_rmia(of_target, of_reference, *shuffled, a=a) == pytest.approx(gain, abs=1e-12)
    assert (cohort.rmia(of_target + 0.125, of_reference, *others, a=a) >= share).all()
    assert (cohort.info_rmia(of_target + 0.125, of_reference, *others, a=a) > gain).all()
    assert (cohort.rmia(of_target, of_reference - 0.125, *others, a=a) >= share).all(), "a worse reference"
    by_gain = share[np.argsort(gain, kind="stable")]
    assert (np.diff(by_gain) >= 0).all(), "one order, and RMIA has ties in it"


@steady
@given(pairs, pairs)
def test_at_a_of_one_a_shift_of_either_model_as_a_whole_drops_out(
    rows: list[tuple[float, float]], z: list[tuple[float, float]]
) -> None:
    (of_target, of_reference), (z_target, z_reference) = columns(rows), columns(z)
    shifted = of_target - 2, of_reference - 1, z_target - 2, z_reference - 1
    assert (cohort.rmia(*shifted) == cohort.rmia(of_target, of_reference, z_target, z_reference)).all()
    assert cohort.info_rmia(*shifted) == pytest.approx(
        cohort.info_rmia(of_target, of_reference, z_target, z_reference), abs=1e-12
    )


def test_at_the_authors_a_the_reference_drops_out_of_text() -> None:
    rng = np.random.default_rng(2)
    hardness = rng.normal(-3, 0.5, size=400)
    of_target, of_reference = hardness + rng.normal(0, 0.1, size=400), hardness

    def agrees_with_the_loss(a: float) -> float:
        return float(np.corrcoef(cohort.log_likelihood_ratio(of_target, of_reference, a=a), of_target)[0, 1])

    assert agrees_with_the_loss(0.3) > 0.99
    assert agrees_with_the_loss(1.0) < 0.4


def test_likelihoods_that_would_underflow_do_not() -> None:
    assert cohort.log_likelihood_ratio(-5000.0, -6000.0) == 1000
    assert cohort.log_likelihood_ratio(-5000.0, -6000.0, a=0.5) == pytest.approx(-5000 - math.log(0.25))


def test_rmia_of_non_members_is_uniform_and_of_members_is_not() -> None:
    """Non-members of the population's source score uniformly: a share above 1 − α comes with probability α or less."""
    rng = np.random.default_rng(11)
    alarms, detected = [], []
    for _ in range(400):
        z = rng.normal(size=(2, 99))
        x = rng.normal(size=(2, 20))
        alarms.append((cohort.rmia(*x, *z) >= 0.9).mean())  # 90 of 99 or more below: 10 places of 100
        detected.append((cohort.rmia(x[0] + 2, x[1], *z) >= 0.9).mean())  # the twin: a shifted target
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.015)
    assert np.mean(detected) > 0.4


@pytest.mark.parametrize(
    ("target", "reference", "error", "message"),
    [
        ([], [], UsageError, "at least 1 passage"),
        ([-1.0, -2.0], [-1.0], UsageError, "the target has scores of 2, the reference of 1"),
        ([[-1.0]], [[-1.0]], UsageError, "at least 1 passage"),
        ([-1.0, math.nan, -2.0], [-1.0, -1.0, -1.0], InputError, "1 of 3 population passages .* at position 1"),
        ([-1.0, -1.0], [-1.0, -math.inf], InputError, "1 of 2 .* at position 1: remove them from `population`"),
        ([math.inf, math.nan], [-1.0, -1.0], InputError, "2 of 2 .* at position 0"),
    ],
)
def test_a_population_that_would_need_dropping_is_refused(
    target: Any, reference: Any, error: type[LlmMiaError], message: str
) -> None:
    for function in (cohort.rmia, cohort.info_rmia):
        with pytest.raises(error, match=message):
            function(-1.0, -2.0, target, reference)


def test_a_passage_without_a_likelihood_has_no_score() -> None:
    for function in (cohort.rmia, cohort.info_rmia):
        for of_target, of_reference in ((math.nan, -1.0), (-1.0, math.nan)):
            assert np.isnan(function([of_target, -1.0], [of_reference, -2.0], *POPULATION)).tolist() == [True, False]


# --- tokens -------------------------------------------------------------------------------------------------


def distributions(rng: np.random.Generator, words: int, apart: float) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """log p of target and reference over *words* at 200 places, and the token that stands there."""
    logits = rng.normal(scale=2, size=(200, words))
    moved = logits + rng.normal(scale=apart, size=logits.shape)
    of_target, of_reference = (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)) for scores in (moved, logits))
    return of_target, of_reference, rng.integers(0, words, 200)


def papers(of_target: Floats, of_reference: Floats, token: NDArray[np.int64]) -> Floats:
    """Token-level InfoRMIA of taojiashu/mimir, mimir/attacks/info_rmia.py, before it is negated."""
    at = np.arange(len(token)), token
    return np.asarray((of_target - of_reference)[at] - (np.exp(of_reference) * (of_target - of_reference)).sum(axis=1))


@pytest.mark.parametrize("apart", [0.1, 1.0, 3.0])
def test_the_token_score_is_the_papers_less_what_the_other_tokens_add(apart: float) -> None:
    of_target, of_reference, token = distributions(np.random.default_rng(3), 50, apart)
    at = np.arange(200), token
    rest = np.ones_like(of_target, dtype=bool)
    rest[at] = False
    p, q = (np.exp(probabilities)[rest].reshape(200, 49) for probabilities in (of_target, of_reference))
    p, q = (probabilities / probabilities.sum(axis=1, keepdims=True) for probabilities in (p, q))
    among_the_others = (1 - np.exp(of_reference[at])) * (q * np.log(q / p)).sum(axis=1)
    of_the_token = cohort.token_info_rmia(of_target[at], of_reference[at])
    assert of_the_token + among_the_others == pytest.approx(papers(of_target, of_reference, token), abs=1e-9)
    assert (among_the_others > 0).all()


def test_on_two_words_the_token_score_is_the_papers() -> None:
    of_target, of_reference, token = distributions(np.random.default_rng(4), 2, 1.0)
    at = np.arange(200), token
    assert cohort.token_info_rmia(of_target[at], of_reference[at]) == pytest.approx(
        papers(of_target, of_reference, token), abs=1e-9
    )


def test_the_token_score_has_mean_zero_under_the_reference() -> None:
    p, q = 0.7, 0.2
    came, another = cohort.token_info_rmia(np.log([p]), np.log([q]))[0], math.log((1 - p) / (1 - q)) - math.log(p / q)
    # x_t comes with probability q, and then counts `came`; where another comes, the same centring applies to it
    assert q * came + (1 - q) * (came + another) == pytest.approx(0, abs=1e-12)


@steady
@given(st.floats(-20, -0.01), st.floats(-20, -0.01), st.floats(0.001, 5))
def test_the_token_score_rises_with_the_target_and_agrees_in_sign_with_the_gain(
    of_target: float, of_reference: float, more: float
) -> None:
    score = float(cohort.token_info_rmia(of_target, of_reference))
    assert float(cohort.token_info_rmia(min(of_target + more, -0.001), of_reference)) >= score
    assert score == 0 if of_target == of_reference else (score > 0) == (of_target > of_reference)


def test_the_token_score_at_certainty_is_finite_and_at_nan_is_nan() -> None:
    sure = np.array([0.0, 0.0, -1e-9, 1e-7, -80.0], dtype=np.float32)
    assert np.isfinite(cohort.token_info_rmia(sure, sure[::-1])).all()
    assert (cohort.token_info_rmia(sure, sure) == 0).all()
    broken = cohort.token_info_rmia([math.nan, -1.0, -1.0], [-1.0, math.nan, -1.0])
    assert np.isnan(broken).tolist() == [True, True, False]
