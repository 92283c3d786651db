"""Conditional nulls: what a score, or a token's gain, would be of a non-member, from what the target never touches.

The numbers below were chosen by two trials of docstrings (1x32 and 4x96, 3 epochs), before any other was looked at.
"""

from __future__ import annotations

import numpy as np

from .tail_evidence import Floats, TailEvidence
from .tail_trials import Bools

RIDGE = 20.0
"""Penalty on squared coefficients, in passages; features are standardised."""
LEAST_SPREAD = 1e-3
PRIOR = 10.0
"""A token's mean gain is drawn towards 0 as if it occurred so many more times without a gain."""


def ridge(design: Floats, values: Floats) -> Floats:
    """Coefficients of a ridge regression of *values* on *design*, whose first column is constant and not penalised."""
    penalty = np.diag([0.0, *[RIDGE] * (design.shape[1] - 1)])
    return np.asarray(np.linalg.solve(design.T @ design + penalty, design.T @ values))


def standardised(scores: Floats, features: Floats, known: Bools) -> Floats:
    """(score − mean) / spread, both learned as functions of *features* on the *known* non-members alone.

    The mean is a ridge regression; the spread is the exponential of such a regression of the logarithms of the absolute
    residuals, of which the smallest and the largest two percent are drawn in.
    """
    design = np.column_stack([np.ones(len(features)), features])
    residuals = scores - design @ ridge(design[known], scores[known])
    floor = LEAST_SPREAD * float(residuals[known].std())
    logs = np.log(np.maximum(np.abs(residuals[known]), floor))
    spread = np.exp(design @ ridge(design[known], np.clip(logs, *np.quantile(logs, [0.02, 0.98]))))
    return np.asarray(residuals / spread)


def less_quantile(scores: Floats, features: Floats, known: Bools, share: float = 0.99) -> Floats:
    """The score less the *share* quantile that *features* predict for a non-member; learned on *known* alone.

    Linear quantile regression by iteratively reweighted least squares.
    """
    design = np.column_stack([np.ones(len(features)), features])
    x, y = design[known], scores[known]
    coefficients = ridge(x, y)
    coefficients[0] += float(np.quantile(y - x @ coefficients, share))
    smallest = 1e-3 * float(y.std())
    for _ in range(60):
        residuals = y - x @ coefficients
        weights = np.where(residuals > 0, share, 1 - share) / np.maximum(np.abs(residuals), smallest)
        weights /= weights.mean()
        root = np.sqrt(weights)
        coefficients = ridge(x * root[:, None], y * root)
    return np.asarray(scores - design @ coefficients)


def type_means(evidence: TailEvidence, values: Floats, known: Bools, prior: float = PRIOR) -> Floats:
    """What known non-members gain, on average, on the same token as each token; shape (tokens,).

    The sum of *values* over a token's occurrences in the *known* passages, divided by their number and *prior*. For
    a known passage all of its unit, itself or its document, is left out, as all of a new passage's is.
    """
    tokens, lengths = evidence.target.token_ids, evidence.target.lengths
    count = int(tokens.max()) + 1
    of_known = np.repeat(known, lengths)
    here, worth = tokens[of_known], values[of_known]
    sums, sizes = np.bincount(here, worth, count), np.bincount(here, minlength=count).astype(np.float64)
    means = (sums / (sizes + prior))[tokens]
    unit = np.repeat(evidence.masks.units, lengths)[of_known]
    pairs, at = np.unique(unit * count + here, return_inverse=True)
    left_sums = sums[here] - np.bincount(at, worth, len(pairs))[at]
    left_sizes = sizes[here] - np.bincount(at, minlength=len(pairs))[at]
    means[of_known] = left_sums / (left_sizes + prior)
    return np.asarray(means)
