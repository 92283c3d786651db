"""The rates of a threshold that was fixed beforehand, and the lower bound on ε that they imply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..records import Interval
from ._intervals import Ends, Floats, clopper_pearson, tail_of
from ._samples import Sample, Seed, split_by_class

__all__ = ["Rates", "epsilon_lower_bound", "epsilon_of_one_run", "flagged_share", "rates_at_threshold"]

LARGEST_EPSILON = 100.0
"""Bounds above this are not computed: no privacy is left."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How many members and non-members a threshold flags; the bounds on ε take the counts."""

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
    """TPR and FPR at *threshold*, with counts and intervals.

    For independent passages, each interval contains the population's rate with at least *confidence*, for scores of
    any distribution (Clopper–Pearson), provided that *threshold* was not chosen on these scores. With *documents* that
    have several passages it is a bootstrap over the documents of the class, and approximate.

    *scores* and *labels* have shape (n,).

    Raises:
        ScoresError: as for `auroc`.
        UsageError: as for `auroc`, or *threshold* is NaN.

    >>> rates = rates_at_threshold([5.0, 4.0, 2.0, 3.0, 1.0, 0.0], [1, 1, 1, 0, 0, 0], 3.0)
    >>> rates.true_positives, rates.fpr.value, round(rates.tpr.low, 3), round(rates.fpr.high, 3)
    (2, 0.0, 0.094, 0.708)
    """
    if math.isnan(threshold):
        raise UsageError("`threshold` is NaN")
    sample = split_by_class(scores, labels, documents, "a rate at a threshold")
    classes = (sample.members, sample.member_documents), (sample.nonmembers, sample.nonmember_documents)
    (flagged, tpr), (false, fpr) = (_share(of_class > threshold, group, confidence, rng) for of_class, group in classes)
    return Rates(threshold, flagged, len(sample.members), false, len(sample.nonmembers), tpr, fpr)


def flagged_share(flagged: ArrayLike, documents: Sequence[str], *, confidence: float = 0.95, rng: Seed = 0) -> Interval:
    """The share of *flagged*, shape (n,), with its interval.

    It is that of Clopper and Pearson where each passage is a document by itself. Where *documents* have several
    passages, it comes from a bootstrap over documents, is approximate, and is never narrower.

    Raises:
        UsageError: there are no passages, or lengths differ.

    >>> flagged_share([True, True, False], ["a", "b", "c"]) == flagged_share([True, True, False], "abc")
    True
    """
    values = np.asarray(flagged, dtype=bool)
    if not len(values) or len(documents) != len(values):
        raise UsageError(f"a share needs the document of each passage: got {len(values)} and {len(documents)}")
    number_of = {name: number for number, name in enumerate(sorted(set(documents)))}
    return _share(values, np.array([number_of[name] for name in documents]), confidence, rng)[1]


