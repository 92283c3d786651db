"""Attacks that compare a passage with a population from the same source (formulas: `llm_mia.attacks.cohort`)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..records import GainNull, Population
from . import cohort
from ._fields import Likelihoods, TokenLikelihoods
from ._gain_null import standardised_excess, summed_excess
from ._registry import Positive, Share, attack

__all__ = ["excess_gain", "info_rmia", "rmia"]


@attack("rmia", paper="Zarifzadeh et al. 2024, arXiv:2312.03262")
def rmia(
    target: Likelihoods,
    aligned_reference: Likelihoods,
    population: Population,
    *,
    a: Share = 1.0,
    gamma: Positive = 1.0,
) -> float:
    """Share of the population whose gain over the reference model this passage exceeds, 0 to 1.

    p(x) is the geometric mean of the tokens' probabilities. The authors' library sets *a* to 0.3, which suits
    classifiers that are almost certain of their training images. For text, p_OUT is a few per cent, 1 − a outweighs it,
    the reference model has no influence, and the score is little more than the loss. With ``a=1`` the two models are
    compared directly. The score is a step function: with m passages, it resolves no false-positive rate below 1 / m.

        LR(x) = p(x | θ) / (½ · ((1 + a) · p_OUT(x) + 1 − a))
        score = #{z : LR(x) / LR(z) ≥ γ} / m

    >>> from llm_mia import TokenSignals
    >>> ours, theirs = (TokenSignals.of(v) for v in ([-1, -2], [-2, -4]))
    >>> others = Population(np.array([-1.0, -2.0, -3.0, -1.0]), np.array([-1.0, -3.0, -4.0, -4.0]))
    >>> rmia(ours, theirs, others)  # gains 1.5 against 0, 1, 1, 3
    0.75
    """
    means = target.logprob.mean(dtype=np.float64), aligned_reference.logprob.mean(dtype=np.float64)
    return float(cohort.rmia(*means, population.target, population.reference, a=a, gamma=gamma))


@attack("info_rmia", paper="Tao and Shokri 2025, arXiv:2510.05582")
def info_rmia(target: Likelihoods, aligned_reference: Likelihoods, population: Population, *, a: Share = 1.0) -> float:
    """Gain over the reference model less the population's mean gain, nats per token.

    The population sets the zero, not the order: with ``a=1`` this ranks the passages of an audit as ``reference`` does.
    *a* is that of ``rmia``. The authors' code for language models uses neither *a* nor a population, and has the
    opposite sign.

        log LR(x) − 1/m · Σ_z log LR(z)

    >>> from llm_mia import TokenSignals
    >>> ours, theirs = (TokenSignals.of(v) for v in ([-1, -2], [-2, -4]))
    >>> others = Population(np.array([-1.0, -2.0]), np.array([-1.0, -3.0]))
    >>> info_rmia(ours, theirs, others)  # 1.5 − (0 + 1) / 2
    1.0
    """
    means = target.logprob.mean(dtype=np.float64), aligned_reference.logprob.mean(dtype=np.float64)
    return float(cohort.info_rmia(*means, population.target, population.reference, a=a))


@attack("excess_gain", paper="ours; nearest is Watson et al. 2022, arXiv:2111.08440")
def excess_gain(
    target: TokenLikelihoods,
    aligned_reference: Likelihoods,
    gain_null: GainNull,
    text: str,
    *,
    form: Literal["scaled", "sum"] = "scaled",
) -> float:
    """Gain over the reference model beyond the population's on the same tokens, divided by its usual spread.

    Two models of the same kind differ most in how likely single tokens are under them, whatever the passage. This is
    most of the noise of a mean gain, and the population shows it. The population must hold known non-members, the more
    the better (scripts/results/attacks-tail.md has 250 to 2,000), and no passage of a document that sets a threshold:
    its scores would be too small, and too much would be flagged. ``form=sum`` leaves out the mean and the spread of
    such passages.

        e_t = log p_T(x_t | x_<t) − log p_R(x_t | x_<t) − b(x_t)
        b(v) = sum of the gains of token v in the population / (its occurrences there + 10)
        sum: S = 1/√n · Σ_t e_t
        scaled: (S − m(z)) / τ(z), m and log τ linear in z, both ridge regressions on the population
        z: mean and spread of the reference's losses, log n, 1/√n, zlib's bytes a byte of text, bytes a token

    >>> from llm_mia import TokenSignals
    >>> new, old = (TokenSignals.of(v, token_ids=[0, 1, 1, 7]) for v in ([-1, -2, -3, -1], [-2, -4, -3, -1]))
    >>> null = GainNull(np.arange(2), np.array([0.5, 0.25]), mean=np.eye(7)[0], log_spread=np.eye(7)[0] * np.log(2))
    >>> excess_gain(new, old, null, "four words of text", form="sum")  # (1 − 0.5 + 2 − 0.25 + 0 − 0.25 + 0) / 2
    1.0
    >>> excess_gain(new, old, null, "four words of text")  # (1 − 1) / 2
    0.0
    """
    if form == "sum":
        return summed_excess(target, aligned_reference, gain_null)
    return standardised_excess(target, aligned_reference, text, gain_null)
