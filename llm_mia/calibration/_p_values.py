"""Conformal p-values: the rank of a score among the scores of known non-members, equally or unequally weighted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError, UsageError
from ._checks import Floats, finite, in_blocks, listed, sorted_finite


def conformal_p_values(scores: ArrayLike, calibration: ArrayLike) -> Floats:
    """A p-value for each score, shape (m,): p = (1 + #{calibration ≥ score}) / (n + 1); ties count against membership.

    For a non-member that is exchangeable with the calibration set, P(p ≤ u) ≤ u for every u (marginally
    super-uniform). The probability is over candidate and calibration set together. The p-values of many candidates
    share a calibration set, so they are positively dependent.

    Args:
        scores: of the candidates, shape (m,). NaN gives a NaN p-value; +inf and -inf are ordered like any score, and
            the caller reports them.
        calibration: scores of known non-members, shape (n,), in any order.

    Raises:
        CalibrationError: *calibration* is empty.
        InputError: a calibration score is NaN or infinite.

    Vovk, Gammerman and Shafer 2005; Bates et al. 2023, arXiv:2104.08279.

    >>> conformal_p_values([0.5, 2.0, 9.0], [1.0, 2.0, 3.0, 4.0]).tolist()
    [1.0, 0.8, 0.2]
    """
    known = sorted_finite(calibration)
    candidates = np.asarray(scores, dtype=np.float64)
    p_values = in_blocks(lambda block: ranks(block, known) / (len(known) + 1), candidates)
    p_values[np.isnan(candidates)] = np.nan
    return p_values


def ranks(scores: Floats, ascending: Floats) -> NDArray[np.int64]:
    """1 + #{calibration ≥ score}, from 1 to n + 1: the numerators of the p-values."""
    return (1 + len(ascending) - np.searchsorted(ascending, scores, side="left")).astype(np.int64)


def weighted_p_values(
    scores: ArrayLike, weights: ArrayLike, calibration: ArrayLike, calibration_weights: ArrayLike
) -> Floats:
    """A p-value for each score, shape (m,), where calibration set and candidates differ by known weights.

    p = (Σ weights of calibration scores ≥ s + w) / (Σ calibration weights + w), where s is the candidate's score and
    w its weight. With equal weights this is `conformal_p_values`.

    A non-member's p-value is marginally super-uniform if the weights are the true density ratio: the density of the
    candidates' non-members over the density of the calibration set, at the features of each passage, up to a common
    factor. Given its features, a non-member's score must have the same distribution in both sets. With estimated
    weights this holds approximately. The p-values need not be positively dependent: over many candidates,
    `benjamini_yekutieli` holds and `benjamini_hochberg` is not proven.

    Args:
        scores: of the candidates, shape (m,).
        weights: of the candidates, above 0, shape (m,).
        calibration: scores of known non-members, shape (n,).
        calibration_weights: of the same, shape (n,). A weight of 0 leaves a passage out.

    Raises:
        CalibrationError: *calibration* is empty.
        InputError: a score or weight is NaN or infinite.
        UsageError: a weight is negative, or lengths differ.

    Tibshirani et al. 2019, arXiv:1904.06019; as p-values Jin and Candès 2023, arXiv:2307.09291.

    >>> weighted_p_values([2.0], [1.0], [1.0, 2.0, 3.0], [5.0, 1.0, 2.0]).tolist()  # (1 + 2 + 1) / (5 + 1 + 2 + 1)
    [0.4444444444444444]
    """
    candidates, candidate_weights = _weighted(scores, weights, "candidate")
    known, known_weights = _weighted(calibration, calibration_weights, "calibration")
    if not len(known):
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    if not (candidate_weights > 0).all():
        zero = listed(np.flatnonzero(candidate_weights <= 0))
        raise UsageError(f"a candidate weight is 0 (index {zero}): give weights above 0, or leave it out")
    order = np.argsort(known, kind="stable")
    # Summed from the largest score down: p-values of the largest scores decide, and these sums have no rounding error.
    from_the_top = np.append(0.0, np.cumsum(known_weights[order][::-1]))
    at_least = len(known) - np.searchsorted(known[order], candidates, side="left")
    numerators, total = from_the_top[at_least] + candidate_weights, from_the_top[-1] + candidate_weights
    return np.asarray(numerators / total, dtype=np.float64)


def _weighted(scores: ArrayLike, weights: ArrayLike, whose: str) -> tuple[Floats, Floats]:
    """Scores and weights as checked arrays of equal length."""
    score_array, weight_array = finite(scores, f"{whose} scores"), finite(weights, f"{whose} weights")
    if len(score_array) != len(weight_array):
        raise UsageError(f"{len(score_array)} {whose} scores but {len(weight_array)} weights")
    negative = np.flatnonzero(weight_array < 0)
    if len(negative):
        raise UsageError(f"{len(negative)} {whose} weights are negative (index {listed(negative)})")
    return score_array, weight_array
