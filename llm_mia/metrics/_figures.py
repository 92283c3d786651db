"""The figures: values on the step ROC and the difference of means, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ScoresError
from ..records import Interval
from ._intervals import Ends, Floats, newcombe_low, share_ends, welch
from ._samples import FEW_DOCUMENTS, Seed, check_rate, checked_scores, split_by_class
from ._weighted import area, auroc_by_document, weighted_share

__all__ = ["ConfidenceGap", "Roc", "auroc", "confidence_gap", "fpr_at_tpr", "roc", "tpr_at_fpr"]

EXPOSED_ABOVE = 0.1
CELLS = 1 << 22
"""Pairs of a document of members and a document of non-members, beyond which documents are joined in groups."""


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """A step ROC: at ``thresholds[i]`` the share ``fpr[i]`` of non-members and ``tpr[i]`` of members score above."""

    thresholds: Floats
    """Shape (distinct scores + 1,), descending; the last, -inf, flags everything."""
    fpr: Floats
    """Same shape, from 0 to 1."""
    tpr: Floats
    """Same shape, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class ConfidenceGap:
    """How much more confident the model is on members than on non-members."""

    member_mean: float
    """Mean confidence of members."""
    nonmember_mean: float
    """Mean confidence of non-members."""
    gap: Interval
    """`member_mean` less `nonmember_mean`."""
    midpoint: float
    """The mean of the two means: the threshold of the simplest attack."""
    exposed: bool
    """Whether the whole interval of the gap is above 0.1."""


def roc(scores: ArrayLike, labels: ArrayLike) -> Roc:
    """The step ROC of this sample: a point for each distinct score, with exact shares and no interpolation.

    *scores* and *labels* have shape (n,).

    Raises:
        ScoresError: as for `auroc`.

    >>> curve = roc([3.0, 2.0, 2.0, 1.0], [1, 1, 0, 0])
    >>> curve.fpr.tolist(), curve.tpr.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])
    """
    values, member = checked_scores(scores, labels, "a ROC")
    thresholds = np.append(np.unique(values)[::-1], -np.inf)
    rates = []
    for of_class in (values[~member], values[member]):
        above = len(of_class) - np.searchsorted(np.sort(of_class), thresholds[:-1], side="right")
        rates.append(np.append(above, len(of_class)) / len(of_class))
    return Roc(thresholds, fpr=rates[0], tpr=rates[1])


def auroc(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    rng: Seed = 0,
) -> Interval:
    """The AUROC with its interval: the chance that a member scores above a non-member; a tie counts half.

    The interval contains the population's AUROC with about *confidence*, also at 0 and 1 and with few passages. It is
    Newcombe's "method 5" for independent passages, and a bootstrap over *documents* where these have several passages.

    *scores* and *labels* have shape (n,); *documents* has n names.

    Raises:
        ScoresError: no scores, NaN scores, labels other than 0 and 1, or a single class.
        UsageError: unequal lengths.

    Mann–Whitney; the interval: Newcombe 2006, Statistics in Medicine 25:559.

    >>> interval = auroc([4.0, 3.0, 2.0, 1.0], [1, 1, 0, 0])
    >>> interval.value, round(interval.low, 3), interval.high
    (1.0, 0.386, 1.0)
    """
    sample = split_by_class(scores, labels, documents, "AUROC")
    del scores, labels, documents  # the sample holds a copy
    joined, value = sample.with_groups(CELLS), area(sample.members, sample.nonmembers)
    statistic = cache(partial(auroc_by_document, joined))

    def independent(members: Floats, nonmembers: Floats, confidence: float) -> Ends:
        shape, of_these = (len(members), len(nonmembers)), area(members, nonmembers)
        return newcombe_low(of_these, *shape, confidence), 1 - newcombe_low(1 - of_these, *shape, confidence)

    def resampled(w_members: Floats, w_nonmembers: Floats) -> Floats:
        return statistic()(w_members, w_nonmembers)

    few = 3 * FEW_DOCUMENTS
    return joined.interval(value, resampled, independent, (0.0, 1.0), confidence, rng, few, by_document=True)


