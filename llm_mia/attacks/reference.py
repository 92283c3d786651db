"""Attacks that set the target model beside a reference model, which takes out how hard the text is."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._fields import Likelihoods, Ranks
from ._registry import Positive, Share, attack
from ._tail import lowest

__all__ = ["clipped_gain", "ez", "hard_token", "reference", "student_gain", "wbc"]

# A passage that a model knows by heart has a loss that rounds to zero; no ratio may divide by it.
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

    Token counts of two tokenizers can't be compared, bytes can. The ratio (Carlini et al. 2021, arXiv:2012.07805) is
    the reference's loss over the target's, per token or per byte alike, so that more is more member-like; published
    code has it both ways up, and some gives 0 where a loss is 0, which is what a passage known by heart has.

        difference: 1/n · Σ_t [log p_T(x_t | x_<t) − log p_R(x_t | x_<t)]
        ratio: Σ_t log p_R(x_t | x_<t) / Σ_t log p_T(x_t | x_<t)

    >>> from types import SimpleNamespace
    >>> new, old = np.array([-1, -2], dtype=np.float32), np.array([-2, -4], dtype=np.float32)
    >>> ours, theirs = SimpleNamespace(logprob=new, tokenizer="a"), SimpleNamespace(logprob=old, tokenizer="a")
    >>> reference(ours, theirs, "four"), reference(ours, theirs, "four", form="ratio")
    (1.5, 2.0)
    >>> theirs.tokenizer = "b"
    >>> reference(ours, theirs, "four")
    0.75
    """
    if form == "difference" and target.tokenizer == reference.tokenizer:
        return float((target.logprob - reference.logprob).mean(dtype=np.float64))
    own, other = target.logprob.sum(dtype=np.float64), reference.logprob.sum(dtype=np.float64)
    if form == "ratio":
        return float(min(other, -TINIEST_LOSS) / min(own, -TINIEST_LOSS))
    return float((own - other) / len(text.encode()))


@attack("wbc", paper="Chen et al. 2026, arXiv:2601.02751")
def wbc(target: Likelihoods, aligned_reference: Likelihoods) -> float:
    """Share of windows, of 2 to 40 tokens, in which the target finds the text likelier than the reference does.

    Every stretch of each length has one vote, and the lengths count alike. A length above the passage's is left out:
    the authors' code lets the whole passage vote in its stead, as often as there are such lengths. A draw is half a
    vote (theirs: none), so that two models that agree give ½, and changing places gives 1 − score.

        mean over w of 1/(n − w + 1) · Σ_i 1[Σ_{t=i..i+w−1} log p_T(x_t | x_<t) − log p_R(x_t | x_<t) > 0]

    >>> from types import SimpleNamespace
    >>> ours, theirs = (SimpleNamespace(logprob=np.array(v, dtype=np.float32)) for v in ([-1, -4, -2], [-2, -2, -3]))
    >>> wbc(ours, theirs)  # gains 1, −2, 1: of two in a row −1, −1, of all three 0, a draw
    0.25
    """
    sums = np.zeros(len(target.logprob) + 1)
    np.cumsum(target.logprob - aligned_reference.logprob, dtype=np.float64, out=sums[1:])
    lengths = [w for w in WINDOWS if w < len(sums)] or [len(sums) - 1]
    return sum(_votes(sums[w:] - sums[:-w]) for w in lengths) / len(lengths)


