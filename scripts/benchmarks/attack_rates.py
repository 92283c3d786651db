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
    """The figures of one attack in one trial: as they are, and in each resample of its passages."""

    values: Mapping[str, float]
    """By name, see `FIGURES`."""
    draws: Mapping[str, Floats]
    """Each of shape (`RESAMPLES`,). Draws of the same passages by other attacks are the same draws."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How often each member, shape (resamples, members), and non-member is drawn; the first row draws each once."""

    members: Floats
    nonmembers: Floats


def weights_of(table: ScoreTable) -> Weights:
    """Resamples within each class; the same passages, the same draws."""
    rng = np.random.default_rng(zlib.crc32("\n".join(table.ids).encode()))
    found = []
    for label in (1, 0):
        count = len(table.rows(label))
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        found.append(np.vstack([np.ones(count), drawn]))
    return Weights(*found)


def resampled(table: ScoreTable, attack: str, weights: Weights) -> Resampled:
    """The figures of *attack*; a passage without a score says nothing, and counts as the least member-like."""
    scores = np.nan_to_num(table.column(attack), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    members, others = scores[table.rows(1)], scores[table.rows(0)]
    found = {"auroc": _aurocs(members, others, weights)}
    found |= {f"tpr_at_{rate:g}": _shares(members, others, weights, rate) for rate in RATES}
    return Resampled({n: float(v[0]) for n, v in found.items()}, {n: v[1:] for n, v in found.items()})


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


def over_trials(found: Sequence[Resampled], figure: str, less: Sequence[Resampled] | None = None) -> Interval:
    """The mean over trials, or, with *less*, of the differences from others in the same trials; 95 % interval.

    By a bootstrap of trials, and in each drawn trial of its passages. It counts what passages add twice over, so it
    is wide rather than narrow: by a third where trials differ by no more than their passages make them.
    """
    values = np.array([one.values[figure] for one in found])
    draws = np.stack([one.draws[figure] for one in found])
    if less is not None:
        values = values - np.array([one.values[figure] for one in less])
        draws = draws - np.stack([one.draws[figure] for one in less])
    rng = np.random.default_rng(0)
    shape = (20 * RESAMPLES, len(found))
    means = draws[rng.integers(len(found), size=shape), rng.integers(RESAMPLES, size=shape)].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    value = float(values.mean())
    return Interval(value, min(low, value), max(high, value))


def placebo_error(found: Sequence[ScoreTable]) -> float:
    """Standard error of the mean AUROC over trials where labels say nothing: exact, but for ties, which make it less.

    Mann and Whitney 1947, Annals of Mathematical Statistics 18:50.
    """
    sizes = [(len(table.rows(1)), len(table.rows(0))) for table in found]
    return float(np.sqrt(sum((m + n + 1) / (12 * m * n) for m, n in sizes))) / len(sizes)
