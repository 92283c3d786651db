"""The ε that canaries show: as the paper computes it, valid for every private mechanism, and large without privacy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from llm_mia.defenses import Canaries, EmpiricalEpsilon, empirical_epsilon, flip_coins, insert_canaries
from llm_mia.errors import ScoresError, UsageError
from llm_mia.metrics import epsilon_of_guesses
from llm_mia.store import from_json, to_json

from .conftest import sentences

# The bound


@pytest.mark.parametrize(
    ("correct", "guesses", "canaries", "delta", "published"),
    [(75, 100, 1000, 1e-4, 0.673), (1439, 1510, 100_000, 1e-5, 2.675)],
)
def test_the_values_that_the_paper_prints(
    correct: int, guesses: int, canaries: int, delta: float, published: float
) -> None:
    """arXiv:2305.08846, Appendix D and section 7; the second is cut after three decimals, and not rounded."""
    assert abs(epsilon_of_guesses(correct, guesses, canaries, delta=delta) - published) < 1e-3


@pytest.mark.parametrize("delta", [0.0, 1e-3])
@pytest.mark.parametrize(("correct", "guesses", "canaries"), [(20, 20, 40), (15, 20, 20), (31, 40, 200)])
def test_the_bound_inverts_the_sum_of_the_paper(correct: int, guesses: int, canaries: int, delta: float) -> None:
    """Term by term as in Appendix D, with scipy's binomial: at the bound the probability is 5 %."""
    epsilon = epsilon_of_guesses(correct, guesses, canaries, delta=delta)
    right = 1 / (1 + math.exp(-epsilon))
    alpha = total = 0.0
    for i in range(1, correct + 1):
        total += binom.pmf(correct - i, guesses, right)
        alpha = max(alpha, total / i)
    probability = binom.sf(correct - 1, guesses, right) + 2 * canaries * delta * alpha
    assert probability == pytest.approx(0.05, abs=1e-5)  # the bisection ends at 1e-6 of ε; its slope is below 10


def test_the_bound_rises_with_what_is_known() -> None:
    correct = [epsilon_of_guesses(v, 60, 60) for v in range(61)]
    assert correct == sorted(correct)
    assert correct[30] == 0 < correct[60]
    deltas = [epsilon_of_guesses(60, 60, 60, delta=d) for d in (0.0, 1e-4, 1e-3, 1e-2, 0.5)]
    assert deltas == sorted(deltas, reverse=True)
    assert deltas[-1] == 0
    assert epsilon_of_guesses(55, 60, 60, confidence=0.99) < epsilon_of_guesses(55, 60, 60, confidence=0.9)
    assert epsilon_of_guesses(0, 0, 10) == 0
    assert epsilon_of_guesses(10**4, 10**4, 10**4, delta=1e-9) < 100


