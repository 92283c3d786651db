"""What known non-members gain over the reference model: the null distribution of a passage's gain."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..records import GainNull
from ._fields import Likelihoods, TokenLikelihoods

__all__ = ["PRIOR", "fit_gain_null", "standardised_excess", "summed_excess"]

Floats = NDArray[np.float64]

PRIOR = 10.0
"""A token's mean gain is drawn towards 0 as if it occurred so many more times without a gain."""
PENALTY = 20.0
"""The penalty on squared coefficients of the regressions, in passages; features are in standard units."""
FARTHEST = 4.0
"""Standard deviations from its mean at which a feature is cut off: beyond them the regressions would extrapolate."""
LEAST_DEVIATION = 1e-9
"""Nats: where the mean absolute residual is smaller, nothing shows a spread."""
ENDS = (0.02, 0.98)
"""Quantiles at which the logarithms of absolute residuals are cut off: that of a residual near 0 is far below all."""


def summed_excess(target: TokenLikelihoods, reference: Likelihoods, null: GainNull) -> float:
    """1/√n · Σ of the gains of a passage less the mean gain that *null* has for each of its tokens."""
    gains = (target.logprob - reference.logprob).astype(np.float64)
    if len(null.token_ids):
        at = np.minimum(np.searchsorted(null.token_ids, target.token_ids), len(null.token_ids) - 1)
        gains -= np.where(null.token_ids[at] == target.token_ids, null.token_gains[at], 0.0)
    return float(gains.sum() / np.sqrt(len(gains)))


def standardised_excess(target: TokenLikelihoods, reference: Likelihoods, text: str, null: GainNull) -> float:
    """`summed_excess` less its mean, divided by its spread, both as *null* predicts them for such a passage."""
    row = _design(_features(reference, text)[None, :], null)[0]
    mean, spread = float(row @ null.mean), float(np.exp(row @ null.log_spread))
    return (summed_excess(target, reference, null) - mean) / spread


def fit_gain_null(
    targets: Sequence[TokenLikelihoods],
    references: Sequence[Likelihoods],
    texts: Sequence[str],
    documents: Sequence[str] | None = None,
) -> GainNull:
    """The null distribution of gains, learned from passages that the target was not trained on.

    Ridge regressions give the mean and the logarithm of the absolute deviation of `summed_excess`. For them, each
    passage is scored by the mean gains of tokens in other documents, because a new passage is of another document: with
    its document the scores would be too small, and the regressions would learn that.

    Args:
        targets: signals of the target on each passage, of which each has a token or more.
        references: the same of the reference model.
        texts: the passages.
        documents: the document of each; None: each passage is a document by itself.
    """
    features = np.array([_features(*row) for row in zip(references, texts, strict=True)])
    scale = features.std(axis=0)
    units = np.unique(list(documents), return_inverse=True)[1] if documents is not None else np.arange(len(texts))
    token_ids, token_gains, scores = _token_gains(targets, references, units)
    null = GainNull(token_ids, token_gains, features.mean(axis=0), np.where(scale > 0, scale, 1.0))
    design = _design(features, null)
    mean = _ridge(design, scores)
    deviations = np.abs(scores - design @ mean)
    typical = float(deviations.mean())
    if typical < LEAST_DEVIATION:  # a passage, or equal ones: nothing shows a spread, and the score stays in nats
        return replace(null, mean=mean)
    logs = np.log(np.maximum(deviations, 1e-3 * typical))
    log_spread = _ridge(design, np.clip(logs, *np.quantile(logs, ENDS)))
    return replace(null, mean=mean, log_spread=log_spread)


def _token_gains(
    targets: Sequence[TokenLikelihoods], references: Sequence[Likelihoods], documents: NDArray[np.intp]
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """The token ids, the mean gain of each, drawn towards 0, and `summed_excess` by the means of the other documents.

    Ids are not places in an array: those of a server that shows none are digests, up to 2³¹.
    """
    lengths = np.array([len(signals) for signals in targets])
    ids, tokens = np.unique(np.concatenate([signals.token_ids for signals in targets]), return_inverse=True)
    gains = np.concatenate(
        [ours.logprob - theirs.logprob for ours, theirs in zip(targets, references, strict=True)]
    ).astype(np.float64)
    count = len(ids)
    sums, sizes = np.bincount(tokens, gains, count), np.bincount(tokens, minlength=count)
    pairs, at = np.unique(np.repeat(documents, lengths) * count + tokens, return_inverse=True)
    left_sums = sums[tokens] - np.bincount(at, gains, len(pairs))[at]
    left_sizes = sizes[tokens] - np.bincount(at, minlength=len(pairs))[at]
    passage = np.repeat(np.arange(len(lengths)), lengths)
    excess = np.bincount(passage, gains - left_sums / (left_sizes + PRIOR), len(lengths))
    return ids.astype(np.int64), sums / (sizes + PRIOR), excess / np.sqrt(lengths)


def _features(reference: Likelihoods, text: str) -> Floats:
    """What does not depend on the target: loss and its spread, length, how far zlib compresses, and bytes a token."""
    losses, encoded = -reference.logprob.astype(np.float64), text.encode()
    tokens, size = len(losses), max(1, len(encoded))
    return np.array(
        [
            losses.mean(),
            losses.std(),
            np.log(tokens),
            1 / np.sqrt(tokens),
            len(zlib.compress(encoded)) / size,
            size / tokens,
        ]
    )


def _design(features: Floats, null: GainNull) -> Floats:
    """A constant and the features in standard units; shape (passages, 1 + features)."""
    units = np.clip((features - null.centre) / null.scale, -FARTHEST, FARTHEST)
    return np.column_stack([np.ones(len(units)), units])


def _ridge(design: Floats, values: Floats) -> Floats:
    """Coefficients; that of the constant is not penalised."""
    penalty = np.diag([0.0, *[PENALTY] * (design.shape[1] - 1)])
    return np.asarray(np.linalg.solve(design.T @ design + penalty, design.T @ values))
