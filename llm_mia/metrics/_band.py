"""The band of a ROC: the interval of the TPR at many false positive rates at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    """The TPR at each of *rates*, with intervals whose ends never fall as the rate rises.

    Each interval holds that of `llm_mia.metrics.tpr_at_fpr`, so it has the same guarantee: the band holds the
    population's ROC at any single rate with *confidence*, and not at all rates at once. A ROC never falls, so a lower
    end that is above that of a higher rate is too hopeful: it is lowered to it, and an upper end that is below that of
    a lower rate is raised to it. To narrow the band instead, by raising lower ends, would need all rates to hold at
    once. With *documents* that have several passages all rates share the same resamples of documents; of more than
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
    single = (sample.members, sample.nonmembers) if drawn is None else drawn.single_passages()
    band = []
    for column, (rate, value) in enumerate(zip(rates, values, strict=True)):
        whole = share_ends(sample.nonmembers, sample.members, rate, confidence)
        band.append(
            sample.widest(
                value,
                None if drawn is None else drawn.figures[:, column],
                whole,
                lambda level, rate=rate: share_ends(single[1], single[0], rate, level),  # type: ignore[misc]
                (0.0, 1.0),
                confidence,
            )
        )
    return _widened(band, rates)


def _widened(band: Sequence[Interval], rates: Sequence[float]) -> list[Interval]:
    """The intervals, as wide as it takes for their ends not to fall as the rate rises."""
    order = np.argsort(rates, kind="stable")
    lows, highs = (np.array([getattr(at, end) for at in band]) for end in ("low", "high"))
    lows[order] = np.minimum.accumulate(lows[order][::-1])[::-1]
    highs[order] = np.maximum.accumulate(highs[order])
    ends = zip(band, lows.tolist(), highs.tolist(), strict=True)
    return [replace(at, low=low, high=high) for at, low, high in ends]
