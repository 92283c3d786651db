"""Evidence from shadow models: the choice of shadows keeps target and shadows exchangeable, and so the error rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_mia.attacks import choose_shadows, cohort
from llm_mia.metrics import delong

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Choose = Callable[[Bools, str, int | None], NDArray[np.intp]]
ALPHA = 0.1
SCORES = ("lira online", "lira offline", "rmia online", "rmia offline")
FORMS: dict[str, cohort.Form] = {"online": "online", "offline": "offline"}


def halves(rng: np.random.Generator, passages: int, shadows: int) -> Bools:
    """Each passage in a random half of the shadows, shape (passages, shadows)."""
    balanced = np.tile(np.arange(shadows) < shadows // 2, (passages, 1))
    return rng.permuted(balanced, axis=1)


# Which shadows are chosen


@pytest.mark.parametrize("shadows", [4, 8])
def test_as_many_shadows_of_each_kind_whoever_is_in_the_place(shadows: int) -> None:
    for row, inside in enumerate(halves(np.random.default_rng(0), 30, shadows)):
        for place in (None, *range(shadows)):
            chosen = choose_shadows(inside, seed=3, text=f"text {row}", place=place)
            assert chosen.tolist() == sorted(set(chosen.tolist()) - {place})
            kinds = inside[chosen].sum(), (~inside[chosen]).sum()
            assert kinds == (shadows // 2 - 1, shadows // 2 - 1)


def test_of_a_passage_outside_the_pool_shadows_are_drawn_without_the_place() -> None:
    outside, drawn = np.zeros(8, dtype=np.bool_), np.zeros(8)
    for row in range(2000):
        chosen = choose_shadows(outside, seed=0, text=str(row))
        drawn[chosen] += 1
        assert len(chosen) == 3
        assert 5 not in choose_shadows(outside, seed=0, text=str(row), place=5)
    # Each shadow is drawn with probability 3/8: 5 standard deviations of a binomial count of 2,000.
    assert drawn == pytest.approx(np.full(8, 750), abs=5 * math.sqrt(2000 * 3 / 8 * 5 / 8))


def test_the_shadow_that_is_left_out_is_random_and_depends_on_seed_and_text_alone() -> None:
    inside = np.arange(8) < 4
    left_out = np.zeros(8)
    for row in range(2000):
        chosen = choose_shadows(inside, seed=0, text=str(row))
        assert chosen.tolist() == choose_shadows(inside, seed=0, text=str(row)).tolist()
        left_out += ~np.isin(np.arange(8), chosen)
    # 1 of the 4 shadows of each kind is left out: 5 standard deviations of a binomial count of 2,000.
    assert left_out == pytest.approx(np.full(8, 500), abs=5 * math.sqrt(2000 / 4 * 3 / 4))
    other = [choose_shadows(inside, seed=1, text=str(row)).tolist() for row in range(50)]
    assert other != [choose_shadows(inside, seed=0, text=str(row)).tolist() for row in range(50)]


# The error rate: a threshold from the shadows' scores of passages that they were not trained on, applied to the target

SPREAD_IN, SPREAD_OUT, GAIN, POOL, WORLDS = 0.8, 0.6, 1.0, 120, 40


def by_rule(inside: Bools, text: str, place: int | None) -> NDArray[np.intp]:
    return choose_shadows(inside, seed=0, text=text, place=place)


def every_shadow_of_the_target(inside: Bools, text: str, place: int | None) -> NDArray[np.intp]:
    """A planted fault: for the target itself no shadow is left out."""
    return np.arange(len(inside)) if place is None else by_rule(inside, text, place)


def all_others(inside: Bools, _: str, place: int | None) -> NDArray[np.intp]:
    """A planted fault: every shadow but the one in the target's place, so that its kind has one less."""
    return np.flatnonzero(np.arange(len(inside)) != place)