def tpr_at_fpr(
    scores: ArrayLike,
    labels: ArrayLike,
    fpr: float,
    *,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    rng: Seed = 0,
) -> Interval:
    """The largest TPR on the step ROC whose FPR is at most *fpr*, with its interval.

    For independent passages, the interval contains the population's TPR at *fpr* with at least *confidence*, for
    scores of any distribution. It allows for the uncertainty of the threshold: the population's threshold lies between
    two order statistics of the non-members (exact binomial), and the share of members above each has Clopper–Pearson
    ends. Where the non-members are too few to bound the threshold from above, the lower end is 0. With *documents* that
    have several passages it is a bootstrap, and approximate.

    *scores* and *labels* have shape (n,).

    Raises:
        ScoresError: as for `auroc`.
        UsageError: as for `auroc`, or *fpr* lies outside (0, 1).

    >>> interval = tpr_at_fpr([5.0, 4.0, 2.0, 3.0, 1.0, 0.0], [1, 1, 1, 0, 0, 0], 0.1)
    >>> round(interval.value, 3), interval.low, interval.high
    (0.667, 0.0, 1.0)
    """
    check_rate("fpr", fpr)
    sample = split_by_class(scores, labels, documents, "TPR at FPR")
    statistic = weighted_share(sample.nonmembers, sample.members, fpr)

    def figure(w_members: Floats, w_nonmembers: Floats) -> Floats:
        return statistic(w_nonmembers, w_members)

    def independent(members: Floats, nonmembers: Floats, confidence: float) -> Ends:
        return share_ends(nonmembers, members, fpr, confidence)

    return sample.interval(sample.figure(figure), figure, independent, (0.0, 1.0), confidence, rng)


def fpr_at_tpr(
    scores: ArrayLike,
    labels: ArrayLike,
    tpr: float = 0.95,
    *,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    rng: Seed = 0,
) -> Interval:
    """The smallest FPR on the step ROC whose TPR is at least *tpr*, with its interval.

    For independent passages, the interval contains the population's FPR at *tpr* with at least *confidence*, for
    scores of any distribution. It is computed like `tpr_at_fpr`, with the classes and the direction of the scores
    exchanged.

    *scores* and *labels* have shape (n,).

    Raises:
        ScoresError: as for `auroc`.
        UsageError: as for `auroc`, or *tpr* lies outside (0, 1).

    >>> fpr_at_tpr([5.0, 4.0, 2.0, 3.0, 1.0, 0.0], [1, 1, 1, 0, 0, 0], 0.6).value
    0.0
    """
    check_rate("tpr", tpr)
    missed = 1 - tpr
    sample = split_by_class(scores, labels, documents, "FPR at TPR")
    # With all signs reversed, a missed member is above: the share of non-members not flagged at that rate of misses.
    cleared = weighted_share(-sample.members, -sample.nonmembers, missed, complement=True)

    def independent(members: Floats, nonmembers: Floats, confidence: float) -> Ends:
        low, high = share_ends(-members, -nonmembers, missed, confidence)
        return 1 - high, 1 - low

    return sample.interval(sample.figure(cleared), cleared, independent, (0.0, 1.0), confidence, rng)


def confidence_gap(
    members: ArrayLike,
    nonmembers: ArrayLike,
    *,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    rng: Seed = 0,
) -> ConfidenceGap:
    """The difference between the mean confidences of members and non-members, with its interval.

    The interval contains the difference of the population's means with about *confidence* (Welch's t). Where the spread
    of a class cannot be measured (a single passage or document, or no spread in either class), it is -1..1. The gap is
    a difference between two sets of texts, which need not be due to training.

    *members* and *nonmembers* are mean token probabilities in 0..1, shapes (M,) and (N,); *documents* names the
    documents of the members, then those of the non-members.

    Raises:
        ScoresError: a class is empty, or holds NaN or values outside 0..1.

    Welch 1947, Biometrika 34:28.

    >>> gap = confidence_gap([0.97, 0.95, 0.99, 0.93, 0.96, 0.98, 0.94, 0.91],
    ...                      [0.72, 0.68, 0.81, 0.65, 0.74, 0.69, 0.77, 0.63])
    >>> np.round([gap.member_mean, gap.nonmember_mean, gap.gap.value, gap.midpoint], 3).tolist(), gap.exposed
    ([0.954, 0.711, 0.243, 0.832], True)
    >>> round(gap.gap.low, 3), round(gap.gap.high, 3)
    (0.19, 0.295)
    """
    first, second = (np.asarray(side, dtype=np.float64).ravel() for side in (members, nonmembers))
    labels = np.repeat([1, 0], [len(first), len(second)])
    sample = split_by_class(np.concatenate([first, second]), labels, documents, "a confidence gap")
    outside = int(np.sum((first < 0) | (first > 1))) + int(np.sum((second < 0) | (second > 1)))
    if outside:
        raise ScoresError(f"{outside} confidences lie outside 0..1: a confidence gap needs mean token probabilities")
    means = float(first.mean()), float(second.mean())

    def difference(w_members: Floats, w_nonmembers: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            of_members = w_members @ sample.members / w_members.sum(axis=1)
            return np.asarray(of_members - w_nonmembers @ sample.nonmembers / w_nonmembers.sum(axis=1))

    def independent(members: Floats, nonmembers: Floats, confidence: float) -> Ends:
        low, high = welch(members, nonmembers, confidence)
        return max(-1.0, low), min(1.0, high)

    gap = sample.interval(means[0] - means[1], difference, independent, (-1.0, 1.0), confidence, rng)
    return ConfidenceGap(*means, gap, midpoint=(means[0] + means[1]) / 2, exposed=gap.low > EXPOSED_ABOVE)
