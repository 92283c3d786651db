"""Attacks that compare the passage with rewritten versions of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._fields import Likelihoods
from ._registry import Share, attack
from ._tail import lowest

__all__ = ["neighbour", "pac"]


@attack("neighbour", paper="Mattern et al. 2023, arXiv:2305.18462")
def neighbour(target: Likelihoods, neighbours: tuple[Likelihoods, ...]) -> float:
    """Mean log-likelihood of the passage minus that of its neighbours: nats per token.

    The authors' code (justusmattern27/neighbour-mia, ``attack.py``) does not score the passage itself but the text that
    an uncased BERT's tokenizer makes of it, cut at 512 tokens; here the passage is scored unchanged and whole. The
    lengths of the texts differ, so means are compared and not sums; all neighbours have equal weight. With m
    neighbours x̃:

        1/n · Σ_t log p(x_t | x_<t)  −  1/m · Σ_i 1/n_i · Σ_t log p(x̃_it | x̃_i,<t)

    >>> from llm_mia import TokenSignals
    >>> of = lambda *values: TokenSignals.of(values)
    >>> neighbour(of(-1, -2, -3), (of(-3, -5), of(-4, -4, -4)))  # -2 against -4 and -4
    2.0
    """
    lengths = [len(signals) for signals in neighbours]
    starts = np.cumsum([0, *lengths[:-1]])
    sums = np.add.reduceat(np.concatenate([signals.logprob for signals in neighbours]), starts, dtype=np.float64)
    return float(target.logprob.mean(dtype=np.float64) - (sums / lengths).mean())


@attack("pac", paper="Ye et al. 2024, arXiv:2405.11930")
def pac(target: Likelihoods, swapped: tuple[Likelihoods, ...], *, high: Share = 0.05, low: Share = 0.3) -> float:
    """Mean polarized distance of versions with words swapped, minus that of the passage: nats.

    The polarized distance of a text is the mean of its fraction *high* likeliest tokens minus the mean of its fraction
    *low* least likely ones (at least one token each). In a member even the least likely tokens are likely, so its
    distance is the *smaller* one. The authors' code (yyy01/PAC, ``attack.py``) computes the opposite difference and
    negates it before the AUROC; others who copied the formula alone have the opposite sign. A constant added to every
    log-likelihood of a text changes nothing, and a higher likelihood of the likeliest tokens lowers the score.

        1/m · Σ_i d(x̃_i) − d(x),   d(x) = mean of top_high{log p(x_t | x_<t)} − mean of bottom_low{log p(x_t | x_<t)}

    >>> from llm_mia import TokenSignals
    >>> of = lambda *values: TokenSignals.of(values)
    >>> pac(of(-1, -4, -2, -3), (of(-1, -9, -2, -7), of(-2, -8, -3, -3)), high=0.25, low=0.5)  # 7 and 3.5, less 2.5
    2.75
    """
    distances = [_polarized_distance(signals.logprob, high, low) for signals in swapped]
    return sum(distances) / len(distances) - _polarized_distance(target.logprob, high, low)


def _polarized_distance(logprob: NDArray[np.float32], high: float, low: float) -> float:
    likeliest = -lowest(-logprob, high).mean(dtype=np.float64)
    return float(likeliest - lowest(logprob, low).mean(dtype=np.float64))