class World:
    """A pool, shadows and a target, with normally distributed likelihoods; a passage is as hard for all models."""

    def __init__(self, seed: int, *, shadows: int, choose: Choose = by_rule, gain: float = GAIN) -> None:
        rng = np.random.default_rng(seed)
        self.seed, self.choose = seed, choose
        self.inside = halves(rng, POOL, shadows)
        self.member = rng.random(POOL) < 0.5
        within = np.column_stack([self.inside, self.member])
        spread_in = SPREAD_IN if gain else SPREAD_OUT
        noise = rng.normal(size=within.shape) * np.where(within, spread_in, SPREAD_OUT)
        self.logprob = rng.normal(-3, 0.7, size=(POOL, 1)) + gain * within + noise
        self.places = (*range(shadows), None)
        self.used = {place: self._used(place) for place in self.places}

    def _used(self, place: int | None) -> Bools:
        """Which shadows are evidence for each passage, shape (passages, shadows)."""
        used = np.zeros(self.inside.shape, dtype=np.bool_)
        for row, inside in enumerate(self.inside):
            used[row, self.choose(inside, f"{self.seed} {row}", place)] = True
        return used

    def scores(self, score: str, place: int | None) -> Floats:
        """Of every passage of the pool, with the shadow in this *place*, or the target."""
        of_target = self.logprob[:, -1 if place is None else place]
        used = self.used[place]
        kind, form = score.split()
        shadows = self.logprob[:, :-1][used].reshape(POOL, -1)
        inside = self.inside[used].reshape(POOL, -1)
        if kind == "rmia":
            ratios = cohort.shadow_ratio(of_target, shadows, inside, form=FORMS[form])
            return cohort.share_exceeded(ratios, np.sort(ratios))
        spreads = {"spread_in": SPREAD_IN, "spread_out": SPREAD_OUT}
        return cohort.lira(of_target, shadows, inside, **spreads, form=FORMS[form])

    def realised(self, score: str, *, members_too: bool = False) -> float:
        """The rate at which the target's non-members pass the (1 − α) quantile of the shadows' out-scores."""
        calibration = np.sort(np.concatenate([
            self.scores(score, place)[~self.inside[:, place] | members_too] for place in self.places[:-1]
        ]))  # fmt: skip
        rank = math.ceil((len(calibration) + 1) * (1 - ALPHA))
        return float((self.scores(score, None)[~self.member] > calibration[rank - 1]).mean())


world = cache(World)  # several tests use the same worlds


def excess(rates: Iterable[float], expected: float) -> float:
    """How far the mean of *rates*, of independent worlds, lies from the *expected* value, in its standard errors."""
    values = np.array(list(rates))
    return float((values.mean() - expected) / (values.std(ddof=1) / math.sqrt(len(values))))


@pytest.mark.parametrize("shadows", [4, 8])
@pytest.mark.parametrize("score", SCORES)
def test_the_targets_nonmembers_are_flagged_at_the_rate_of_the_shadows(score: str, shadows: int) -> None:
    rates = [world(seed, shadows=shadows).realised(score) for seed in range(WORLDS)]
    assert abs(excess(rates, ALPHA)) < 4


@pytest.mark.parametrize("choose", [every_shadow_of_the_target, all_others])
@pytest.mark.parametrize("score", ["lira online", "lira offline"])
def test_a_rule_that_gives_the_target_more_shadows_breaks_the_rate(score: str, choose: Choose) -> None:
    assert excess((world(seed, shadows=4, choose=choose).realised(score) for seed in range(WORLDS)), ALPHA) < -4


def test_a_calibration_on_members_of_the_shadows_too_breaks_the_rate() -> None:
    rates = [world(seed, shadows=4).realised("lira offline", members_too=True) for seed in range(WORLDS)]
    assert excess(rates, ALPHA) < -4


def test_where_training_changes_nothing_the_shadows_do_not_tell_members_from_others() -> None:
    """With all other shadows, members would have fewer shadows that were trained on them, and lower scores."""

    def aurocs(choose: Choose) -> Iterator[float]:
        for seed in range(WORLDS):
            made = world(seed, shadows=4, choose=choose, gain=0.0)
            scores = np.concatenate([made.scores("lira online", place) for place in range(4)])
            yield delong(scores, made.inside.T.ravel()).value

    assert abs(excess(aurocs(by_rule), 0.5)) < 4
    assert excess(aurocs(all_others), 0.5) < -4
