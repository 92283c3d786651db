"""The band of a ROC: the interval of the TPR at many false positive rates at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..records import Interval
from ._intervals import share_ends
from ._samples import RESAMPLES, Seed, check_rate, split_by_class
from ._weighted import weighted_shares

__all__ = ["tpr_at_fprs"]

FEWEST_RESAMPLES = 200
MOST_WEIGHTS = 4_000_000
"""Passages times resamples: above this fewer resamples are drawn."""


def tpr_at_fprs(
    scores: ArrayLike,
    labels: ArrayLike,
    rates: Sequence[float],
    *,
    documents: Sequence[str] | None = None,
    confidence: float = 0.95,
    rng: Seed = 0,
) -> list[Interval]:
    """`llm_mia.metrics.tpr_at_fpr` at each of *rates*, with the guarantee that it has at each by itself.

    So the band of these intervals holds the population's ROC at any single rate with *confidence*, and not at all rates
    at once. With *documents* that have several passages all rates share the same resamples of documents; of more than
    2,000 passages fewer resamples are drawn, down to 200, so the ends are rougher than those of `tpr_at_fpr`.

    *scores* and *labels* have shape (n,).

    Raises:
        ScoresError, UsageError: as for `llm_mia.metrics.tpr_at_fpr`.

    >>> [round(each.value, 3) for each in tpr_at_fprs([5.0, 4.0, 2.0, 3.0, 1.0, 0.0], [1, 1, 1, 0, 0, 0], [0.1, 0.4])]
    [0.667, 1.0]
    """
    for rate in rates:
        check_rate("rates", rate)
    sample = split_by_class(scores, labels, documents, "TPR at FPR")
    shares = weighted_shares(sample.nonmembers, sample.members, np.asarray(rates, dtype=np.float64))
    values = shares(np.ones((1, len(sample.nonmembers))), np.ones((1, len(sample.members))))[0].tolist()
    passages = len(sample.members) + len(sample.nonmembers)
    number = min(RESAMPLES, max(FEWEST_RESAMPLES, MOST_WEIGHTS // passages))
    drawn = sample.resamples(lambda w_members, w_nonmembers: shares(w_nonmembers, w_members), rng, number)
    band = []
    for column, (rate, value) in enumerate(zip(rates, values, strict=True)):
        whole = share_ends(sample.nonmembers, sample.members, rate, confidence)
        single = sample if drawn is None else drawn
        band.append(
            sample.widest(
                value,
                None if drawn is None else drawn.figures[:, column],
                whole,
                lambda level, single=single, rate=rate: share_ends(single.nonmembers, single.members, rate, level),  # type: ignore[misc]
                (0.0, 1.0),
                confidence,
            )
        )
    return band
