"""Attacks on the least likely tokens, raw or standardised by the model's own next-token distribution."""

from __future__ import annotations

import numpy as np

from ..records import TokenSignals
from ._registry import Share, attack
from ._tail import lowest

__all__ = ["min_k", "min_k_plus_plus"]


@attack("min_k", paper="Shi et al. 2024, arXiv:2310.16789")
def min_k(target: TokenSignals, *, k: Share = 0.2) -> float:
    """Mean log-likelihood of the fraction *k* of tokens that are least likely.

    >>> from types import SimpleNamespace
    >>> min_k(SimpleNamespace(logprob=np.array([-1, -5, -2, -3, -4], dtype=np.float32)), k=0.4)
    -4.5
    """
    return float(lowest(target.logprob, k).mean(dtype=np.float64))


@attack("min_k++", paper="Zhang et al. 2025, arXiv:2404.02936")
def min_k_plus_plus(target: TokenSignals, *, k: Share = 0.2) -> float:
    """Mean of the fraction *k* lowest log-likelihoods, each standardised by the model's own distribution.

    The mean and deviation are of log p(v) for v ∼ p, not over the vocabulary taken evenly (paper, eq. 2).

    >>> from types import SimpleNamespace
    >>> min_k_plus_plus(SimpleNamespace(
    ...     logprob=np.array([-1, -6], dtype=np.float32),
    ...     mean=np.array([-2, -2], dtype=np.float32),
    ...     std=np.array([1, 2], dtype=np.float32)), k=1.0)
    -0.5
    """
    return float(lowest((target.logprob - target.mean) / target.std, k).mean(dtype=np.float64))