@attack("ez", paper="Ilić et al. 2026, arXiv:2601.12104")
def ez(target: Ranks, aligned_reference: Ranks, *, prior: Positive = 1.0) -> float:
    """Ratio of what the target gained on the reference to what it lost, at tokens where its own choice is wrong.

    The authors' code gives 0, its lowest score, to the strongest evidence: nothing lost, or too few wrong choices. Here
    *prior* nats stand on either side, which decide nothing in a long passage and temper a short one. Where the target
    is never wrong, the tokens at which the reference is are taken; where neither is, the score is 1: no evidence.

        E = {t : x_t is not the target's choice};  d_t = log p_T(x_t | x_<t) − log p_R(x_t | x_<t)
        (prior + Σ_{t∈E} max(d_t, 0)) / (prior + Σ_{t∈E} max(−d_t, 0))

    >>> from types import SimpleNamespace
    >>> ours, theirs = (SimpleNamespace(logprob=np.array(v, dtype=np.float32), rank=np.array([1, 2, 0]))
    ...     for v in ([-1, -4, -1], [-4, -3, -9]))
    >>> ez(ours, theirs)  # (1 + 3) / (1 + 1): the last token was the target's choice
    2.0
    """
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

    With ``form=gain`` it is how much it beats it there, in nats. Tokens as hard as the last one taken are all taken, so
    that no order of the tokens decides; a draw is half a vote.

        H = the ⌊k · n⌋ tokens of lowest log p_T(x_t | x_<t), one at least
        share: 1/|H| · Σ_{t∈H} 1[p_T(x_t | x_<t) > p_R(x_t | x_<t)]
        gain: 1/|H| · Σ_{t∈H} [log p_T(x_t | x_<t) − log p_R(x_t | x_<t)]

    >>> from types import SimpleNamespace
    >>> ours, theirs = (SimpleNamespace(logprob=np.array(v, dtype=np.float32))
    ...     for v in ([-1, -5, -6, -2], [-9, -4, -9, -2]))
    >>> hard_token(ours, theirs, k=0.5), hard_token(ours, theirs, k=0.5, form="gain")  # gains −1 and 3
    (0.5, 1.0)
    """
    gains = target.logprob - aligned_reference.logprob
    if np.isnan(gains).any():  # one that only the reference could not score may not be among the hard ones
        return math.nan
    hard = gains[target.logprob <= lowest(target.logprob, k).max()]
    return _votes(hard) if form == "share" else float(hard.mean(dtype=np.float64))


@attack("clipped_gain", paper="ours; nearest is Chen et al. 2026, arXiv:2601.02751")
def clipped_gain(target: Likelihoods, aligned_reference: Likelihoods, *, c: Positive = 1.0) -> float:
    """Mean gain over the reference model, each token's gain cut off at *c* nats either way.

    Gains have heavy tails in members and non-members alike: in a plain mean one token outvotes a hundred, in a vote of
    signs a gain of 0.001 counts as much as one of 1. This lies between: ``c=inf`` is the difference of ``reference``,
    and *c* near zero, divided by it, the balance of signs.

        1/n · Σ_t min(c, max(−c, log p_T(x_t | x_<t) − log p_R(x_t | x_<t)))

    >>> from types import SimpleNamespace
    >>> ours, theirs = (SimpleNamespace(logprob=np.array(v, dtype=np.float32)) for v in ([-1, -2, -3], [-9, -2.5, -3]))
    >>> clipped_gain(ours, theirs)  # (1 + 0.5 + 0) / 3
    0.5
    """
    gains = target.logprob - aligned_reference.logprob
    return float(np.maximum(np.minimum(gains, c), -c).mean(dtype=np.float64))


@attack("student_gain", paper="ours; nearest is Maini et al. 2024, arXiv:2406.06443")
def student_gain(target: Likelihoods, aligned_reference: Likelihoods) -> float:
    """Sum of the gains over the reference model, in units of their own root sum of squares.

    The false positives of a mean gain are, by chance alone, short passages and those whose gains spread widely. Where
    non-members gain nothing on average (the reference is a sibling, trained alike on other texts) the spread of their
    scores here is much the same whatever their length; where they gain something, longer ones score higher. One to one
    with Student's t at a given length, S / √((n − S²) / (n − 1)), and finite where that is not (one token, all alike);
    0 where the models agree on every token. Raising every gain alike raises it, raising one of them need not.

        S = Σ_t d_t / √(Σ_t d_t²);  d_t = log p_T(x_t | x_<t) − log p_R(x_t | x_<t)

    >>> from types import SimpleNamespace
    >>> ours, theirs = (SimpleNamespace(logprob=np.array(v, dtype=np.float32)) for v in ([-1, -2], [-4, -6]))
    >>> student_gain(ours, theirs)  # (3 + 4) / 5
    1.4
    """
    gains = (target.logprob - aligned_reference.logprob).astype(np.float64)
    size = math.sqrt(gains @ gains)
    return float(gains.sum() / size) if size else 0.0


def _votes(values: NDArray[Any]) -> float:
    """Share of *values* above zero; a zero is half a vote, and NaN is NaN, which a comparison would count as a loss."""
    return 0.5 + float(np.sign(values).sum()) / (2 * len(values))