def _share(
    flagged: NDArray[np.bool_], documents: NDArray[np.integer[Any]], confidence: float, rng: Seed
) -> tuple[int, Interval]:
    """The number of flagged passages, and their share with its interval, by document where these have several."""
    numbers = np.unique(documents, return_inverse=True)[1]
    # `Sample` needs two classes, but only this class determines its rate: the other gets as many dummy documents.
    dummies = numbers.max() + 1 + np.arange(numbers.max() + 1)
    sample = Sample(flagged.astype(np.float64), np.zeros(len(dummies)), numbers, dummies)

    def share(weights: Floats, _: Floats) -> Floats:
        return np.asarray(weights @ sample.members / weights.sum(axis=1))

    def independent(flags: Floats, _: Floats, confidence: float) -> Ends:
        exact = clopper_pearson(int(flags.sum()), len(flags), confidence)
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
    """A lower bound on ε: with at least *confidence*, the training is not (ε, *delta*)-private for any smaller ε.

    Under differentially private training, every attack satisfies TPR ≤ e^ε·FPR + δ, and for passages that are not
    flagged TNR ≤ e^ε·FNR + δ. Both are evaluated at the lower end of TPR and the upper end of FPR (Clopper–Pearson,
    half of the error for each). So both hold at once, and the larger ε counts. The bound is 0 where the attack is no
    better than chance.

    The guarantee is for independent trials and a threshold that was fixed beforehand: each trial is a separate
    training run with or without the passage. Passages of the same training run are not independent trials: for them
    there is `epsilon_of_one_run`.

    Raises:
        UsageError: a count is below 0 or above its total, *confidence* lies outside (0, 1), or *delta* outside [0, 1).

    Kairouz, Oh and Viswanath 2015, Theorem 2.1; Nasr et al. 2021, arXiv:2101.04535, section 3.

    >>> round(epsilon_lower_bound(100, 100, 0, 100), 2), epsilon_lower_bound(50, 100, 50, 100)
    (3.28, 0.0)
    """
    tail_of(confidence)
    if not 0 <= delta < 1:
        raise UsageError(f"`delta` must lie in 0..1, 1 excluded: got {delta:g}")
    tpr = clopper_pearson(true_positives, members, confidence).low
    fpr = clopper_pearson(false_positives, nonmembers, confidence).high
    return max(0.0, _log_ratio(tpr - delta, fpr), _log_ratio(1 - fpr - delta, 1 - tpr))


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if above > 0 else 0.0


def epsilon_of_one_run(
    true_positives: int, members: int, false_positives: int, nonmembers: int, confidence: float = 0.95
) -> float:
    """A lower bound on ε from a single training run: with at least *confidence*, it is not ε-private for a smaller ε.

    The guarantee is for members that were drawn from a pool of independent passages, at random and without regard to
    anything else, and for (ε, 0)-differential privacy where two data sets differ by the replacement of a passage. Given
    everything that the training released, and therefore which passages are flagged, exchanging a member for a
    non-member changes the probability by a factor of at most e^ε. So the number of members among the flagged passages
    is stochastically at most that of Fisher's noncentral hypergeometric distribution with odds e^ε, and the bound is
    the logarithm of the lower end of the exact interval of an odds ratio. The threshold may depend on anything but on
    which passages of the pool are members. Where the passages were not drawn at random, a difference between the sets
    gives a large bound without any training.

    Raises:
        UsageError: a count is below 0 or above its total, or *confidence* lies outside (0, 1).

    A replacement is a removal and an addition, so this ε is at most twice that of an accountant of DP-SGD, where two
    data sets differ by a text that is in only one of them. For that ε there is `epsilon_of_guesses`.

    The argument is that of Steinke, Nasr and Jagielski 2023, arXiv:2305.08846, for a pool of which exactly so many
    passages are drawn.

    >>> round(epsilon_of_one_run(100, 100, 0, 100), 2), epsilon_of_one_run(50, 100, 50, 100)
    (7.51, 0.0)
    """
    from scipy.optimize import brentq
    from scipy.special import gammaln

    tail_of(confidence)
    for flagged, of_class in ((true_positives, members), (false_positives, nonmembers)):
        clopper_pearson(flagged, of_class, confidence)  # refuses counts that are no share
    flagged = true_positives + false_positives
    count = np.arange(max(0, flagged - nonmembers), min(flagged, members) + 1)
    ways = -(  # log of the number of draws with so many members among the flagged passages
        gammaln(count + 1)
        + gammaln(members - count + 1)
        + gammaln(flagged - count + 1)
        + gammaln(nonmembers - flagged + count + 1)
    )

    def excess(epsilon: float) -> float:
        """P(at least as many members are flagged) − (1 − confidence); it increases with ε."""
        logs = ways + epsilon * count
        weights = np.exp(logs - logs.max())
        return float(weights[count >= true_positives].sum() / weights.sum()) - (1 - confidence)

    if excess(0.0) >= 0:
        return 0.0
    return float(brentq(excess, 0.0, LARGEST_EPSILON)) if excess(LARGEST_EPSILON) > 0 else LARGEST_EPSILON
