"""The power of a test of canaries that is only planned: from scores of variants by models whose training is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import Interval
from ._effect import mean_with_interval
from ._statistic import MOST_CHOICES, differences_of, draw_test

__all__ = [
    "MeasuredEffect",
    "documents_for",
    "fewest_documents",
    "interval_over_pilots",
    "least_level",
    "measured_effect",
    "power_of_test",
]

Floats = NDArray[np.float64]
STEP = 1 / 64
"""Width of the classes of differences whose sums are computed exactly."""
MOST_EXACT = 200
"""Documents up to which the distribution of the sum is computed; of more it is taken as normal."""
SIMULATED = 300
"""Designs that are simulated where few draws are possible."""
FEW_DRAWS = 20
"""So many of all possible draws lie within the level, or fewer, where designs are simulated: their sums are coarse."""
MOST_DOCUMENTS = 10_000_000
"""A design of more documents is no design."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredEffect:
    """What the documents of pilots add to the statistic of the test, where the training is known."""

    differences: tuple[Floats, ...]
    """Of each document, what each variant would add to the sum if it were public (`differences_of`)."""
    public: Floats
    """Of each document, what its public variant adds."""
    effect: Interval
    """The mean of these, with an interval over pilots and their documents (`interval_over_pilots`)."""


def measured_effect(pilots: Sequence[tuple[Sequence[Floats], Sequence[int]]]) -> MeasuredEffect:
    """The effect that *pilots* show: of each the scores of the variants of its documents, and which are public."""
    differences, by_pilot = list[Floats](), list[Floats]()
    for scores, public in pilots:
        of_pilot = differences_of(scores)
        by_pilot.append(np.array([each[at] for each, at in zip(of_pilot, public, strict=True)]))
        differences += of_pilot
    return MeasuredEffect(
        tuple(differences), np.concatenate(by_pilot), interval_over_pilots([each.mean() for each in by_pilot])
    )


def interval_over_pilots(means: Sequence[float]) -> Interval:
    """The mean of the *means* of pilots, with a 95 % interval for that of further pilots with further documents.

    Each pilot has a training and documents of its kind, drawn independently, so its mean varies with both. The interval
    is Student's over the means, and covers with a probability of 95 % where these are normal, whatever shares of their
    variance trainings and documents have. Where pilots share documents, it covers further trainings alone.

    >>> interval = interval_over_pilots([0.5, 1.0, 1.5])
    >>> round(interval.value, 3), round(interval.low, 3), round(interval.high, 3)
    (1.0, -0.242, 2.242)
    """
    return mean_with_interval(np.array(means, dtype=np.float64))


def power_of_test(measured: MeasuredEffect, documents: int, level: float) -> Interval:
    """The probability that `draw_test` gives a p-value of at most *level* for so many *documents*.

    It holds for documents that are drawn from the same population as those of the pilots, under a model that was
    trained like the pilots, and not under other models. Where the possible draws are so few that at most 20 lie
    within *level*, it is the share of 300 designs of the pilots' documents that reach it in `draw_test` itself. Up to
    200 documents the distributions of the sum, of the public variants and of other draws, are convolutions of those
    of the pilots' documents; above, both are taken as normal. A Monte-Carlo test compares it with `draw_test`, from
    which it differs by at most 0.05 where the pilots' documents are many.

    The ends of the interval are the powers at the ends of the interval of the effect: for these the documents of the
    pilots are weighted, by exponential tilting, so that their mean effect is there. So it covers the power as the
    interval of the effect covers the effect.

    Args:
        measured: what the pilots show.
        documents: of the design, at least `fewest_documents`.
        level: the p-value that is to be reached.
    """
    effect = measured.effect
    value, low, high = (_power(measured, documents, level, mean) for mean in (effect.value, effect.low, effect.high))
    return Interval(value, low, high, effect.confidence)


def documents_for(measured: MeasuredEffect, goal: float, level: float, fewest: int) -> Interval:
    """The fewest documents, from *fewest* on, with which the power is at least *goal*; infinite where none do.

    The guarantee is that of `power_of_test`; the ends are the numbers at the ends of the interval of the effect.
    """
    effect = measured.effect
    value, low, high = (
        _documents(measured, goal, level, fewest, mean) for mean in (effect.value, effect.high, effect.low)
    )
    return Interval(value, low, high, effect.confidence)


def fewest_documents(variants: int, level: float) -> int:
    """The documents from which the test can give a p-value of at most *level* at all.

    >>> fewest_documents(8, 0.01), fewest_documents(2, 0.01)
    (3, 7)
    """
    return math.ceil(math.log(1 / level) / math.log(variants) - 1e-9)


def least_level() -> float:
    """The smallest p-value that the test can give, whatever the number of documents is."""
    return 1 / (1 + MOST_CHOICES)


