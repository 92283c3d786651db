"""Attacks over passages × models: the likelihood ratio of a passage, compared with those of a population.

Functions of arrays. The likelihood of a text is the geometric mean of its tokens' probabilities, so they take *mean*
log-likelihoods, nats per token: the product over all tokens would rank passages by their length.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, UsageError

__all__ = [
    "Form",
    "info_rmia",
    "lira",
    "log_likelihood_ratio",
    "pooled_spreads",
    "population_ratios",
    "rmia",
    "shadow_ratio",
    "share_exceeded",
    "token_info_rmia",
]

Floats = NDArray[np.float64]
Form: TypeAlias = Literal["online", "offline"]
"""Online: with shadow models that were trained on the passage. Offline: only with others."""

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
        of_reference = _log_sum(of_reference + math.log((1 + a) / 2), math.log((1 - a) / 2))
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
    1 / m is resolved. This is the paper's score, and no tie is broken; `info_rmia` has no ties.

    Raises `UsageError` where the population is empty or ragged, and `InputError` where it is not finite.

    >>> rmia([-1.0, -2.0], [-2.0, -2.0], [-2.0, -3.0, -1.0], [-2.5, -3.0, -2.0]).round(3).tolist()
    [1.0, 0.333]
    """
    others = _population(population_target, population_reference, a)
    return share_exceeded(log_likelihood_ratio(target, reference, a=a), np.sort(others), gamma=gamma)


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

    The second term is the same for every passage of an audit: it sets the zero, not the order.

    Raises `UsageError` where the population is empty or ragged, and `InputError` where it is not finite.

    >>> info_rmia([-1.0, -2.0], [-2.0, -2.0], [-2.0, -3.0], [-2.5, -3.0]).tolist()
    [0.75, -0.25]
    """
    others = _population(population_target, population_reference, a)
    return np.asarray(log_likelihood_ratio(target, reference, a=a) - others.mean())


def pooled_spreads(shadows: ArrayLike, inside: ArrayLike) -> tuple[float, float]:
    """Standard deviations of a passage's likelihood between shadows that were trained on it, and between the others.

    Pooled over the passages, which have few shadows each (2112.03570). Both arguments have the shape (passages,
    shadows): mean log-likelihoods, and whether the shadow was trained on the passage. A passage with a likelihood that
    is not finite does not count. NaN where no passage has 2 shadows of the kind.

        σ² = Σ_x Σ_i (φ_i(x) − mean_i φ_i(x))² / Σ_x (n_x − 1)

    >>> pooled_spreads([[-1.0, -3.0, -4.0, -4.0], [-5.0, -6.0, -2.0, -2.0]], [[True, True, False, False]] * 2)[1]
    0.0
    """
    likelihoods, within = np.asarray(shadows, dtype=np.float64), np.asarray(inside, dtype=np.bool_)
    scored = np.isfinite(likelihoods).all(axis=-1)
    return _pooled(likelihoods[scored], within[scored]), _pooled(likelihoods[scored], ~within[scored])


def _pooled(likelihoods: Floats, which: NDArray[np.bool_]) -> float:
    freedom = np.maximum(which.sum(axis=-1) - 1, 0).sum()
    deviations = np.where(which, likelihoods - _mean(likelihoods, which)[..., None], 0.0)
    return math.sqrt(np.square(deviations).sum() / freedom) if freedom else math.nan


def lira(
    target: ArrayLike,
    shadows: ArrayLike,
    inside: ArrayLike,
    *,
    spread_in: float,
    spread_out: float,
    form: Form = "online",
) -> Floats:
    """Log-likelihood ratio of two normal distributions at the target's likelihood φ; offline, distance from the second.

    *target* holds mean log-likelihoods, shape (n,) or (); *shadows* those under the shadow models, shape (n, shadows)
    or (shadows,), and *inside* whether each was trained on the passage. The means are of its shadows (2112.03570):

        online: log N(φ; μ_in, σ_in²) − log N(φ; μ_out, σ_out²);  offline: (φ − μ_out) / σ_out

    Offline orders as the paper's Φ((φ − μ_out) / σ_out), which rounds to 1. NaN where no shadow of a needed kind is
    given, or where such a shadow gives no score.

    Raises `InputError` where a standard deviation is not above zero.

    >>> lira([-1.0, -3.0], [[-1.0, -3.0]] * 2, [[True, False]] * 2, spread_in=1.0, spread_out=1.0).tolist()
    [2.0, -2.0]
    """
    of_target, within = np.asarray(target, dtype=np.float64), np.asarray(inside, dtype=np.bool_)

    def distance(which: NDArray[np.bool_], spread: float, name: str) -> Floats:
        if not 0 < spread < math.inf:
            raise InputError(
                f"between shadow models that were {name} a passage, its likelihood has the standard deviation "
                f"{spread:g}: train at least 4 shadow models, until their likelihoods differ"
            )
        return np.asarray((of_target - _mean(np.asarray(shadows, dtype=np.float64), which)) / spread)

    without = distance(~within, spread_out, "not trained on")
    if form == "offline":
        return without
    among = distance(within, spread_in, "trained on")
    return np.asarray((np.square(without) - np.square(among)) / 2 + math.log(spread_out / spread_in))


def shadow_ratio(
    target: ArrayLike,
    shadows: ArrayLike,
    inside: ArrayLike,
    *,
    form: Form = "online",
    a: float = 1.0,
    used: ArrayLike = True,
) -> Floats:
    """Log-likelihood of the target minus log p(x), estimated from several shadow models; nats.

    Shapes as in `lira`; *used* says which shadows count. Probabilities are averaged, not logarithms (2312.03262):

        online: p(x) ≈ ½ · (mean_in p + mean_out p);  offline: ½ · ((1 + a) · mean_out p + 1 − a)

    NaN where no shadow of a needed kind is used, or where such a shadow gives no score.

    >>> bool(np.isclose(shadow_ratio(np.log(0.5), np.log([0.6, 0.2, 0.2]), [True, False, False]), np.log(0.5 / 0.4)))
    True
    """
    of_shadows, within = np.asarray(shadows, dtype=np.float64), np.asarray(inside, dtype=np.bool_)
    which = np.broadcast_to(np.asarray(used, dtype=np.bool_), of_shadows.shape)
    without = _log_mean(of_shadows, which & ~within)
    if form == "offline":
        return log_likelihood_ratio(target, without, a=a)
    both = _log_sum(_log_mean(of_shadows, which & within), without) - math.log(2)
    return log_likelihood_ratio(target, both)


def population_ratios(
    target: ArrayLike, shadows: ArrayLike, inside: ArrayLike, *, form: Form = "online", a: float = 1.0
) -> Floats:
    """Log-likelihood ratios of a population, in ascending order, shape (m,).

    Arguments as in `shadow_ratio`, with a row for each passage; NaN in *shadows* is a shadow that is not used.
    Raises `UsageError` where the population is empty, and `InputError` where a passage has no ratio.
    """
    of_target, of_shadows = np.asarray(target, dtype=np.float64), np.asarray(shadows, dtype=np.float64)
    if not of_target.size:
        raise UsageError("the population of the shadow models is empty: it needs at least 1 passage")
    ratios = shadow_ratio(of_target, of_shadows, inside, form=form, a=a, used=~np.isnan(of_shadows))
    bad = np.flatnonzero(~np.isfinite(ratios))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(ratios)} passages of the shadow models' population have no finite likelihood ratio, "
            f"the first at position {bad[0]}: make the shadow models again without them"
        )
    return np.sort(ratios)


def share_exceeded(ratio: ArrayLike, others: Floats, *, gamma: float = 1.0) -> Floats:
    """Share of the population whose likelihood ratio the passage's ratio exceeds *gamma*-fold, 0 to 1.

    *ratio* holds log-likelihood ratios, *others* those of the population, in ascending order. A tie counts; NaN stays.

    >>> share_exceeded([0.5, 2.0], np.array([0.0, 0.5, 1.0, 3.0])).tolist()
    [0.5, 0.75]
    """
    ratios = np.asarray(ratio, dtype=np.float64)
    share = np.searchsorted(others, ratios - math.log(gamma), side="right") / len(others)
    return np.where(np.isnan(ratios), np.nan, share)


def _mean(values: Floats, which: NDArray[np.bool_]) -> Floats:
    """Mean over the last axis of the values at *which*; NaN where there is none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(which, values, 0.0).sum(axis=-1) / which.sum(axis=-1))


def _log_mean(values: Floats, which: NDArray[np.bool_]) -> Floats:
    """Logarithm of the mean of exp(values) over the last axis, at *which*; NaN where there is none."""
    count = which.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        total = np.logaddexp.reduce(np.where(which, values, -np.inf), axis=-1)
    return np.where(count > 0, total - np.log(np.maximum(count, 1)), np.nan)


def _log_sum(first: Floats, second: Floats | float) -> Floats:
    """log(exp(first) + exp(second)); NaN where either is, without a warning."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp(first, second)


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
