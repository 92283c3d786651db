"""Figures at low false positive rates: of a trial, and paired over trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_mia.calibration import fpr_threshold, nonmembers_needed
from llm_mia.metrics import compare_means
from llm_mia.records import Interval

Floats = NDArray[np.float64]
RATES = (0.01, 0.001)
PARTIAL = 0.02
"""The partial AUROC is the mean TPR over false positive rates below this."""
SPLITS = 10
FIGURES = ("tpr_at_0.01", "tpr_at_0.001", "partial_auroc", "auroc")
REALISED = tuple(f"realised_at_{rate:g}" for rate in RATES)


def figures_of(members: Floats, measured: Floats, seed: int = 0) -> dict[str, float]:
    """TPR at each rate, partial AUROC, AUROC, and the realised rates of the conformal threshold.

    The TPR at a rate is the largest on the step ROC whose false positive rate is at most that. For the realised rate,
    a random half of the measured non-members sets the threshold, and the rest is flagged by it; the mean over both
    halves and `SPLITS` draws. A half that is too small for a rate flags nothing.
    """
    down = -np.sort(-measured)
    at_count = np.searchsorted(np.sort(members), down[: int(PARTIAL * len(down)) + 1], side="right")
    shares = 1 - at_count / len(members)
    values = {f"tpr_at_{rate:g}": float(shares[int(rate * len(down) * (1 + 1e-12))]) for rate in RATES}
    values["partial_auroc"] = float(shares[:-1].mean())
    values["auroc"] = _auroc(members, measured)
    rng = np.random.default_rng(seed)
    flagged: dict[float, list[float]] = {rate: [] for rate in RATES}
    for _ in range(SPLITS):
        first = rng.permutation(len(measured)) < len(measured) // 2
        for half in (first, ~first):
            for rate in RATES:
                enough = half.sum() >= nonmembers_needed(rate)
                threshold = fpr_threshold(measured[half], rate) if enough else np.inf
                flagged[rate].append(float((measured[~half] > threshold).mean()))
    return values | {f"realised_at_{rate:g}": float(np.mean(shares)) for rate, shares in flagged.items()}


def _auroc(members: Floats, others: Floats) -> float:
    ascending = np.sort(others)
    below = sum(np.searchsorted(ascending, members, side=side) for side in ("left", "right"))
    return float(np.mean(below) / 2 / len(others))


def over_trials(values: Sequence[float], less: Sequence[float] | None = None) -> Interval:
    """The mean over trials with its 95 % interval, Student's t over trials; with *less*, of the paired differences."""
    return compare_means(np.zeros(len(values)) if less is None else less, values).difference


def column(trials: Sequence[Mapping[str, Mapping[str, float]]], score: str, figure: str) -> list[float]:
    """The *figure* of *score* in each trial."""
    return [trial[score][figure] for trial in trials]