def _documents(measured: MeasuredEffect, goal: float, level: float, fewest: int, mean: float) -> float:
    if _power(measured, MOST_EXACT, level, mean) >= goal:
        low, high = fewest - 1, max(fewest, MOST_EXACT)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _power(measured, middle, level, mean) >= goal else (middle, high)
        return float(high)
    from scipy.stats import norm

    moments = _moments(measured, mean)
    if moments.mean <= 0:
        return math.inf
    root = (norm.isf(level) * math.sqrt(moments.of_draws) + norm.ppf(goal) * math.sqrt(moments.variance)) / moments.mean
    number = max(float(math.ceil(root**2)), MOST_EXACT + 1.0, float(fewest))
    return number if number <= MOST_DOCUMENTS else math.inf


def _power(measured: MeasuredEffect, documents: int, level: float, mean: float) -> float:
    variants = float(np.mean([len(each) for each in measured.differences]))
    if documents * math.log(variants) <= math.log(min(FEW_DRAWS / level, MOST_CHOICES)):
        return _simulated_power(measured, _tilted(measured.public, mean), documents, level)
    if documents <= MOST_EXACT:
        return _power_of_sums(measured, _tilted(measured.public, mean), documents, level)
    from scipy.stats import norm

    moments = _moments(measured, mean)
    above = math.sqrt(documents) * moments.mean - norm.isf(level) * math.sqrt(moments.of_draws)
    return float(norm.cdf(above / math.sqrt(max(moments.variance, 1e-12))))


@dataclass(frozen=True, slots=True)
class _Moments:
    mean: float
    """Of what a public variant adds."""
    variance: float
    """Of the same."""
    of_draws: float
    """The variance of what a variant adds that is drawn at random; its mean is 0."""


def _moments(measured: MeasuredEffect, mean: float) -> _Moments:
    weights = _tilted(measured.public, mean)
    reached = float(weights @ measured.public)
    of_draws = float(weights @ np.array([float(np.mean(each**2)) for each in measured.differences]))
    return _Moments(reached, float(weights @ (measured.public - reached) ** 2), of_draws)


def _tilted(values: Floats, mean: float) -> Floats:
    """Weights with which the mean of *values* is *mean*: proportional to exp(λ · value), so they change least.

    Beyond the smallest and the largest value there are none, and the mean is as near as a large λ brings it.

    >>> _tilted(np.array([-1.0, 1.0]), 0.5).tolist()
    [0.25, 0.75]
    """
    low, high = -50.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _weights(values, middle) @ values < mean else (low, middle)
    weights = np.round(_weights(values, (low + high) / 2), 12)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _weights(values: Floats, tilt: float) -> Floats:
    weights = np.exp(tilt * (values - (values.max() if tilt > 0 else values.min())))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _simulated_power(measured: MeasuredEffect, weights: Floats, documents: int, level: float) -> float:
    """The share of simulated designs in which `draw_test` has a p-value of at most *level*."""
    rng, reached = np.random.default_rng(0), 0
    public = [int(np.abs(each - at).argmin()) for each, at in zip(measured.differences, measured.public, strict=True)]
    for _ in range(SIMULATED):
        drawn = rng.choice(len(weights), documents, p=weights)
        # What a variant adds is its score on another scale, so it has the same differences.
        test = draw_test([measured.differences[at] for at in drawn], [public[at] for at in drawn])
        reached += test.p_value <= level
    return reached / SIMULATED


def _power_of_sums(measured: MeasuredEffect, weights: Floats, documents: int, level: float) -> float:
    """The probability that the sum over *documents* is so large that other draws reach it with at most *level*."""
    drawn = np.concatenate(measured.differences)
    sizes = np.array([len(each) for each in measured.differences])
    reach = max(1, math.ceil(float(np.abs(drawn).max()) / STEP))
    size = 1 << (2 * reach * documents).bit_length()
    one_public = np.bincount(_places(measured.public, reach), weights, 2 * reach + 1)
    one_drawn = np.bincount(_places(drawn, reach), np.repeat(weights / sizes, sizes), 2 * reach + 1)
    of_public, of_draws = (np.fft.irfft(np.fft.rfft(each, size) ** documents, size) for each in (one_public, one_drawn))
    # The sum lies at its own place: the smallest, −reach · documents, at 0.
    at_least = np.cumsum(np.clip(of_draws, 0.0, None)[::-1])[::-1]
    power = float(of_public[at_least <= level * (1 + 1e-9)].sum())
    return min(1.0, max(0.0, round(power, 12)))


def _places(values: Floats, reach: int) -> NDArray[np.intp]:
    return np.rint(values / STEP).astype(np.intp) + reach
