"""The lower bound on ε from guesses about canaries: texts of which a coin decided whether each was trained on."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UsageError
from ._intervals import tail_of
from ._rates import LARGEST_EPSILON

__all__ = ["epsilon_of_guesses"]


def epsilon_of_guesses(
    correct: int, guesses: int, canaries: int, *, delta: float = 0.0, confidence: float = 0.95
) -> float:
    """A lower bound on ε from guesses about a single training: with at least *confidence*, its ε at *delta* is larger.

    The guarantee is for canaries that were each trained on with probability 1/2, independently of each other and of
    anything else, and for differential privacy where two data sets differ by a text that is in only one of them: that
    of DP-SGD's accountants. Somebody who sees nothing but what the training released guesses, for some of the canaries,
    whether each was trained on. Under (ε, 0)-differential privacy the number of correct guesses is stochastically at
    most binomial with probability e^ε / (1 + e^ε), and δ adds at most 2·canaries·δ·α to the probability of so many. The
    guesses may use all scores at once. Their number must be fixed before the scores are seen.

    Args:
        correct: how many guesses are right.
        guesses: how many canaries were guessed about.
        canaries: how many there are, those included about which nothing was guessed.
        delta: δ.
        confidence: of the bound.

    Raises:
        UsageError: not 0 ≤ *correct* ≤ *guesses* ≤ *canaries*, *delta* lies outside [0, 1), or *confidence* outside
            (0, 1).

    Steinke, Nasr and Jagielski 2023, arXiv:2305.08846, Corollary 5.4 and the program of Appendix D, whose example is
    the first:

    >>> round(epsilon_of_guesses(75, 100, 1000, delta=1e-4), 3), epsilon_of_guesses(50, 100, 100)
    (0.673, 0.0)
    """
    tail_of(confidence)
    if not 0 <= correct <= guesses <= canaries:
        raise UsageError(
            f"`correct` must lie in 0..`guesses`, and `guesses` in 0..`canaries`: got {correct}, {guesses}, {canaries}"
        )
    if not 0 <= delta < 1:
        raise UsageError(f"`delta` must lie in 0..1, 1 excluded: got {delta:g}")
    low, high = 0.0, LARGEST_EPSILON
    if _probability(correct, guesses, canaries, low, delta) >= 1 - confidence:
        return 0.0
    # An ε is refuted where so many correct guesses have a probability below 1 - confidence. A training that is private
    # for some ε is private for every larger one, so each refuted ε is a lower bound, and `low` always is.
    while high - low > 1e-6:
        middle = (low + high) / 2
        refuted = _probability(correct, guesses, canaries, middle, delta) < 1 - confidence
        low, high = (middle, high) if refuted else (low, middle)
    return low


def _probability(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """The largest probability of at least *correct* correct guesses under (*epsilon*, *delta*)-differential privacy."""
    from scipy.special import bdtrc, gammaln

    if correct == 0:
        return 1.0
    right = 1 / (1 + math.exp(-epsilon))
    at_least = float(bdtrc(correct - 1, guesses, right))
    if delta == 0:
        return at_least
    fewer = np.arange(correct - 1, -1, -1)
    ways = gammaln(guesses + 1) - gammaln(fewer + 1) - gammaln(guesses - fewer + 1)
    # log(1 - right) = -ε - log(1 + e^-ε), which keeps its precision where `right` rounds to 1
    logs = ways + fewer * math.log(right) + (guesses - fewer) * (-epsilon - math.log1p(math.exp(-epsilon)))
    alpha = float((np.cumsum(np.exp(logs)) / np.arange(1, correct + 1)).max())
    return min(1.0, at_least + 2 * canaries * delta * alpha)
