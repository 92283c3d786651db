"""Drift of windows of traffic from the benign traffic: maximum mean discrepancy, with a p-value by permutations.

Requests of a client are alike and come together, so a window of benign traffic differs from other traffic by more than
independent requests would, and a permutation of requests would reject it far too often. Whole windows are permuted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..calibration import benjamini_hochberg, conformal_p_values
from ..queries import Query
from ._rows import Sampled, sampled_of

__all__ = [
    "BenignWindows", "DriftWindow", "benign_windows", "drift_of", "features_of", "median_distance", "squared_mmd",
]  # fmt: skip

Floats = NDArray[np.float64]
Sample = Sequence[tuple[int, Sampled]]
"""Some of the requests of a log, each with how many came before it."""
REFERENCE_ROWS, WINDOW_ROWS = 300, 40
MOST_BENIGN, MOST = 200, 24
"""Windows of the benign traffic, and of the traffic that is judged."""


@dataclass(frozen=True, slots=True)
class BenignWindows:
    """What windows of traffic are compared with."""

    reference: tuple[tuple[float, ...], ...]
    """Features of a sample of the fit half."""
    requests: int
    """Of a window."""
    discrepancies: tuple[float, ...]
    """Squared discrepancies of the windows of the calibration half from the reference."""


@dataclass(frozen=True, slots=True)
class DriftWindow:
    """A window of consecutive requests, compared with the benign traffic."""

    first: int
    """How many requests come before it."""
    requests: int
    squared_mmd: float
    p_value: float
    q_value: float


def features_of(query: Query) -> tuple[float, ...]:
    """What is compared of a request: its size, its limits, and what it wants, each about between 0 and 1."""
    return _features(sampled_of(query))


def _features(request: Sampled) -> tuple[float, ...]:
    size, limit, completion, top, scores, logprobs, samples, temperature = request.figures
    return (
        math.log1p(size) / 10,
        math.log1p(limit) / 8,
        math.log1p(completion) / 8,
        math.log1p(top) / 4,
        float(scores),
        float(logprobs),
        math.log1p(samples) / 4,
        max(0.0, min(2.0, temperature)) / 2,
    )


def squared_mmd(one: Floats, other: Floats, width: float) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of two samples, with a Gaussian kernel.

    Gretton et al. 2012, "A kernel two-sample test", lemma 6.
    """
    return float(_discrepancies([one], other, width)[0])


def _discrepancies(windows: Sequence[Floats], reference: Floats, width: float) -> Floats:
    """The squared discrepancy of each window from the *reference*, whose kernel is computed once."""
    within = _mean_of_pairs(reference, width)
    between = [_kernel(rows, reference, width).mean() for rows in windows]
    inside = [_mean_of_pairs(rows, width) for rows in windows]
    return np.asarray(np.array(inside) + within - 2 * np.array(between), np.float64)


def _mean_of_pairs(rows: Floats, width: float) -> float:
    """The mean of the kernel over the pairs of different rows."""
    return float((_kernel(rows, rows, width).sum() - len(rows)) / (len(rows) * (len(rows) - 1)))


def median_distance(rows: Floats) -> float:
    """The median distance of two rows; 1 where most rows are equal."""
    distances = _squared_distances(rows, rows)[np.triu_indices(len(rows), 1)]
    return float(math.sqrt(np.median(distances))) or 1.0


def _squared_distances(one: Floats, other: Floats) -> Floats:
    squares = (one * one).sum(1)[:, None] + (other * other).sum(1)
    return np.asarray(np.maximum(0.0, squares - 2 * one @ other.T), np.float64)


def _kernel(one: Floats, other: Floats, width: float) -> Floats:
    return np.asarray(np.exp(-_squared_distances(one, other) / (2 * width * width)), np.float64)


def benign_windows(fit: Sample, calibration: Sample) -> BenignWindows:
    """The windows of the *calibration* half, each compared with the *fit* half."""
    total = _requests(calibration)
    if len(calibration) < WINDOW_ROWS or len(fit) < 2:
        return BenignWindows((), WINDOW_ROWS, ())
    step = max(1, len(fit) // REFERENCE_ROWS)
    reference = np.array([_features(each) for _, each in fit[::step][:REFERENCE_ROWS]])
    least = max(math.ceil(total / MOST_BENIGN), math.ceil((WINDOW_ROWS + 1) * total / len(calibration)))
    windows = [rows for _, _, rows in _windows(calibration, least, MOST_BENIGN)]
    distances = _discrepancies(windows, reference, median_distance(reference))
    return BenignWindows(tuple(map(tuple, reference.tolist())), least, tuple(distances.tolist()))


def drift_of(sample: Sample, benign: BenignWindows) -> tuple[DriftWindow, ...]:
    """The windows of a log, each with a p-value for the hypothesis that it is like the benign windows.

    p = (1 + #{benign windows whose discrepancy is at least as large}) / (benign windows + 1): all permutations of the
    window and the benign windows, by the discrepancy of the first. If they are exchangeable, P(p ≤ u) ≤ u for every u,
    however the requests within a window depend on each other. A window has at least as many requests as a benign
    window, of which as many are compared, so it varies at most as much.

    Args:
        sample: of the log.
        benign: of `benign_windows`; no window is compared where there are none.
    """
    if not benign.discrepancies:
        return ()
    reference = np.array(benign.reference)
    width, windows = median_distance(reference), _windows(sample, benign.requests, MOST)
    if not windows:
        return ()
    distances = _discrepancies([rows for _, _, rows in windows], reference, width)
    p_values = conformal_p_values(distances, benign.discrepancies)
    return tuple(
        DriftWindow(first, requests, float(distance), float(p), float(q))
        for (first, requests, _), distance, p, q in zip(
            windows, distances, p_values, benjamini_hochberg(p_values), strict=True
        )
    )


def _requests(sample: Sample) -> int:
    return sample[-1][0] + 1 if sample else 0


def _windows(sample: Sample, least: int, most: int) -> list[tuple[int, int, Floats]]:
    """At most *most* windows of at least *least* requests: the first of each, how many, and features of some."""
    count = min(most, _requests(sample) // least)
    edges = np.linspace(0, _requests(sample), count + 1).astype(int) if count else np.zeros(1, int)
    numbers = np.array([number for number, _ in sample])
    windows = []
    for first, last in pairwise(edges.tolist()):
        start, end = np.searchsorted(numbers, (first, last))
        if end - start < WINDOW_ROWS:
            continue
        places = np.linspace(start, end - 1, WINDOW_ROWS).astype(int)
        windows.append((first, last - first, np.array([_features(sample[at][1]) for at in places.tolist()])))
    return windows
