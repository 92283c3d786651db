"""Weights for a calibration set that differs from the candidates in what is known of a passage without its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import CalibrationError
from ._checks import Floats, listed
from ._split import by_hash

LARGEST = 20.0
"""Ratios beyond this, or below its inverse, are taken for it: a single passage must not be the calibration set."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Density ratios, candidates over calibration set, for `weighted_p_values`."""

    calibration: Floats
    """Shape (n,)."""
    candidates: Floats
    """Shape (m,)."""
    effective_n: float
    """(Σ w)² / Σ w² of the calibration weights: as many unweighted non-members would be worth as much (Kish)."""
    clipped: int
    """How many of the n + m ratios were cut back."""


def likelihood_ratio_weights(
    features_calibration: ArrayLike,
    features_candidates: ArrayLike,
    documents: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> Weights:
    """Estimated density ratios: `weighted_p_values` with them are super-uniform approximately, not provably.

    Three things are taken for granted: the ratio is log-linear in the features, features tell nothing of membership
    among the candidates (length, language, date, source; no score of the target), and given its features a
    non-member's score follows the same law in both sets. The ratio at a passage comes from a logistic regression of
    candidate against calibration set that saw no passage of its document, and is cut back to 1/20 … 20.

    *features_calibration* has shape (n, d), *features_candidates* (m, d); *documents* has shape (n + m,), those of the
    calibration set first. Which fold a document is in depends on its name and *seed* alone.

    Raises `CalibrationError` where shapes differ, a feature is NaN or infinite, or there are fewer documents than
    *folds* on a side. Sugiyama, Suzuki and Kanamori 2012, "Density Ratio Estimation", chapter 4.

    >>> rng = np.random.default_rng(0)
    >>> lengths = rng.normal(0, 1, (400, 1)), rng.normal(1, 1, (400, 1))  # the true ratio is exp(length − 1/2)
    >>> weights = likelihood_ratio_weights(*lengths, documents=[f"d{i}" for i in range(800)])
    >>> float(np.corrcoef(np.log(weights.calibration), lengths[0][:, 0])[0, 1]) > 0.99, weights.effective_n < 400
    (True, True)
    """
    here, there = _features(features_calibration, "calibration"), _features(features_candidates, "candidate")
    if here.shape[1] != there.shape[1]:
        raise CalibrationError(
            f"{here.shape[1]} features of the calibration set but {there.shape[1]} of the candidates"
        )
    features, n = np.concatenate([here, there]), len(here)
    candidate = np.arange(len(features)) >= n
    ratios = np.full(len(features), np.nan)
    fold = _folds(documents, candidate, folds, seed)
    for each in range(folds):
        own = fold == each
        ratios[own] = _odds(features[~own], candidate[~own], features[own])
    cut = np.clip(ratios, 1 / LARGEST, LARGEST)
    mine = cut[:n]
    return Weights(mine, cut[n:], float(mine.sum() ** 2 / (mine**2).sum()), int((cut != ratios).sum()))


def _odds(features: Floats, candidate: NDArray[np.bool_], asked: Floats) -> Floats:
    """Density ratios at *asked*: odds of being a candidate, over the odds in the sets fitted to."""
    from sklearn.linear_model import LogisticRegression

    # Standardised, since the regression is regularised: a length in bytes must not count as 1,000 lengths in kilobytes.
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    fitted: Any = LogisticRegression(max_iter=1000).fit((features - centre) / spread, candidate)
    log_odds = fitted.decision_function((asked - centre) / spread)
    return np.asarray(np.exp(log_odds - np.log(candidate.sum() / (~candidate).sum())), dtype=np.float64)


def _folds(documents: Sequence[str], candidate: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each passage: whole documents, those of either side and of both dealt out evenly."""
    if len(documents) != len(candidate):
        raise CalibrationError(f"{len(candidate)} passages but {len(documents)} documents: give those of both sides")
    if folds < 2:
        raise CalibrationError(f"{folds} folds leave nothing to fit on: at least 2 are needed")
    sides = [{documents[i] for i in np.flatnonzero(side).tolist()} for side in (~candidate, candidate)]
    for side, name in zip(sides, ("the calibration set", "the candidates"), strict=True):
        if len(side) < folds:
            raise CalibrationError(f"{len(side)} documents of {name} cannot fill {folds} folds: use fewer folds")
    shared, fold = sides[0] & sides[1], dict[str, int]()
    for stratum, first in ((shared, 0), (sides[0] - shared, len(shared)), (sides[1] - shared, len(shared))):
        # Each side's own go on where the shared ones ended, so that no fold lacks a side.
        fold |= {name: (first + i) % folds for i, name in enumerate(by_hash(stratum, seed))}
    return np.array([fold[name] for name in documents], dtype=np.intp)


def _features(given: ArrayLike, whose: str) -> Floats:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise CalibrationError(f"{whose} features must be passages × features, not of shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise CalibrationError(
            f"{len(bad)} of {len(values)} {whose} passages have a NaN or infinite feature ({listed(bad)})"
        )
    return values
