"""Conformal p-values: where a score stands among those of known non-members, each counted once or by its weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError
from ._checks import Floats, finite, listed, sorted_finite


def conformal_p_values(scores: ArrayLike, calibration: ArrayLike) -> Floats:
    """Marginally super-uniform for a non-member exchangeable with the n calibrated on: P(p ≤ u) ≤ u for every u.

    p = (1 + #{calibration ≥ score}) / (n + 1), ties counted against the candidate. The probability is over candidate
    and calibration set together, so p-values of many candidates share one set and are positively dependent.

    *scores* has shape (m,), *calibration* shape (n,) in any order; returns shape (m,), each a multiple of 1/(n + 1).
    A NaN score gets a NaN p-value; +inf and -inf are ordered like any score, and the caller reports them.

    Raises `CalibrationError` where *calibration* is empty or holds NaN or infinite scores.
    Vovk, Gammerman and Shafer 2005; Bates et al. 2023, arXiv:2104.08279.

    >>> conformal_p_values([0.5, 2.0, 9.0], [1.0, 2.0, 3.0, 4.0]).tolist()
    [1.0, 0.8, 0.2]
    """
    known = sorted_finite(calibration)
    candidates = np.asarray(scores, dtype=np.float64)
    p_values = ranks(candidates, known) / (len(known) + 1)
    return np.where(np.isnan(candidates), np.nan, p_values)


def ranks(scores: Floats, ascending: Floats) -> NDArray[np.int64]:
    """1 + #{calibration ≥ score}: 1 … n + 1, the numerators of the p-values."""
    return (1 + len(ascending) - np.searchsorted(ascending, scores, side="left")).astype(np.int64)


def weighted_p_values(
    scores: ArrayLike, weights: ArrayLike, calibration: ArrayLike, calibration_weights: ArrayLike
) -> Floats:
    """Marginally super-uniform for a non-member if the weights are the true density ratio of where it comes from.

    That ratio is (density among the candidates' non-members) / (density among the calibration set), taken at each
    passage's features, up to one factor common to all weights; given its features, a non-member's score must follow
    the same law in both places. Weights that were estimated make this approximate.

    p = (Σ calibration weights with score ≥ s + own weight) / (Σ calibration weights + own weight), which with equal
    weights is `conformal_p_values`. Together such p-values needn't be positively dependent: over many candidates
    `benjamini_yekutieli` holds, Benjamini–Hochberg isn't proven.

    *scores* and *weights* have shape (m,), *calibration* and *calibration_weights* shape (n,); returns shape (m,).
    A weight of 0 takes a calibration passage out; a candidate's is above 0.

    Raises `CalibrationError` where a score or weight is NaN or infinite, a weight negative, or lengths differ.
    Tibshirani et al. 2019, arXiv:1904.06019; as p-values Jin and Candès 2023, arXiv:2307.09291.

    >>> weighted_p_values([2.0], [1.0], [1.0, 2.0, 3.0], [5.0, 1.0, 2.0]).tolist()  # (1 + 2 + 1) / (5 + 1 + 2 + 1)
    [0.4444444444444444]
    """
    candidates, own = _weighted(scores, weights, "candidate")
    known, their = _weighted(calibration, calibration_weights, "calibration")
    if not len(known):
        raise CalibrationError("there are no calibration scores: known non-members are needed")
    if not (own > 0).all():
        raise CalibrationError(f"a candidate weight is 0 (index {listed(np.flatnonzero(own <= 0))}): no p-value there")
    order = np.argsort(known, kind="stable")
    # Summed from the top and from 0, so that the largest scores, whose p-values decide, add up what is exact.
    from_the_top = np.append(0.0, np.cumsum(their[order][::-1]))
    at_least = len(known) - np.searchsorted(known[order], candidates, side="left")
    return np.asarray((from_the_top[at_least] + own) / (from_the_top[-1] + own), dtype=np.float64)


def _weighted(scores: ArrayLike, weights: ArrayLike, whose: str) -> tuple[Floats, Floats]:
    values, weighing = finite(scores, f"{whose} scores"), finite(weights, f"{whose} weights")
    if len(values) != len(weighing):
        raise CalibrationError(f"{len(values)} {whose} scores but {len(weighing)} weights")
    negative = np.flatnonzero(weighing < 0)
    if len(negative):
        raise CalibrationError(f"{len(negative)} {whose} weights are negative (index {listed(negative)})")
    return values, weighing
