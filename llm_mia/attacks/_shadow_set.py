"""What attacks need of a set of shadow models besides the signals: which of them was trained on which passage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..passages import Passages

__all__ = ["ShadowSet"]


@dataclass(frozen=True, slots=True, eq=False)
class ShadowSet:
    """Shadow models as a supply of a run: their roles, what each was trained on, and figures of their pool.

    `llm_mia.shadow.Shadows.supply` makes it from a folder of shadows.
    """

    roles: tuple[str, ...]
    """``shadow-00``, ``shadow-01``, …"""
    inside: Mapping[str, tuple[bool, ...]]
    """By SHA-256 of the text of a pool passage, hexadecimal: whether each shadow was trained on it."""
    spread_in: float
    """See `ShadowLikelihoods.spread_in`; over the pool."""
    spread_out: float
    population: Passages
    """At most 1,000 passages of the pool, evenly spaced."""
    population_logprob: NDArray[np.float64]
    """Shape (passages of the population, shadows): their mean log-likelihood under each shadow, nats per token."""
    sha256: str
    """Digest of pool, split, base, recipe and weights: what scores depend on."""
    seed: int = 0
    """Draws the shadow that is left out for each passage."""
