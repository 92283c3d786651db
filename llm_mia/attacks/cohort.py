"""Attacks over passages × models: a passage's likelihood ratio beside those of a population of the same source.

Arrays in, arrays out. The likelihood of a text is the geometric mean of its tokens' probabilities, so what goes in is
a *mean* log-likelihood, nats per token: the product over all tokens would rank passages by their length.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, UsageError

__all__ = ["info_rmia", "log_likelihood_ratio", "rmia", "token_info_rmia"]

Floats = NDArray[np.float64]

# One minus a probability is no smaller than this: float32 log-probabilities can't tell what is nearer to 1 from 1.
NEAREST_TO_ONE = 2.0**-24


def log_likelihood_ratio(target: ArrayLike, reference: ArrayLike, *, a: float = 1.0) -> Floats:
    """Log-likelihood of the target less log p(x), which is estimated from one reference model that never saw x; nats.

    *target* and *reference* hold mean log-likelihoods, of one shape. p(x) is the mean of what models with and without
    x say; the offline attack (2312.03262) knows only the latter and takes the former to be a · p_OUT + 1 − a:

        p(x) ≈ ½ · ((1 + a) · p_OUT(x) + 1 − a)

    At ``a=1`` membership is taken to move p(x) not at all, and this is the difference of the log-likelihoods.

    >>> round(float(log_likelihood_ratio(np.log(0.5), np.log(0.25), a=0.5)), 6) == round(float(np.log(0.5 / 0.4375)), 6)
    True
    """
    own, other = np.asarray(target, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a < 1:
        other = np.logaddexp(other + math.log((1 + a) / 2), math.log((1 - a) / 2))
    return np.asarray(own - other)


def rmia(
    target: ArrayLike,
    reference: ArrayLike,
    population_target: ArrayLike,
    population_reference: ArrayLike,
    *,
    a: float = 1.0,
    gamma: float = 1.0,
) -> Floats:
    """Share of the population whose likelihood ratio the passage's own exceeds *gamma*-fold, 0 to 1.

    All are mean log-likelihoods, nats per token: of the passages, shape (n,) or (), and of the population, shape (m,).
    With p(x) as in `log_likelihood_ratio` (2312.03262):

        LR(x) = p(x | θ) / p(x);  score = #{z : LR(x) / LR(z) ≥ γ} / m

    A tie at *gamma* counts, as in the definition; the authors' code has a strict inequality and γ = 1. The score has
    m + 1 values and rises with LR(x): passages above the whole population are all 1, so a false-positive rate below
    1 / m can't be told. That is the paper's score, and no tie is broken here; `info_rmia` has none. Takes n · m bytes.

    Raises `AttackError` where the population is empty, ragged, or not finite.

    >>> rmia([-1.0, -2.0], [-2.0, -2.0], [-2.0, -3.0, -1.0], [-2.5, -3.0, -2.0]).round(3).tolist()
    [1.0, 0.333]
    """
    others = _population(population_target, population_reference, a)
    own = log_likelihood_ratio(target, reference, a=a)
    share = np.count_nonzero(others <= (own - math.log(gamma))[..., None], axis=-1) / len(others)
    return np.where(np.isnan(own), np.nan, share)  # NaN exceeds nobody, which isn't the same as scoring 0


def info_rmia(
    target: ArrayLike,
    reference: ArrayLike,
    population_target: ArrayLike,
    population_reference: ArrayLike,
    *,
    a: float = 1.0,
) -> Floats:
    """Log-likelihood ratio of the passage less its mean over the population, nats per token.

    Shapes and p(x) as in `rmia`. The paper (2510.05582) adds the divergence of what the model says of the population
    from what the population is; its passages are drawn from p(z), so their plain mean estimates it:

        score = log p(x | θ) / p(x) + KL(p(z) ‖ p(z | θ)) ≈ log LR(x) − 1/m · Σ_z log LR(z)

    The second term is the same for every passage of an audit: it says where zero is, and no order depends on it.

    Raises `AttackError` where the population is empty, ragged, or not finite.

    >>> info_rmia([-1.0, -2.0], [-2.0, -2.0], [-2.0, -3.0], [-2.5, -3.0]).tolist()
    [0.75, -0.25]
    """
    return np.asarray(
        log_likelihood_ratio(target, reference, a=a) - _population(population_target, population_reference, a).mean()
    )


def token_info_rmia(target: ArrayLike, reference: ArrayLike) -> Floats:
    """What each token's outcome, x_t or another token, says for membership: nats, above zero for it.

    *target* and *reference* hold log p(x_t | x_<t) of both models, shape (n,). The paper's token score (2510.05582;
    its code: taojiashu/mimir, ``mimir/attacks/info_rmia.py``) takes the whole vocabulary for population:

        log p_T(x_t) / p_R(x_t) + KL(p_R ‖ p_T)

    and the divergence needs both distributions whole, which signals do not hold. What is given here is exact for the
    coarser event, and by the chain rule of the divergence it is the paper's score less a part that is never negative,
    (1 − p_R) · KL between what the models say of the *other* tokens, given that x_t doesn't come:

        (1 − p_R(x_t)) · (logit p_T(x_t) − logit p_R(x_t))

    So it never exceeds the paper's figure, is the same on two words, is zero where the models agree on x_t, and rises
    with p_T(x_t), as the paper's does not always. 1 − p is held at 2⁻²⁴ or more, below which float32 can't see.

    >>> half, fifth = np.log([0.5]), np.log([0.2])
    >>> token_info_rmia(half, fifth).round(6).tolist() == [round(0.8 * float(np.log(4)), 6)]  # odds 1 against 1/4
    True
    """
    own, other = np.asarray(target, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    missed, missed_before = (np.maximum(-np.expm1(p), NEAREST_TO_ONE) for p in (own, other))
    return np.asarray(missed_before * ((own - other) - (np.log(missed) - np.log(missed_before))))


def _population(target: ArrayLike, reference: ArrayLike, a: float) -> Floats:
    """Log-likelihood ratios of the population, shape (m,): refused where one of them would have to be dropped."""
    own, other = np.asarray(target, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if own.ndim != 1 or own.shape != other.shape or len(own) == 0:
        raise UsageError(
            f"a population needs at least 1 passage, scored by both models: the target has scores of {own.size}, "
            f"the reference of {other.size}"
        )
    bad = np.flatnonzero(~(np.isfinite(own) & np.isfinite(other)))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(own)} population passages have no finite likelihood, the first at position {bad[0]}: "
            "remove them from `population` (a text of 1 token cannot be scored)"
        )
    return log_likelihood_ratio(own, other, a=a)