@pytest.mark.parametrize(
    ("numbers", "settings", "message"),
    [
        ((3, 2, 4), {}, "`correct` must lie in 0..`guesses`, and `guesses` in 0..`canaries`: got 3, 2, 4"),
        ((2, 5, 4), {}, "`correct` must lie in 0..`guesses`, and `guesses` in 0..`canaries`: got 2, 5, 4"),
        ((1, 2, 4), {"delta": 1.0}, "`delta` must lie in 0..1, 1 excluded: got 1"),
        ((1, 2, 4), {"confidence": 1.0}, "`confidence` must lie between 0 and 1, both excluded: got 1"),
    ],
)
def test_counts_that_make_no_sense(numbers: tuple[int, int, int], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        epsilon_of_guesses(*numbers, **settings)
    assert str(caught.value) == message


# Canaries


def test_canaries_are_random_texts_of_the_same_words() -> None:
    texts = [f"{text} word{i} other{i}" for i, text in enumerate(sentences(60, seed=1))]
    canaries = insert_canaries(texts, 200, seed=3)
    every = [*canaries.inside, *canaries.outside]
    assert len(set(every)) == 200
    assert not {*every} & {*texts}
    assert {word for text in every for word in text.split()} <= {word for text in texts for word in text.split()}
    assert {len(text.split()) for text in every} == {16}
    assert insert_canaries(texts, 200, seed=3) == canaries != insert_canaries(texts, 200, seed=4)
    # A fair coin: five standard deviations of a binomial share of 200.
    assert abs(len(canaries.inside) / 200 - 0.5) < 5 * math.sqrt(0.25 / 200)


def test_texts_of_few_words_have_canaries_of_letters() -> None:
    canaries = insert_canaries(["一個沒有空格的文本" * 10, "a b"], 50, seed=0)
    every = [*canaries.inside, *canaries.outside]
    assert len(set(every)) == 50
    assert all(text.isascii() for text in every)


def test_a_coin_depends_on_the_seed_and_the_text_alone() -> None:
    texts = sentences(300, seed=2)[:100]
    texts = list(dict.fromkeys(texts))
    inside = {*flip_coins(texts, 0).inside}
    assert {*flip_coins(texts[::-1], 0).inside} == inside
    assert {*flip_coins(texts[:50], 0).inside} == inside & {*texts[:50]}
    others = {*flip_coins(texts, 1).inside}
    # Coins of two seeds are independent: they agree for half of the texts, within five standard deviations.
    agreeing = sum((text in inside) == (text in others) for text in texts) / len(texts)
    assert abs(agreeing - 0.5) < 5 * math.sqrt(0.25 / len(texts))
    with pytest.raises(UsageError, match="the canary 'a' occurs twice: give different texts"):
        flip_coins(["a", "b", "c", "a"], 0)
    with pytest.raises(UsageError, match="there are 3 canaries: give at least 4 texts"):
        flip_coins(["a", "b", "c"], 0)
    with pytest.raises(UsageError, match="`canaries` is 3: it must be at least 4"):
        insert_canaries(sentences(9), 3, 0)


# Guesses


def of(inside: int, outside: int) -> Canaries:
    return Canaries(tuple(f"in {i}" for i in range(inside)), tuple(f"out {i}" for i in range(outside)))


def test_the_highest_are_guessed_inside_and_the_lowest_outside() -> None:
    shown = empirical_epsilon(of(5, 3), [9, 8, 1, 5, 5], [2, 7, 5])
    # Of eight, two are guessed inside (9, 8) and two outside (1, 2).
    assert (shown.guesses, shown.correct, shown.canaries) == (4, 3, 8)
    assert shown.lower == epsilon_of_guesses(3, 4, 8)
    assert shown.highest == epsilon_of_guesses(4, 4, 8)
    everything = empirical_epsilon(of(5, 3), [9, 8, 1, 5, 5.5], [2, 7, 4], guesses=8, delta=1e-3)
    assert (everything.correct, everything.delta) == (5, 1e-3)
    assert from_json(EmpiricalEpsilon, to_json(shown)) == shown
    assert empirical_epsilon(of(4, 4), [math.inf] * 4, [-math.inf] * 4).correct == 4


def test_equal_scores_do_not_give_the_coins_away() -> None:
    """All scores are equal: the guesses are right as often as a coin is, and not for all that are listed first."""
    correct = [empirical_epsilon(insert_canaries([], 60, seed), *scores(seed)).correct for seed in range(40)]
    # 40 times 30 guesses: five standard deviations.
    assert abs(np.mean(correct) / 30 - 0.5) < 5 * math.sqrt(0.25 / (40 * 30))


def scores(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    canaries = insert_canaries([], 60, seed)
    return np.zeros(len(canaries.inside)), np.zeros(len(canaries.outside))


@pytest.mark.parametrize(
    ("inside", "outside", "settings", "error", "message"),
    [
        ([1.0] * 3, [1.0] * 4, {}, ScoresError, "there are 3 scores for 4 canaries inside: give a score for each"),
        ([1.0] * 4, [1.0] * 5, {}, ScoresError, "there are 5 scores for 4 canaries outside: give a score for each"),
        ([1, math.nan, 2, 3], [1.0] * 4, {}, ScoresError, "the score of the canary 'in 1' is NaN: use an attack that"),
        ([1.0] * 4, [1.0] * 4, {"guesses": 3}, UsageError, "`guesses` is 3: it must be an even number from 2 to 8, "),
        ([1.0] * 4, [1.0] * 4, {"guesses": 10}, UsageError, "`guesses` is 10: it must be an even number from 2 to 8, "),
    ],
)
def test_scores_that_cannot_be_used(
    inside: list[float], outside: list[float], settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        empirical_epsilon(of(4, 4), inside, outside, **settings)


# Coverage: randomised response is the mechanism of a known ε for which the bound is tightest.

RUNS, CONFIDENCE = 4000, 0.95
# Share of runs in which the bound may exceed the true ε: 5 % and five standard deviations of a share of RUNS.
MOST_WRONG = (1 - CONFIDENCE) + 5 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / RUNS)


def shares_above(claimed: float, true: float, *, count: int = 40, leaked: float = 0.0, delta: float = 0.0) -> float:
    """Share of runs whose bound exceeds the *claimed* ε, where each coin is published by randomised response of ε
    *true*; with the probability *leaked*, a coin is published as it is."""
    rng = np.random.default_rng(0)
    honest = rng.random((RUNS, count)) < 1 / (1 + math.exp(-true))
    correct = (honest | (rng.random((RUNS, count)) < leaked)).sum(1)
    bounds = {v: epsilon_of_guesses(int(v), count, count, delta=delta) for v in np.unique(correct)}
    return float(np.mean([bounds[v] > claimed for v in correct]))


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_the_bound_exceeds_the_true_epsilon_in_at_most_5_percent_of_runs(epsilon: float) -> None:
    assert shares_above(epsilon, epsilon) <= MOST_WRONG
    # Binomial counts take few values; with 40 guesses, the largest probability of at most 5 % is above 1 %.
    assert shares_above(epsilon, epsilon) > 0.005, "the bound is not needlessly wide"


def test_a_claim_that_is_too_small_is_refuted() -> None:
    assert shares_above(0.5, 2.0) > 0.9
    assert shares_above(0.5, 0.5, leaked=0.7) > 0.9


def test_delta_allows_for_coins_that_are_published() -> None:
    """A share δ of the coins is published as it is; a bound that ignores δ is wrong too often."""
    assert shares_above(0.5, 0.5, leaked=0.15, delta=0.15) <= MOST_WRONG
    assert shares_above(0.5, 0.5, leaked=0.15) > MOST_WRONG


def test_scores_of_a_private_mechanism_through_ranks_and_abstentions() -> None:
    """Scores are the coins with Laplace noise, which is ε-private for each coin; half of the canaries are guessed."""
    rng, epsilon, wrong = np.random.default_rng(1), 1.0, 0
    runs = 600
    for _ in range(runs):
        inside = int(rng.binomial(60, 0.5))
        noisy = rng.laplace(scale=1 / epsilon, size=60)
        shown = empirical_epsilon(of(inside, 60 - inside), noisy[:inside] + 1, noisy[inside:])
        wrong += shown.lower > epsilon
    assert wrong / runs <= 0.05 + 5 * math.sqrt(0.05 * 0.95 / runs)
