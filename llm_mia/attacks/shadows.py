"""Attacks that compare the target with shadow models: models that were trained in the same way on known texts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..records import ShadowLikelihoods, ShadowPopulation
from . import cohort
from ._fields import Likelihoods
from ._registry import Positive, Share, attack
from .cohort import Form

__all__ = ["lira", "shadow_rmia"]


@attack("lira", paper="Carlini et al. 2022, arXiv:2112.03570")
def lira(target: Likelihoods, shadows: ShadowLikelihoods, *, form: Form = "online") -> float:
    """Log-likelihood ratio of the target's mean log-likelihood: as of models trained on the passage, or of others.

    Both are normal distributions. The means are those of the passage's shadows; the standard deviations are pooled over
    the pool, because a passage has few shadows. The paper takes the logit of the confidence in a label, log p/(1 − p),
    which is nearer to normal than log p where p is near 1; the probability of a text is near 0, where the two are
    equal. Published code pools the deviations from the mean of all passages, in which is how hard each text is; here
    they are deviations from the passage's mean. Offline, only shadows that were not trained on the passage are used,
    and the order is that of the paper's Φ. Where σ_in < σ_out, the online score falls again above a value beyond μ_in.
    A target under which all passages are a little likelier than under the shadows has more false positives at a
    threshold of theirs, another target fewer; ``shadow_rmia`` compares with a population, which cancels such a shift.

        φ = 1/n · Σ_t log p(x_t | x_<t)
        online: log N(φ; μ_in, σ_in²) − log N(φ; μ_out, σ_out²)
        offline: (φ − μ_out) / σ_out

    >>> from llm_mia import TokenSignals
    >>> ours = TokenSignals.of([-1, -2])
    >>> others = ShadowLikelihoods(np.array([-1.0, -2.0, -3.0]), np.array([True, False, False]), 0.5, 0.5)
    >>> lira(ours, others), lira(ours, others, form="offline")  # φ, μ_in, μ_out = −1.5, −1, −2.5: (4 − 1) / 2, 1 / 0.5
    (1.5, 2.0)
    """
    score = cohort.lira(
        target.logprob.mean(dtype=np.float64),
        shadows.mean_logprob,
        shadows.inside,
        spread_in=shadows.spread_in,
        spread_out=shadows.spread_out,
        form=form,
    )
    return float(score)


@attack("shadow_rmia", paper="Zarifzadeh et al. 2024, arXiv:2312.03262")
def shadow_rmia(
    target: Likelihoods,
    shadows: ShadowLikelihoods,
    shadow_population: ShadowPopulation,
    *,
    form: Form = "online",
    a: Share = 1.0,
    gamma: Positive = 1.0,
) -> float:
    """Share of the shadows' population whose likelihood ratio this passage exceeds, 0 to 1.

    As ``rmia``, with the mean probability under several shadow models in the place of a reference model. *a* and
    *gamma* are those of ``rmia``; online there is no *a*. A passage of the population ties with itself, which adds
    1/m. The score is a step function: with m passages, it resolves no false-positive rate below 1 / m.

        LR(x) = p(x | θ) / p(x);  score = #{z : LR(x) / LR(z) ≥ γ} / m
        online: p(x) = ½ · (mean_in p + mean_out p)
        offline: p(x) = ½ · ((1 + a) · mean_out p + 1 − a)

    >>> from llm_mia import TokenSignals
    >>> inside = np.array([True, False])
    >>> others = ShadowLikelihoods(np.log([0.5, 0.1]), inside, 1.0, 1.0)  # p(x) = 0.3
    >>> population = ShadowPopulation(  # ratios 0.5 and 2
    ...     np.log([0.1, 0.4]), np.log([[0.3, 0.1], [0.1, 0.3]]), np.array([inside, inside]))
    >>> shadow_rmia(TokenSignals.of([np.log(0.45)]), others, population)  # 1.5
    0.5
    """
    ratio = cohort.shadow_ratio(
        target.logprob.mean(dtype=np.float64), shadows.mean_logprob, shadows.inside, form=form, a=a
    )
    return float(cohort.share_exceeded(ratio, _population_ratios(shadow_population, form, a), gamma=gamma))


@lru_cache(maxsize=16)
def _population_ratios(population: ShadowPopulation, form: Form, a: float) -> NDArray[np.float64]:
    """Log-likelihood ratios of the population, in ascending order; computed once for all passages of a model."""
    return cohort.population_ratios(population.target, population.shadows, population.inside, form=form, a=a)
