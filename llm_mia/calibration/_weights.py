"""Weights for a calibration set that differs from the candidates in known features such as length or date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError, InputError, UsageError
from ._checks import Floats, listed
from ._fit import RatioFit, fit_of_ratio
from ._split import by_hash

LARGEST_RATIO = 20.0
"""Ratios are clipped to this and its inverse, so that a single passage does not outweigh the calibration set."""
FIT_LEVEL = 0.01
"""Largest p-value of the fit at which weights are refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Estimated density ratios, candidates over calibration set, for `weighted_p_values`."""

    calibration: Floats
    """Shape (n,)."""
    candidates: Floats
    """Shape (m,)."""
    effective_n: float
    """(Σ w)² / Σ w² of the calibration weights: the equivalent number of unweighted non-members (Kish)."""
    clipped: int
    """Number of the n + m ratios that were clipped."""
    fit: RatioFit
    """Whether the ratio is log-linear in the features, as far as the data show."""


def likelihood_ratio_weights(
    features_calibration: ArrayLike,
    features_candidates: ArrayLike,
    documents: Sequence[str],
    folds: int = 5,
    seed: int = 0,
    check_fit: bool = True,
) -> Weights:
    """Estimated density ratios of both sets; `weighted_p_values` with them are approximately super-uniform, no more.

    Three assumptions are made: the ratio is log-linear in the features; among the candidates, features are independent
    of membership (length, language, date or source are possible features, a score of the target is not); given its
    features, a non-member's score has the same distribution in both sets. Only the first is tested (`Weights.fit`). The
    ratio at a passage comes from a logistic regression of candidates against calibration set, fitted without any
    passage of its document, and is clipped to 1/20 … 20.

    Args:
        features_calibration: shape (n, d).
        features_candidates: shape (m, d).
        documents: shape (n + m,), those of the calibration set first.
        folds: number of parts in cross-fitting.
        seed: of the folds and of the test. The fold of a document depends on its name and *seed* alone.
        check_fit: refuse weights of a ratio that is not log-linear, with p ≤ 0.01.

    Raises:
        UsageError: shapes differ, or *folds* is below 2.
        InputError: a feature is NaN or infinite.
        CalibrationError: a set has fewer documents than *folds*; or the ratio is not log-linear in the features, and
            weights by such a ratio would not make the calibration set like the candidates.

    Sugiyama, Suzuki and Kanamori 2012, "Density Ratio Estimation", chapter 4.

    >>> rng = np.random.default_rng(0)
    >>> lengths = rng.normal(0, 1, (400, 1)), rng.normal(1, 1, (400, 1))  # the true ratio is exp(length − 1/2)
    >>> weights = likelihood_ratio_weights(*lengths, documents=[f"d{i}" for i in range(800)])
    >>> float(np.corrcoef(np.log(weights.calibration), lengths[0][:, 0])[0, 1]) > 0.99, weights.effective_n < 400
    (True, True)
    """
    of_calibration = _features(features_calibration, "calibration")
    of_candidates = _features(features_candidates, "candidate")
    if of_calibration.shape[1] != of_candidates.shape[1]:
        raise UsageError(
            f"{of_calibration.shape[1]} features of the calibration set but {of_candidates.shape[1]} of the candidates"
        )
    features, n = np.concatenate([of_calibration, of_candidates]), len(of_calibration)
    candidate = np.arange(len(features)) >= n
    ratios = np.full(len(features), np.nan)
    fold = _folds(documents, candidate, folds, seed)
    fit = fit_of_ratio(features, candidate, documents, seed)
    if check_fit and fit.p_value <= FIT_LEVEL:
        raise CalibrationError(
            "the ratio of candidates to calibration set is not log-linear in the features: "
            f"{fit.worst} is missing (p = {fit.p_value:.2g}), so weights would not make the two alike: add it as a "
            "feature, or give non-members that are like the candidates"
        )
    for held_out in range(folds):
        inside = fold == held_out
        ratios[inside] = _density_ratios(features[~inside], candidate[~inside], features[inside])
    clipped = np.clip(ratios, 1 / LARGEST_RATIO, LARGEST_RATIO)
    weights = clipped[:n]
    effective_n = float(weights.sum() ** 2 / (weights**2).sum())
    return Weights(weights, clipped[n:], effective_n, int((clipped != ratios).sum()), fit)


def _density_ratios(features: Floats, candidate: NDArray[np.bool_], points: Floats) -> Floats:
    """Density ratios at *points*: the odds of being a candidate, over the odds in the data of the regression."""
    from sklearn.linear_model import LogisticRegression

    # Standardised, since the regression is regularised: a length in bytes must not count as 1,000 lengths in kilobytes.
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    fitted: Any = LogisticRegression(max_iter=1000).fit((features - centre) / spread, candidate)
    log_odds = fitted.decision_function((points - centre) / spread)
    return np.asarray(np.exp(log_odds - np.log(candidate.sum() / (~candidate).sum())), dtype=np.float64)


def _folds(documents: Sequence[str], candidate: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each passage: whole documents, dealt out evenly in each set."""
    if len(documents) != len(candidate):
        raise UsageError(f"{len(candidate)} passages but {len(documents)} documents: give those of both sets")
    if folds < 2:
        raise UsageError(f"`folds` is {folds}, which leaves no data to fit on: at least 2 are needed")
    sides = [{documents[i] for i in np.flatnonzero(side).tolist()} for side in (~candidate, candidate)]
    for side, name in zip(sides, ("the calibration set", "the candidates"), strict=True):
        if len(side) < folds:
            raise CalibrationError(f"{len(side)} documents of {name} cannot fill {folds} folds: use fewer `folds`")
    shared, fold = sides[0] & sides[1], dict[str, int]()
    for stratum, first in ((shared, 0), (sides[0] - shared, len(shared)), (sides[1] - shared, len(shared))):
        # Documents of a single set are dealt from where the shared documents ended, so that no fold lacks a set.
        fold |= {name: (first + i) % folds for i, name in enumerate(by_hash(stratum, seed))}
    return np.array([fold[name] for name in documents], dtype=np.intp)


def _features(given: ArrayLike, whose: str) -> Floats:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise UsageError(f"{whose} features must be passages × features, not of shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise InputError(f"{len(bad)} of {len(values)} {whose} passages have a NaN or infinite feature ({listed(bad)})")
    return values
