"""What a threshold fixed beforehand does: exact rates, and the privacy loss that they rule out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError
from ..records import Interval
from ._intervals import Ends, Floats, clopper_pearson, tail_of
from ._samples import Sample, Seed, by_class

__all__ = ["Rates", "epsilon_lower_bound", "rates_at_threshold"]


@dataclass(frozen=True, slots=True)
class Rates:
    """How many a threshold flags of either class; the counts are what `epsilon_lower_bound` takes."""

    threshold: float
    """Scores strictly above it are flagged."""
    true_positives: int
    """Members flagged."""
    members: int
    false_positives: int
    """Non-members flagged."""
    nonmembers: int
    tpr: Interval
    """Share of members flagged."""
    fpr: Interval
    """Share of non-members flagged."""


def rates_at_threshold(
    scores: ArrayLike,
    labels: ArrayLike,
    threshold: float,
    *,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    rng: Seed = 0,
) -> Rates:
    """Each interval holds its rate with at least *confidence*, for independent passages of any distributions.

    It is Clopper–Pearson, and takes for granted that *threshold* wasn't chosen on these scores. With *documents* that
    hold several passages it is a bootstrap over the documents of the class, and approximate.

    *scores* and *labels* have shape (n,). Raises `ScoresError` (see `auroc`), or where *threshold* is NaN.

    >>> rates = rates_at_threshold([5.0, 4.0, 2.0, 3.0, 1.0, 0.0], [1, 1, 1, 0, 0, 0], 3.0)
    >>> rates.true_positives, rates.fpr.value, round(rates.tpr.low, 3), round(rates.fpr.high, 3)
    (2, 0.0, 0.094, 0.708)
    """
    if math.isnan(threshold):
        raise ScoresError("the threshold is NaN")
    sample = by_class(scores, labels, documents, "a rate at a threshold")
    classes = (sample.members, sample.member_documents), (sample.nonmembers, sample.nonmember_documents)
    (flagged, tpr), (alarms, fpr) = (_share(own > threshold, group, confidence, rng) for own, group in classes)
    return Rates(threshold, flagged, len(sample.members), alarms, len(sample.nonmembers), tpr, fpr)


def _share(
    flagged: NDArray[np.bool_], documents: NDArray[np.intp], confidence: float, rng: Seed
) -> tuple[int, Interval]:
    """How many are flagged, and the interval of their share, by document where these hold several."""
    numbers = np.unique(documents, return_inverse=True)[1]
    # The other class says nothing about this one's rate: one silent passage stands in for each of as many documents.
    silent = numbers.max() + 1 + np.arange(numbers.max() + 1)
    sample = Sample(flagged.astype(np.float64), np.zeros(len(silent)), numbers, silent)

    def share(weights: Floats, _: Floats) -> Floats:
        return np.asarray(weights @ sample.members / weights.sum(axis=1))

    def independent(own: Floats, _: Floats, confidence: float) -> Ends:
        exact = clopper_pearson(int(own.sum()), len(own), confidence)
        return exact.low, exact.high

    return int(flagged.sum()), sample.interval(float(flagged.mean()), share, independent, (0.0, 1.0), confidence, rng)


def epsilon_lower_bound(
    true_positives: int,
    members: int,
    false_positives: int,
    nonmembers: int,
    confidence: float = 0.95,
    delta: float = 0.0,
) -> float:
    """With at least *confidence*, no (ε, *delta*)-differentially private training has an ε below the one returned.

    Private training holds every attack to TPR ≤ e^ε·FPR + δ and, for what isn't flagged, TNR ≤ e^ε·FNR + δ. Both are
    taken at the low end of TPR and the high end of FPR (Clopper–Pearson, half of the error to each), so both hold at
    once and the larger ε counts; 0 where the attack shows nothing.

    That is for independent trials, with a threshold fixed beforehand: each a training run of its own with or without
    the passage. Passages of one training run share its luck; there the figure describes the attack, and no longer
    certifies what the training procedure leaks.

    Raises `ScoresError` where a count is no share, *confidence* lies outside (0, 1) or *delta* outside [0, 1).
    Kairouz, Oh and Viswanath 2015, Theorem 2.1; Nasr et al. 2021, arXiv:2101.04535, section 3.

    >>> round(epsilon_lower_bound(100, 100, 0, 100), 2), epsilon_lower_bound(50, 100, 50, 100)
    (3.28, 0.0)
    """
    tail_of(confidence)
    if not 0 <= delta < 1:
        raise ScoresError(f"delta must lie in 0..1, 1 excluded: got {delta:g}")
    tpr = clopper_pearson(true_positives, members, confidence).low
    fpr = clopper_pearson(false_positives, nonmembers, confidence).high
    return max(0.0, _log_ratio(tpr - delta, fpr), _log_ratio(1 - fpr - delta, 1 - tpr))


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if above > 0 else 0.0
