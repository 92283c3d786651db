"""Figures of attacks over several trials: means, with intervals that allow for passages and for trials."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_mia.records import Interval
from llm_mia.scores import ScoreTable

Floats = NDArray[np.float64]
RESAMPLES = 400
RATES = (0.05, 0.01)
FIGURES = ("auroc", *(f"tpr_at_{rate:g}" for rate in RATES))


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """The figures of one attack in one trial: on its passages, and on each resample of them."""

    values: Mapping[str, float]
    """By name, see `FIGURES`."""
    draws: Mapping[str, Floats]
    """Each of shape (`RESAMPLES`,). Attacks on the same passages share their resamples."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How often each member, shape (resamples, members), and each non-member is drawn; in the first row once each."""

    members: Floats
    nonmembers: Floats


def weights_of(table: ScoreTable) -> Weights:
    """Resamples within each class; the same for the same passages."""
    rng = np.random.default_rng(zlib.crc32("\n".join(table.ids).encode()))
    weights = []
    for label in (1, 0):
        count = len(table.rows(label))
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        weights.append(np.vstack([np.ones(count), drawn]))
    return Weights(*weights)


def resampled(table: ScoreTable, attack: str, weights: Weights) -> Resampled:
    """The figures of *attack*; a passage without a score counts as the least member-like."""
    scores = np.nan_to_num(table.column(attack), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    members, others = scores[table.rows(1)], scores[table.rows(0)]
    figures = {"auroc": _aurocs(members, others, weights)}
    figures |= {f"tpr_at_{rate:g}": _shares(members, others, weights, rate) for rate in RATES}
    return Resampled({n: float(v[0]) for n, v in figures.items()}, {n: v[1:] for n, v in figures.items()})


def _aurocs(members: Floats, others: Floats, weights: Weights) -> Floats:
    """The chance that a member scores above a non-member, ties counting half; shape (resamples + 1,)."""
    order = np.argsort(others)
    upto = _upto(weights.nonmembers[:, order])
    below = sum(upto[:, np.searchsorted(others[order], members, side=side)] for side in ("left", "right"))
    return np.asarray((weights.members * below / 2).sum(axis=1) / (len(members) * len(others)))


def _shares(members: Floats, others: Floats, weights: Weights, rate: float) -> Floats:
    """The largest TPR on the step ROC whose FPR is at most *rate*; shape (resamples + 1,)."""
    down, ours = np.argsort(-others), np.argsort(-members)
    above = _upto(weights.nonmembers[:, down])[:, 1:]
    first_too_many = (above <= rate * len(others) * (1 + 1e-12)).sum(axis=1)
    thresholds = others[down][first_too_many]
    # A threshold flags what scores above it.
    counts = np.searchsorted(-members[ours], -thresholds, side="left")
    upto = _upto(weights.members[:, ours])
    return np.asarray(upto[np.arange(len(upto)), counts] / len(members))


def _upto(weights: Floats) -> Floats:
    return np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)


def over_trials(trials: Sequence[Resampled], figure: str, less: Sequence[Resampled] | None = None) -> Interval:
    """The mean over trials and its 95 % interval; with *less*, the mean of the differences within each trial.

    The interval comes from a bootstrap of trials, and of the passages in each drawn trial. The variation that is due
    to passages enters twice, so the interval is too wide rather than too narrow: by a third where it is all there is.
    """
    values = np.array([trial.values[figure] for trial in trials])
    draws = np.stack([trial.draws[figure] for trial in trials])
    if less is not None:
        values = values - np.array([trial.values[figure] for trial in less])
        draws = draws - np.stack([trial.draws[figure] for trial in less])
    rng = np.random.default_rng(0)
    shape = (20 * RESAMPLES, len(trials))
    means = draws[rng.integers(len(trials), size=shape), rng.integers(RESAMPLES, size=shape)].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    value = float(values.mean())
    return Interval(value, min(low, value), max(high, value))


def placebo_error(tables: Sequence[ScoreTable]) -> float:
    """Standard error of the mean AUROC over trials whose labels mean nothing: exact without ties, too large with them.

    Mann and Whitney 1947, Annals of Mathematical Statistics 18:50.
    """
    sizes = [(len(table.rows(1)), len(table.rows(0))) for table in tables]
    return float(np.sqrt(sum((m + n + 1) / (12 * m * n) for m, n in sizes))) / len(sizes)
