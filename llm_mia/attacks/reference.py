"""Attacks that compare the target model with a reference model, which removes how difficult the text is."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._fields import Likelihoods, Ranks
from ._registry import Positive, Share, attack
from ._tail import lowest

__all__ = ["clipped_gain", "ez", "hard_token", "reference", "student_gain", "wbc"]

# The loss of a passage that a model has memorised rounds to zero, and nothing may be divided by zero.
TINIEST_LOSS = 1e-12

WINDOWS = (2, 3, 4, 6, 9, 13, 18, 25, 32, 40)
"""Window lengths of WBC in tokens, spaced geometrically from 2 to 40 as in the paper."""


@attack("reference", paper="Watson et al. 2022, arXiv:2111.08440")
def reference(
    target: Likelihoods,
    reference: Likelihoods,
    text: str,
    *,
    form: Literal["difference", "ratio"] = "difference",
) -> float:
    """Mean gain in log-likelihood over the reference model: nats per token, or per byte between tokenizers.

    Numbers of tokens of two tokenizers cannot be compared; numbers of bytes can. The ratio (Carlini et al. 2021,
    arXiv:2012.07805) is the reference's loss divided by the target's, the same per token and per byte, so that higher
    is more member-like. Published code also has the inverse; some gives 0 where a loss is 0, as in a memorised passage.

        difference: 1/n · Σ_t [log p_T(x_t | x_<t) − log p_R(x_t | x_<t)]
        ratio: Σ_t log p_R(x_t | x_<t) / Σ_t log p_T(x_t | x_<t)

    >>> from llm_mia import TokenSignals
    >>> new, old = TokenSignals.of([-1, -2]), TokenSignals.of([-2, -4])
    >>> reference(new, old, "four"), reference(new, old, "four", form="ratio")
    (1.5, 2.0)
    >>> reference(new, TokenSignals.of([-2, -4], tokenizer="another"), "four")
    0.75
    """
    if form == "difference" and target.tokenizer == reference.tokenizer:
        return float((target.logprob - reference.logprob).mean(dtype=np.float64))
    of_target, of_reference = target.logprob.sum(dtype=np.float64), reference.logprob.sum(dtype=np.float64)
    if form == "ratio":
        return float(min(of_reference, -TINIEST_LOSS) / min(of_target, -TINIEST_LOSS))
    return float((of_target - of_reference) / len(text.encode()))


@attack("wbc", paper="Chen et al. 2026, arXiv:2601.02751")
def wbc(target: Likelihoods, aligned_reference: Likelihoods) -> float:
    """Share of windows, of 2 to 40 tokens, whose text is likelier under the target than under the reference.

    Every window of each length has a vote, and all lengths have the same weight. A length above the passage's is left
    out; in the authors' code the whole passage votes instead, as often as there are such lengths. A draw is half a vote
    (in their code none), so that two models that agree give ½, and exchanging the models gives 1 − score.

        mean over w of 1/(n − w + 1) · Σ_i 1[Σ_{t=i..i+w−1} log p_T(x_t | x_<t) − log p_R(x_t | x_<t) > 0]

    >>> from llm_mia import TokenSignals
    >>> new, old = (TokenSignals.of(v) for v in ([-1, -4, -2], [-2, -2, -3]))
    >>> wbc(new, old)  # gains 1, −2, 1: windows of two have −1, −1, the window of three has 0, a draw
    0.25
    """
    sums = np.zeros(len(target.logprob) + 1)
    np.cumsum(target.logprob - aligned_reference.logprob, dtype=np.float64, out=sums[1:])
    lengths = [w for w in WINDOWS if w < len(sums)] or [len(sums) - 1]
    return sum(_votes(sums[w:] - sums[:-w]) for w in lengths) / len(lengths)


@attack("ez", paper="Ilić et al. 2026, arXiv:2601.12104")
def ez(target: Ranks, aligned_reference: Ranks, *, prior: Positive = 1.0) -> float:
    """Ratio of the target's gains over the reference to its losses, at tokens that are not the target's likeliest ones.

    The authors' code gives 0, its lowest score, to the strongest evidence: no losses, or too few such tokens. Here
    *prior* nats are added to both sums; they matter little in a long passage and moderate a short one. Where every
    token is the target's likeliest, those that are not the reference's are taken; without any, the score is 1.

        E = {t : x_t is not the target's likeliest token};  d_t = log p_T(x_t | x_<t) − log p_R(x_t | x_<t)
        (prior + Σ_{t∈E} max(d_t, 0)) / (prior + Σ_{t∈E} max(−d_t, 0))

    >>> from llm_mia import TokenSignals
    >>> new, old = (TokenSignals.of(v, rank=[1, 2, 0]) for v in ([-1, -4, -1], [-4, -3, -9]))
    >>> ez(new, old)  # (1 + 3) / (1 + 1): the last token is the target's likeliest
    2.0
    """
    if min(target.rank.min(), aligned_reference.rank.min()) < 0:  # a backend that does not give ranks
        return math.nan
    wrong = target.rank > 0
    gains = (target.logprob - aligned_reference.logprob) * (wrong if wrong.any() else aligned_reference.rank > 0)
    won, lost = (np.maximum(part, 0).sum(dtype=np.float64) for part in (gains, -gains))
    return float((prior + won) / (prior + lost))


@attack("hard_token", paper="Jawad et al. 2026, arXiv:2601.20885")
def hard_token(
    target: Likelihoods,
    aligned_reference: Likelihoods,
    *,
    k: Share = 0.2,
    form: Literal["share", "gain"] = "share",
) -> float:
    """Share of the hard tokens, the fraction *k* that the target finds least likely, on which it beats the reference.

    With ``form=gain`` it is the mean gain there, in nats. All tokens as hard as the last of them are taken, so that the
    order of the tokens does not matter; a draw is half a vote.

        H = the ⌊k · n⌋ tokens of lowest log p_T(x_t | x_<t), 1 at least
        share: 1/|H| · Σ_{t∈H} 1[p_T(x_t | x_<t) > p_R(x_t | x_<t)]
        gain: 1/|H| · Σ_{t∈H} [log p_T(x_t | x_<t) − log p_R(x_t | x_<t)]

    >>> from llm_mia import TokenSignals
    >>> new, old = (TokenSignals.of(v)
    ...     for v in ([-1, -5, -6, -2], [-9, -4, -9, -2]))
    >>> hard_token(new, old, k=0.5), hard_token(new, old, k=0.5, form="gain")  # gains −1 and 3
    (0.5, 1.0)
    """
    gains = target.logprob - aligned_reference.logprob
    if np.isnan(gains).any():  # a token that only the reference could not score may not be among the hard ones
        return math.nan
    hard = gains[target.logprob <= lowest(target.logprob, k).max()]
    return _votes(hard) if form == "share" else float(hard.mean(dtype=np.float64))


@attack("clipped_gain", paper="ours; nearest is Chen et al. 2026, arXiv:2601.02751")
def clipped_gain(target: Likelihoods, aligned_reference: Likelihoods, *, c: Positive = 1.0) -> float:
    """Mean gain over the reference model, with the gain of each token limited to ± *c* nats.

    Gains have heavy tails in members and in non-members: in a plain mean a single token outweighs a hundred, and in a
    vote of signs a gain of 0.001 counts as much as a gain of 1. This score lies between them: with ``c=inf`` it is the
    difference of ``reference``; with *c* near zero and divided by *c*, it is the mean of the signs.

        1/n · Σ_t min(c, max(−c, log p_T(x_t | x_<t) − log p_R(x_t | x_<t)))

    >>> from llm_mia import TokenSignals
    >>> new, old = (TokenSignals.of(v) for v in ([-1, -2, -3], [-9, -2.5, -3]))
    >>> clipped_gain(new, old)  # (1 + 0.5 + 0) / 3
    0.5
    """
    gains = target.logprob - aligned_reference.logprob
    return float(np.maximum(np.minimum(gains, c), -c).mean(dtype=np.float64))


@attack("student_gain", paper="ours; nearest is Maini et al. 2024, arXiv:2406.06443")
def student_gain(target: Likelihoods, aligned_reference: Likelihoods) -> float:
    """Sum of the gains over the reference model, divided by the root of the sum of their squares.

    The false positives of a mean gain are, by chance alone, short passages and those whose gains vary most. Where
    non-members gain nothing on average (the reference was trained in the same way on other texts), the spread of their
    scores here hardly depends on their length; where they gain something, longer ones score higher. At a given length
    the score is a monotone function of Student's t, S / √((n − S²) / (n − 1)), and is finite where t is not (a single
    token, equal gains). It is 0 where the models agree on every token. Raising all gains equally raises it; raising a
    single gain may not.

        S = Σ_t d_t / √(Σ_t d_t²);  d_t = log p_T(x_t | x_<t) − log p_R(x_t | x_<t)

    >>> from llm_mia import TokenSignals
    >>> new, old = (TokenSignals.of(v) for v in ([-1, -2], [-4, -6]))
    >>> student_gain(new, old)  # (3 + 4) / 5
    1.4
    """
    gains = (target.logprob - aligned_reference.logprob).astype(np.float64)
    size = math.sqrt(gains @ gains)
    return float(gains.sum() / size) if size else 0.0


def _votes(values: NDArray[Any]) -> float:
    """Share of *values* above zero; a zero is half a vote. NaN gives NaN; a comparison would count it as below."""
    return 0.5 + float(np.sign(values).sum()) / (2 * len(values))
