"""What some attacks compare a passage with: token frequencies, a population, its gains, shadow models."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["GainNull", "Population", "ShadowLikelihoods", "ShadowPopulation", "TokenFrequencies"]


@dataclass(frozen=True, slots=True, eq=False)
class TokenFrequencies:
    """How often each token occurs in a corpus."""

    counts: NDArray[np.int64]
    """Shape (vocabulary,)."""
    tokenizer: str
    """Fingerprint of the tokenizer of the corpus, see `TokenSignals.tokenizer`."""
    corpus: str = ""
    """What was counted, for messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Likelihoods of passages from the same source as those that are scored; shapes (passages,)."""

    target: NDArray[np.float64]
    """Mean log-likelihood under the target model, nats per token."""
    reference: NDArray[np.float64]
    """Mean log-likelihood under the reference model, nats per token."""


def _zeros() -> NDArray[np.float64]:
    return np.zeros(7)


@dataclass(frozen=True, slots=True, eq=False)
class GainNull:
    """How much passages that the target was not trained on gain over the reference model, as `fit_gain_null` learns it.

    *mean* and *log_spread* are linear in a constant and six features in standard units (see `excess_gain`).
    """

    token_ids: NDArray[np.int64]
    """The ids of the tokens that the passages hold, ascending; the mean gain of every other token is 0."""
    token_gains: NDArray[np.float64]
    """The mean gain of each of these tokens, nats, drawn towards 0 where it is rare."""
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    """Means of the features."""
    scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(6))
    """Their standard deviations; 1 where all passages have the same value."""
    mean: NDArray[np.float64] = field(default_factory=_zeros)
    """Coefficients of the mean of a passage's summed excess: its gains less those of `token_gains`, over √n."""
    log_spread: NDArray[np.float64] = field(default_factory=_zeros)
    """Coefficients of the mean logarithm of the absolute deviation from that mean."""


@dataclass(frozen=True, slots=True, eq=False)
class ShadowLikelihoods:
    """How likely a passage is under shadow models: of equal base and recipe, trained on random halves of a pool.

    Only the shadows that are evidence for the passage, see `llm_mia.attacks.choose_shadows`.
    """

    mean_logprob: NDArray[np.float64]
    """Shape (shadows,): mean log-likelihood of the passage under each shadow, nats per token."""
    inside: NDArray[np.bool_]
    """Shape (shadows,): whether each shadow was trained on the passage; all false for a passage outside the pool."""
    spread_in: float
    """Pooled standard deviation of `mean_logprob` between shadows that were trained on the same passage of the pool."""
    spread_out: float
    """The same between shadows that were not trained on it."""


@dataclass(frozen=True, slots=True, eq=False)
class ShadowPopulation:
    """Passages of the pool with which a passage is compared, under the target and under the shadow models."""

    target: NDArray[np.float64]
    """Shape (passages,): mean log-likelihood under the target model, nats per token."""
    shadows: NDArray[np.float64]
    """Shape (passages, shadows): the same under each shadow; NaN where a shadow is left out for this passage."""
    inside: NDArray[np.bool_]
    """Shape (passages, shadows): whether each shadow was trained on the passage."""
