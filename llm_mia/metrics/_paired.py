"""Two runs on the same passages: their flags, their TPR at an FPR, and their means, each as a paired difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError, UsageError
from ..records import Interval
from ._delong import LEAST_P, PairedComparison, least_p, p_value_of
from ._intervals import Ends, Floats, share_ends, tail_of
from ._samples import AtConfidence, Sample, Seed, check_rate, checked_scores, split_by_class
from ._weighted import weighted_share

__all__ = ["PairedFlags", "compare_flags", "compare_means", "compare_tpr"]


@dataclass(frozen=True, slots=True)
class PairedFlags:
    """Which of the same passages two runs flag."""

    both: int
    only_first: int
    only_second: int
    neither: int
    documents: int
    """With more flags in either run than in the other."""
    p_value: float
    """Two-sided, of the hypothesis that each document's difference of flags is as likely to be d as −d, for every d."""


def compare_flags(first: ArrayLike, second: ArrayLike, documents: Sequence[str] | None = None) -> PairedFlags:
    """How many passages both runs flag, or only either of them, with an exact test of the difference.

    Where it makes no difference to any document which run is called the first, the p-value is at most α with
    probability at most α, whatever passages of a document have in common: each document's difference of flags is then
    as likely to be d as −d, for every d. The reference distribution has all 2^documents changes of sign. Where each
    passage is a document by itself, it is McNemar's exact test. It is no test of equal means alone: runs that differ
    rarely but by many flags in one direction, and often but by few in the other, are not alike. Both thresholds count
    as fixed: that another calibration set would have given others is not part of it.

    Args:
        first: whether the first run flags each passage, shape (n,).
        second: the same of the second run.
        documents: the document of each passage; None: each is a document by itself.

    Raises:
        UsageError: lengths differ.

    McNemar 1947, Psychometrika 12:153.

    >>> compare_flags([True] * 6 + [False], [False] * 7).p_value  # 2 · (1/2)^6
    0.03125
    >>> compare_flags([True] * 6, [False] * 6, ["one"] * 6).p_value
    1.0
    """
    one, other = np.asarray(first, dtype=bool).ravel(), np.asarray(second, dtype=bool).ravel()
    if len(one) != len(other) or (documents is not None and len(documents) != len(one)):
        raise UsageError(f"{len(one)} flags of the first run cannot be paired with {len(other)} of the second")
    numbers = np.arange(len(one)) if documents is None else np.unique(list(documents), return_inverse=True)[1]
    sums = np.bincount(numbers, weights=other.astype(np.int64) - one.astype(np.int64)).round().astype(np.int64)
    return PairedFlags(
        int((one & other).sum()),
        int((one & ~other).sum()),
        int((~one & other).sum()),
        int((~one & ~other).sum()),
        int(np.count_nonzero(sums)),
        _sign_test(sums[sums != 0]),
    )


def _sign_test(sums: NDArray[np.int64]) -> float:
    """The share of all changes of sign of *sums* that give a total as far from 0 as theirs.

    The characteristic function of such a total is the product of cos(s·t) over *sums*, and the total is an integer: one
    inverse Fourier transform gives its distribution.
    """
    most, observed = int(np.abs(sums).sum()), abs(int(sums.sum()))
    if not observed:
        return 1.0
    sizes, counts = np.unique(np.abs(sums), return_counts=True)
    angles = 2 * np.pi * np.arange(2 * most + 1) / (2 * most + 1)
    product = np.ones(len(angles))
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        product *= np.cos(size * angles) ** count
    chances = np.fft.fft(product).real / len(angles)  # of the total s at position s, of −s at position −s
    tail = float(chances[observed : most + 1].sum())
    return min(1.0, max(2 * tail, 2.0 ** (1 - len(sums)), LEAST_P))


