"""Attacks on the least likely tokens: raw, relative to the model's next-token distribution, or to a corpus."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..records import TokenFrequencies
from ._evidence import refuse_other_frequencies
from ._fields import Likelihoods, Moments, TokenLikelihoods
from ._registry import AtLeast, Positive, Share, attack
from ._tail import lowest

__all__ = ["dc_pdd", "gap_k", "min_k", "min_k_plus_plus", "surp"]


@attack("min_k", paper="Shi et al. 2024, arXiv:2310.16789")
def min_k(target: Likelihoods, *, k: Share = 0.2) -> float:
    """Mean log-likelihood of the fraction *k* of tokens that are least likely.

        1/|E| · Σ_{t ∈ E} log p(x_t | x_<t),   E: the ⌊k·n⌋ least likely of n tokens

    >>> from llm_mia import TokenSignals
    >>> min_k(TokenSignals.of([-1, -5, -2, -3, -4]), k=0.4)
    -4.5
    """
    return float(lowest(target.logprob, k).mean(dtype=np.float64))


@attack("min_k++", paper="Zhang et al. 2025, arXiv:2404.02936")
def min_k_plus_plus(target: Moments, *, k: Share = 0.2) -> float:
    """Mean of the fraction *k* lowest log-likelihoods, each standardised by the model's next-token distribution.

    Mean and deviation are those of log p(v) for v ∼ p, not those over the vocabulary with equal weights (paper, eq. 2).

        z_t = (log p(x_t | x_<t) − μ_t) / σ_t,   μ_t = E_{v∼p}[log p(v | x_<t)],   σ_t: deviation of the same
        1/|E| · Σ_{t ∈ E} z_t,   E: the ⌊k·n⌋ lowest

    >>> from llm_mia import TokenSignals
    >>> min_k_plus_plus(TokenSignals.of([-1, -6], mean=[-2, -2], std=[1, 2]), k=1.0)
    -0.5
    """
    return float(lowest((target.logprob - target.mean) / target.std, k).mean(dtype=np.float64))


@attack("gap_k", paper="Kwak and Kim 2026, arXiv:2601.19936")
def gap_k(target: Moments, *, k: Share = 0.2, window: AtLeast = 3) -> float:
    """Mean of the fraction *k* lowest windows, by the gap between their tokens and the model's likeliest ones.

    A window of *window* tokens starts at every token that has enough tokens after it. The deviation σ is that of
    `min_k_plus_plus`. A passage that is shorter than the window is a single window; the authors' code takes each of its
    tokens separately. Their repository has *window* 3, or 6 for models of the LLaMA family.

        g_t = (log p(x_t | x_<t) − max_v log p(v | x_<t)) / σ_t,   ḡ_t = 1/w · Σ_{0 ≤ i < w} g_{t+i}
        1/|E| · Σ_{t ∈ E} ḡ_t,   E: the ⌊k·(n − w + 1)⌋ lowest

    >>> from llm_mia import TokenSignals
    >>> target = TokenSignals.of([-1, -5, -4, -2], top=[-1, -1, -2, -2], std=[1, 2, 1, 1])
    >>> gap_k(target, k=0.4, window=2)  # gaps 0, −2, −2, 0; windows −1, −2, −1, of which the lowest is taken
    -2.0
    """
    gaps = (target.logprob - target.top) / target.std
    width = min(window, len(gaps))
    return float(lowest(np.convolve(gaps, np.full(width, 1 / width), "valid"), k).mean())


@attack("surp", paper="Zhang and Wu 2024, arXiv:2407.21248")
def surp(target: Moments, *, k: Share = 0.4, entropy: Positive = 2.0) -> float:
    """Mean log-likelihood of surprising tokens: those of the fraction *k* least likely at which the model was certain.

    The model is certain where its entropy is below *entropy* nats. Where it is certain at none of them, all of them are
    averaged, as in `min_k`; a public benchmark (mia_llms_benchmark) gives such a passage −100, less than any text has.

        1/|S| · Σ_{t ∈ S} log p(x_t | x_<t),   S = {t ∈ E : −Σ_v p(v | x_<t) log p(v | x_<t) < entropy}
        E: the ⌊k·n⌋ least likely of n tokens, and all as likely as the last of them;   S = E where S is empty

    >>> from llm_mia import TokenSignals
    >>> target = TokenSignals.of([-1, -5, -2, -3, -6], mean=[-1, -1, -1, -1, -4])
    >>> surp(target, k=0.4)  # of −6 and −5, the model was certain at −5
    -5.0
    >>> surp(target, k=0.2)
    -6.0
    """
    if np.isnan(target.mean).any():
        return math.nan
    tail = lowest(target.logprob, k)
    surprising = target.logprob[(target.logprob <= tail.max()) & (-target.mean < entropy)]
    return float((surprising if len(surprising) else tail).mean(dtype=np.float64))


@attack("dc_pdd", paper="Zhang et al. 2024, arXiv:2409.14781")
def dc_pdd(target: TokenLikelihoods, frequencies: TokenFrequencies, *, a: Positive = 0.01) -> float:
    """Mean probability of the tokens, each weighted by how rare it is in a corpus, with *a* as the upper limit.

    Each distinct token counts at its first occurrence. Laplace smoothing gives a frequency to tokens that the corpus
    lacks. The authors' code computes smoothed frequencies too, but then uses the raw counts: it takes the
    logarithm of 1/count, which is negative or infinite. Frequencies of another tokenizer raise `AttackError`.

        1/|F| · Σ_{t ∈ F} min(a, −p(x_t | x_<t) · log f(x_t)),   f(v) = (count(v) + 1) / (Σ_u count(u) + |V|)
        F: the first occurrence of each scored token

    >>> from llm_mia import TokenSignals
    >>> frequencies = TokenFrequencies(np.array([2, 0]), tokenizer="a")  # f = 3/4 and 1/4
    >>> target = TokenSignals.of(np.log([0.5, 0.125, 0.25]), token_ids=[1, 1, 0], tokenizer="a")
    >>> score = dc_pdd(target, frequencies, a=9.0)
    >>> math.isclose(score, (0.5 * math.log(4) + 0.25 * math.log(4 / 3)) / 2, rel_tol=1e-6)
    True
    >>> round(dc_pdd(target, frequencies), 6)
    0.01
    """
    refuse_other_frequencies(frequencies, target.tokenizer)
    if np.isnan(target.logprob).any():
        return math.nan
    tokens, first = np.unique(target.token_ids, return_index=True)
    rare = math.log(_smoothed_total(frequencies)) - np.log(frequencies.counts[tokens] + 1)
    return float(np.minimum(np.exp(target.logprob[first], dtype=np.float64) * rare, a).mean())


@lru_cache(maxsize=1)  # a sum over the vocabulary takes longer than a score, and all passages share it
def _smoothed_total(frequencies: TokenFrequencies) -> int:
    return int(frequencies.counts.sum()) + len(frequencies.counts)
