"""False positive rates that are realised where a part of the known non-members sets the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibration import conformal_p_values, flag_rank, hierarchical_p_values, nonmembers_needed
from ._calibration import Calibration, Category

__all__ = ["RealisedRates", "realised_rates"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
RATES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
REPEATS, FEWEST_REPEATS, MOST_SCORES = 1_000, 40, 1_000_000
"""Splits: as many as make at most so many scores in all, between these numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class RealisedRates:
    """Promised rates, and what they became on the half that set no threshold; arrays of shape (rates,)."""

    promised: Floats
    mean: Floats
    """Over the splits."""
    low: Floats
    """The 5 % quantile of the splits."""
    high: Floats
    """The 95 % quantile."""
    documents: int
    """Documents in the half that sets the threshold."""
    splits: int


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """The known non-members; arrays of shape (n,)."""

    scores: Floats
    documents: Ints
    categories: Ints
    shared: bool
    """Whether a document has several of them."""

    @classmethod
    def of(cls, calibration: Calibration) -> _Known:
        alone = Category(calibration.threshold, calibration.n, calibration.scores, calibration.documents)
        kinds = list(calibration.categories.values()) or [alone]
        sizes = [kind.n for kind in kinds]
        scores = np.concatenate([np.asarray(kind.scores, dtype=np.float64) for kind in kinds])
        shared = bool(calibration.documents) or any(kind.documents for kind in kinds)
        documents = np.concatenate([np.asarray(kind.documents, dtype=np.intp) for kind in kinds])
        if not shared:
            documents = np.arange(len(scores))
        return cls(scores, documents, np.repeat(np.arange(len(kinds)), sizes), shared)


def realised_rates(calibration: Calibration, rates: Sequence[float] = RATES, *, seed: int = 0) -> RealisedRates | None:
    """What false positive rates become where a random half of the non-members sets the threshold for the other half.

    Halves are drawn by document, within each category. The mean over all halves is at most the promised rate whatever
    the scores are, since a document of one half could as well have been in the other: it shows that the rule keeps its
    promise on these scores, with their ties and their documents. The quantiles show how far a single known set of half
    the size misses it. Neither shows whether the candidates are like the non-members. Where documents are shared, each
    counts once. With a confidence the rule of the calibration holds the promised rate in that share of the halves.

    Args:
        calibration: its scores, documents, categories and confidence.
        rates: promised rates; those that half of the documents cannot certify are left out. The rate of the calibration
            is added.
        seed: of the draws.

    Returns:
        The rates, or None where half of the documents can certify none of them.
    """
    known = _Known.of(calibration)
    first = np.unique(known.documents, return_index=True)[1]
    strata = [known.documents[first][known.categories[first] == kind] for kind in np.unique(known.categories)]
    fewest = min(len(documents) // 2 for documents in strata)
    wanted = sorted({*rates, calibration.fpr})
    promised = np.array([rate for rate in wanted if nonmembers_needed(rate, calibration.confidence) <= fewest])
    if not len(promised):
        return None
    splits = min(REPEATS, max(FEWEST_REPEATS, MOST_SCORES // len(known.scores)))
    rng, realised = np.random.default_rng(seed), np.empty((splits, len(promised)))
    for split in range(splits):
        setting = np.zeros(int(known.documents.max()) + 1, dtype=bool)
        for documents in strata:
            setting[rng.permutation(documents)[: len(documents) // 2]] = True
        realised[split] = _rates_of_split(known, setting[known.documents], promised, calibration.confidence)
    low, high = np.quantile(realised, [0.05, 0.95], axis=0)
    return RealisedRates(promised, realised.mean(axis=0), low, high, sum(len(each) // 2 for each in strata), splits)


def _rates_of_split(known: _Known, setting: NDArray[np.bool_], rates: Floats, confidence: float | None) -> Floats:
    """The share of the passages outside *setting* that is flagged at each rate; each document counts once."""
    judged = np.flatnonzero(~setting)
    flagged = np.zeros((len(judged), len(rates)))
    for kind in np.unique(known.categories[judged]):
        here = known.categories[judged] == kind
        sets = np.flatnonzero(setting & (known.categories == kind))
        scores = known.scores[judged[here]]
        if confidence is None:
            flagged[here] = _on_average(known, sets, scores, rates)
        else:
            flagged[here] = _with_confidence(known, sets, scores, rates, confidence)
    _, numbers = np.unique(known.documents[judged], return_inverse=True)
    weights = 1 / np.bincount(numbers)[numbers]
    return np.asarray(weights @ flagged / weights.sum())


def _on_average(known: _Known, sets: Ints, scores: Floats, rates: Floats) -> NDArray[np.bool_]:
    """Which scores have a p-value within each rate: exactly those above its threshold."""
    if known.shared:
        p_values = hierarchical_p_values(scores, known.scores[sets], known.documents[sets])
    else:
        p_values = conformal_p_values(scores, known.scores[sets])
    return np.asarray(p_values[:, None] <= rates)


def _with_confidence(known: _Known, sets: Ints, scores: Floats, rates: Floats, confidence: float) -> NDArray[np.bool_]:
    """Which scores are above the threshold of each rate: a rank among the highest scores of documents."""
    _, numbers = np.unique(known.documents[sets], return_inverse=True)
    highest = np.full(int(numbers.max()) + 1, -np.inf)
    np.maximum.at(highest, numbers, known.scores[sets])
    descending = -np.sort(-highest)
    ranks = [flag_rank(len(descending), rate, confidence) for rate in rates.tolist()]
    return np.asarray(scores[:, None] > descending[np.array(ranks) - 1])