def compare_means(
    first: ArrayLike, second: ArrayLike, documents: Sequence[str] | None = None, confidence: float = 0.95
) -> PairedComparison:
    """The mean of *second* less the mean of *first* on the same passages, with interval and p-value.

    The interval holds the population's difference with about *confidence*: Student's t with the jackknife over
    documents, whose passages may depend on each other in any way. Where few documents hold most passages, t has the
    degrees of freedom of as many equal documents as the sizes are worth (n² / Σ size²) less 1. It is approximate where
    few documents have differences far from normal. With a single document, or where no document differs from another,
    it is unbounded, and the p-value is 1.

    All arrays have shape (n,); *documents* has n names.

    Raises:
        ScoresError: there are no passages, or a value is not finite.

    Efron and Stein 1981, Annals of Statistics 9:586; Kish 1965, Survey Sampling, for the number of equal documents.

    >>> paired = compare_means([1.0, 2.0, 3.0, 4.0], [1.5, 2.3, 3.4, 4.8])
    >>> round(paired.difference.value, 2), round(paired.difference.low, 2), round(paired.difference.high, 2)
    (0.5, 0.16, 0.84)
    """
    from scipy.special import stdtr, stdtrit

    gaps = np.asarray(second, dtype=np.float64).ravel() - np.asarray(first, dtype=np.float64).ravel()
    if not len(gaps) or not np.isfinite(gaps).all():
        raise ScoresError("a difference of means needs passages with finite values in both runs")
    value = float(gaps.mean())
    numbers = np.arange(len(gaps)) if documents is None else np.unique(list(documents), return_inverse=True)[1]
    sizes, sums = np.bincount(numbers), np.bincount(numbers, weights=gaps - value)
    n_documents = len(sums)
    if n_documents < 2:
        return PairedComparison(Interval(value, -math.inf, math.inf, confidence), 1.0)
    without = -sums / (len(gaps) - sizes)  # the mean without each document, less the mean
    spread = math.sqrt((n_documents - 1) / n_documents * float(without @ without))
    if not spread:
        return PairedComparison(Interval(value, -math.inf, math.inf, confidence), 1.0)
    freedom = len(gaps) ** 2 / float(sizes.astype(np.float64) @ sizes) - 1
    half = float(stdtrit(freedom, 1 - tail_of(confidence))) * spread
    p_value = max(2 * float(stdtr(freedom, -abs(value) / spread)), LEAST_P)
    return PairedComparison(Interval(value, value - half, value + half, confidence), p_value)


def compare_tpr(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    fpr: float,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    *,
    rng: Seed = 0,
) -> PairedComparison:
    """The TPR at *fpr* of the first scores less that of the second, on the same passages, with interval and p-value.

    The interval holds the population's difference with at least about *confidence*. For independent passages it joins
    the intervals of `tpr_at_fpr` as if the two were independent (Zou and Donner), which is cautious where the scores
    correlate positively, as those of two models on the same texts do. Where *documents* have several passages it is a
    bootstrap over documents with the same draws for both, and never narrower.

    All arrays have shape (n,); *documents* has n names.

    Raises:
        ScoresError, UsageError: as for `tpr_at_fpr`.

    >>> better, worse = [6.0, 5.0, 4.0, 2.0, 3.0, 1.0, 0.0, -1.0], [6.0, 1.0, 4.0, 0.0, 3.0, 5.0, 2.0, -1.0]
    >>> compare_tpr(better, worse, [1, 1, 1, 1, 0, 0, 0, 0], 0.1).difference.value
    0.5
    """
    check_rate("fpr", fpr)
    first, second = (checked_scores(scores, labels, "a comparison")[0] for scores in (scores_a, scores_b))
    if len(first) != len(second):
        raise UsageError(f"{len(first)} scores of the first run but {len(second)} of the second")
    by_class = split_by_class(first, labels, documents, "a comparison")
    member = np.asarray(labels).ravel().astype(bool)
    pairs = np.column_stack([first, second])
    sample = Sample(pairs[member], pairs[~member], by_class.member_documents, by_class.nonmember_documents)
    shares = [weighted_share(sample.nonmembers[:, i], sample.members[:, i], fpr) for i in (0, 1)]

    def difference(w_members: Floats, w_nonmembers: Floats) -> Floats:
        return np.asarray(shares[0](w_nonmembers, w_members) - shares[1](w_nonmembers, w_members))

    def independent(members: Floats, nonmembers: Floats) -> AtConfidence:
        values = [float((members[:, i] > _cut(nonmembers[:, i], fpr)).mean()) for i in (0, 1)]

        def at(level: float) -> Ends:
            (low_a, high_a), (low_b, high_b) = (share_ends(nonmembers[:, i], members[:, i], fpr, level) for i in (0, 1))
            a, b = values
            return a - b - math.hypot(a - low_a, high_b - b), a - b + math.hypot(high_a - a, b - low_b)

        return at

    at = sample.intervals(sample.figure(difference), difference, independent, (-1.0, 1.0), rng)
    return PairedComparison(at(confidence), p_value_of(at, least_p(sample.fewest) if sample.grouped else LEAST_P))


def _cut(nonmembers: Floats, fpr: float) -> float:
    """The least score with at most *fpr* of *nonmembers* above it; −inf where all may be."""
    allowed = math.floor(fpr * len(nonmembers) * (1 + 1e-12))
    return float(-np.sort(-nonmembers)[allowed]) if allowed < len(nonmembers) else -math.inf
