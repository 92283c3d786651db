"""Attacks over passages × models: the likelihood ratio of a passage, compared with those of a population.

Functions of arrays. The likelihood of a text is the geometric mean of its tokens' probabilities, so they take *mean*
log-likelihoods, nats per token: the product over all tokens would rank passages by their length.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, UsageError

__all__ = ["info_rmia", "log_likelihood_ratio", "rmia", "token_info_rmia"]

Floats = NDArray[np.float64]

# 1 − p is at least this: float32 log-probabilities do not distinguish larger ones from 1.
NEAREST_TO_ONE = 2.0**-24


def log_likelihood_ratio(target: ArrayLike, reference: ArrayLike, *, a: float = 1.0) -> Floats:
    """Log-likelihood of the target minus log p(x), estimated from a reference model that was not trained on x; nats.

    *target* and *reference* hold mean log-likelihoods of the same shape. p(x) is the mean over models trained with and
    without x; the offline attack (2312.03262) has only models without x, and takes the others to give
    a · p_OUT + 1 − a:

        p(x) ≈ ½ · ((1 + a) · p_OUT(x) + 1 − a)

    With ``a=1`` membership is assumed not to change p(x), and this is the difference of the log-likelihoods.

    >>> round(float(log_likelihood_ratio(np.log(0.5), np.log(0.25), a=0.5)), 6) == round(float(np.log(0.5 / 0.4375)), 6)
    True
    """
    of_target, of_reference = np.asarray(target, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a < 1:
        of_reference = np.logaddexp(of_reference + math.log((1 + a) / 2), math.log((1 - a) / 2))
    return np.asarray(of_target - of_reference)


def rmia(
    target: ArrayLike,
    reference: ArrayLike,
    population_target: ArrayLike,
    population_reference: ArrayLike,
    *,
    a: float = 1.0,
    gamma: float = 1.0,
) -> Floats:
    """Share of the population whose likelihood ratio the passage's ratio exceeds *gamma*-fold, 0 to 1.

    All are mean log-likelihoods, nats per token: of the passages, shape (n,) or (), and of the population, shape (m,).
    With p(x) as in `log_likelihood_ratio` (2312.03262):

        LR(x) = p(x | θ) / p(x);  score = #{z : LR(x) / LR(z) ≥ γ} / m

    A tie at *gamma* counts, as in the definition; the authors' code has a strict inequality and γ = 1. The score has
    m + 1 values and rises with LR(x). All passages above the whole population have 1, so no false-positive rate below
    1 / m is resolved. This is the paper's score, and no tie is broken; `info_rmia` has no ties. Takes n · m bytes.

    Raises `UsageError` where the population is empty or ragged, and `InputError` where it is not finite.

    >>> rmia([-1.0, -2.0], [-2.0, -2.0], [-2.0, -3.0, -1.0], [-2.5, -3.0, -2.0]).round(3).tolist()
    [1.0, 0.333]
    """
    others = _population(population_target, population_reference, a)
    ratio = log_likelihood_ratio(target, reference, a=a)
    share = np.count_nonzero(others <= (ratio - math.log(gamma))[..., None], axis=-1) / len(others)
    return np.where(np.isnan(ratio), np.nan, share)  # NaN exceeds nothing, which differs from a score of 0


def info_rmia(
    target: ArrayLike,
    reference: ArrayLike,
    population_target: ArrayLike,
    population_reference: ArrayLike,
    *,
    a: float = 1.0,
) -> Floats:
    """Log-likelihood ratio of the passage minus its mean over the population, nats per token.

    Shapes and p(x) as in `rmia`. The paper (2510.05582) adds the divergence between the population's distribution and
    the model's. The passages of the population are drawn from p(z), so their plain mean estimates it:

        score = log p(x | θ) / p(x) + KL(p(z) ‖ p(z | θ)) ≈ log LR(x) − 1/m · Σ_z log LR(z)

    The second term is the same for every passage of an audit: it sets the zero, and the order does not depend on it.

    Raises `UsageError` where the population is empty or ragged, and `InputError` where it is not finite.

    >>> info_rmia([-1.0, -2.0], [-2.0, -2.0], [-2.0, -3.0], [-2.5, -3.0]).tolist()
    [0.75, -0.25]
    """
    return np.asarray(
        log_likelihood_ratio(target, reference, a=a) - _population(population_target, population_reference, a).mean()
    )


def token_info_rmia(target: ArrayLike, reference: ArrayLike) -> Floats:
    """Evidence for membership in each token's outcome, x_t or another token: nats, above zero for membership.

    *target* and *reference* hold log p(x_t | x_<t) of both models, shape (n,). The paper's token score (2510.05582;
    its code: taojiashu/mimir, ``mimir/attacks/info_rmia.py``) takes the whole vocabulary as population:

        log p_T(x_t) / p_R(x_t) + KL(p_R ‖ p_T)

    and the divergence needs both whole distributions, which signals do not hold. This function is exact for the coarser
    event. By the chain rule of the divergence it is the paper's score minus a part that is never negative:
    (1 − p_R) · KL between the models' distributions of the *other* tokens, given that x_t does not come.

        (1 − p_R(x_t)) · (logit p_T(x_t) − logit p_R(x_t))

    So it never exceeds the paper's score, equals it for a vocabulary of two words, is zero where the models agree on
    x_t, and rises with p_T(x_t), as the paper's does not always. 1 − p is at least 2⁻²⁴, the resolution of float32.

    >>> half, fifth = np.log([0.5]), np.log([0.2])
    >>> token_info_rmia(half, fifth).round(6).tolist() == [round(0.8 * float(np.log(4)), 6)]  # odds 1 against 1/4
    True
    """
    of_target, of_reference = np.asarray(target, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    missed, missed_before = (np.maximum(-np.expm1(p), NEAREST_TO_ONE) for p in (of_target, of_reference))
    return np.asarray(missed_before * ((of_target - of_reference) - (np.log(missed) - np.log(missed_before))))


def _population(target: ArrayLike, reference: ArrayLike, a: float) -> Floats:
    """Log-likelihood ratios of the population, shape (m,); raises where a passage has none."""
    of_target, of_reference = np.asarray(target, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if of_target.ndim != 1 or of_target.shape != of_reference.shape or len(of_target) == 0:
        raise UsageError(
            "a population needs at least 1 passage, scored by both models: the target has scores of "
            f"{of_target.size}, the reference of {of_reference.size}"
        )
    bad = np.flatnonzero(~(np.isfinite(of_target) & np.isfinite(of_reference)))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(of_target)} population passages have no finite likelihood, the first at position "
            f"{bad[0]}: remove them from `population` (a text of 1 token cannot be scored)"
        )
    return log_likelihood_ratio(of_target, of_reference, a=a)
