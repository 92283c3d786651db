"""Attacks on how the loss changes along the passage."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..records import IntArray
from ._fields import Likelihoods, TokenLikelihoods
from ._registry import AtLeast, Share, attack
from ._tail import lowest

__all__ = ["camia", "win_k"]

Signal: TypeAlias = Literal[
    "below_1", "below_2", "below_3", "below_mean", "below_previous", "cut", "diversity", "lz", "repetition", "slope"
]
FloatArray: TypeAlias = NDArray[np.float64]

LEVELS = 3
"""Steps of the quantised losses whose Lempel–Ziv complexity is taken: the coarsest of the authors' 3, 4 and 5."""


@attack("camia", paper="Chang et al. 2025, arXiv:2409.13745")
def camia(target: TokenLikelihoods, *, signal: Signal = "diversity", first: AtLeast = 200) -> float:
    """A sequence feature of CAMIA, of the losses of the *first* tokens, with the sign that makes members score higher.

    below_τ, below_mean and below_previous are the shares of tokens whose loss is below τ nats, below the mean of all,
    and below the mean of the tokens before. cut is the negated loss; diversity divides it by the share of distinct
    tokens, because a text with repetitions is likely under any model. lz counts the phrases of the losses quantised in
    three steps (a long passage has fewer for each token: compare passages of similar length). slope measures how fast
    the loss falls. repetition replaces the paper's second pass over the text, repeated after itself: a model that has
    memorised a text does not need to see a token twice, so repeated tokens gain little.

    The authors' code (changhongyan123/context_aware_mia) chooses the sign of each feature by the labels, also those of
    the test set; here it is fixed. Their code omits the last token from means over the whole passage, takes the slope
    over six copies of the text, and does not divide the count above the mean, which then measures the length. The stack
    can combine the features: it is fitted on a set and calibrated on another.

        ℓ_t = log p(x_t | x_<t) for t = 1 … n, n = min(tokens, first)
        below_τ = #{t : ℓ_t ≥ −τ} / n
        below_mean = #{t : ℓ_t > mean(ℓ)} / n
        below_previous = #{t > 1 : ℓ_t > mean(ℓ_1 … ℓ_t−1)} / (n − 1)
        cut = mean(ℓ)
        diversity = mean(ℓ) / (distinct tokens / n)
        lz = −phrases / n
        repetition = mean(ℓ at the first occurrence of each token) − mean(ℓ)
        slope = Σ_t (t − mean(t)) ℓ_t / Σ_t (t − mean(t))²

    >>> from llm_mia import TokenSignals
    >>> target = TokenSignals.of([-4, -3, -1, 0], token_ids=[7, 8, 7, 9])
    >>> camia(target, signal="cut"), camia(target, signal="cut", first=2), camia(target, signal="below_2")
    (-2.0, -3.5, 0.5)
    >>> round(camia(target, signal="diversity"), 4)  # -2 over 3 / 4
    -2.6667
    >>> round(camia(target, signal="repetition"), 4)  # -(4 + 3 + 0) / 3 minus -2: the second 7 was likelier
    -0.3333
    """
    if np.isnan(target.logprob).any():
        return math.nan  # a comparison with NaN is false: the token would count as unlikely
    return float(SIGNALS[signal](target.logprob[:first].astype(np.float64), target.token_ids[:first]))


@attack("win_k", paper="Arkhmammadova et al. 2025, arXiv:2508.01268")
def win_k(target: Likelihoods, *, k: Share = 0.2, window: AtLeast = 3) -> float:
    """Mean of the fraction *k* lowest mean log-likelihoods of *window* tokens in a row.

    A single unlikely token is noise; three in a row indicate text that the model has not seen. A passage shorter than
    the window is a single window, where a plain sliding mean has none and gives NaN. A window of 1 gives ``min_k``.

        m_i = 1/w · Σ_{t = i … i+w−1} log p(x_t | x_<t), i = 1 … n−w+1
        mean of the ⌊k · (n−w+1)⌋ lowest m_i, 1 at least

    >>> from llm_mia import TokenSignals
    >>> win_k(TokenSignals.of([-1, -5, -3, -1, -9]), k=0.5, window=2)
    -4.5
    """
    width = min(window, len(target.logprob))
    means = np.convolve(target.logprob.astype(np.float64), np.full(width, 1 / width), "valid")
    return float(lowest(means, k).mean())


def _below(logprob: FloatArray, nats: float) -> float:
    return np.count_nonzero(logprob >= -nats) / len(logprob)


def _below_mean(logprob: FloatArray) -> float:
    return np.count_nonzero(logprob > logprob.mean()) / len(logprob)


def _below_previous(logprob: FloatArray) -> float:
    later = len(logprob) - 1
    means = logprob.cumsum()[:-1] / np.arange(1, later + 1)
    return np.count_nonzero(logprob[1:] > means) / max(1, later)


def _repetition(logprob: FloatArray, tokens: IntArray) -> float:
    # Compared with all tokens, not with the repeated ones: without any of those the difference is 0, not undefined.
    return float(logprob[np.unique(tokens, return_index=True)[1]].mean() - logprob.mean())


def _slope(logprob: FloatArray) -> float:
    t = np.arange(len(logprob)) - (len(logprob) - 1) / 2
    return float(t @ logprob) / max(
        0.5, float(t @ t)
    )  # t · t is 0.5 for two tokens, and the slope of a single token is 0 / 0.5


def lempel_ziv_phrases(symbols: bytes) -> int:
    """The number of phrases into which *symbols* are cut, each the shortest that did not occur before (LZ78)."""
    seen: set[bytes] = set()
    start = 0
    for end in range(1, len(symbols) + 1):
        if symbols[start:end] not in seen:
            seen.add(symbols[start:end])
            start = end
    return len(seen)


def _complexity(logprob: FloatArray) -> float:
    # The authors first quantise in a hundred steps from the lowest to 0, which only adds rounding.
    low, high = float(logprob.min()), float(logprob.max())
    steps = np.ceil((logprob - low) * (LEVELS / ((high - low) or 1.0))) - 1
    return lempel_ziv_phrases(np.clip(steps, 0, LEVELS - 1).astype(np.uint8).tobytes()) / len(logprob)


SIGNALS: dict[Signal, Callable[[FloatArray, IntArray], float]] = {
    "below_1": lambda logprob, _: _below(logprob, 1),
    "below_2": lambda logprob, _: _below(logprob, 2),
    "below_3": lambda logprob, _: _below(logprob, 3),
    "below_mean": lambda logprob, _: _below_mean(logprob),
    "below_previous": lambda logprob, _: _below_previous(logprob),
    "cut": lambda logprob, _: float(logprob.mean()),
    "diversity": lambda logprob, tokens: float(logprob.mean()) * len(tokens) / len(np.unique(tokens)),
    "lz": lambda logprob, _: -_complexity(logprob),
    "repetition": _repetition,
    "slope": lambda logprob, _: _slope(logprob),
}
