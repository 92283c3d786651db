"""Drift of windows of traffic from the benign traffic: maximum mean discrepancy, with a p-value by permutations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..queries import Query
from ._traffic import Kind, kind_of

__all__ = ["DriftWindow", "features_of", "median_distance", "mmd_p_value", "squared_mmd", "windows_of"]

Floats = NDArray[np.float64]


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
    kind = kind_of(query)
    return (
        math.log1p(query.prompt_bytes or 4 * (query.prompt_tokens or 0)) / 10,
        math.log1p(query.max_tokens or 0) / 8,
        math.log1p(query.completion_tokens or 0) / 8,
        math.log1p(query.top_logprobs or 0) / 4,
        float(bool(kind & Kind.SCORES)),
        float(bool(query.logprobs)),
        math.log1p(query.samples or 1) / 4,
        max(0.0, min(2.0, query.temperature if query.temperature is not None else 1.0)) / 2,
    )


def squared_mmd(one: Floats, other: Floats, width: float) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of two samples, with a Gaussian kernel.

    Gretton et al. 2012, "A kernel two-sample test", lemma 6.
    """
    kernel = _kernel(np.concatenate([one, other]), width)
    return float(_statistics(kernel, np.arange(len(kernel))[None] < len(one))[0])


def mmd_p_value(
    one: Floats, other: Floats, *, permutations: int = 199, seed: int = 0, width: float | None = None
) -> float:
    """A p-value for the hypothesis that two samples come from the same distribution.

    p = (1 + #{permutations whose discrepancy is at least as large}) / (permutations + 1). If the rows of both samples
    together are exchangeable, P(p ≤ u) ≤ u for every u. Requests of the same client are not independent, so a single
    busy client can cause a small p-value without any attack.

    Args:
        one: shape (n, features).
        other: shape (m, features).
        permutations: how many are drawn.
        seed: of the draw.
        width: of the kernel; by default the median distance of the pooled rows, which no permutation changes.
    """
    rows = np.concatenate([one, other])
    kernel = _kernel(rows, width or median_distance(rows))
    generator = np.random.default_rng(seed)
    labels = np.zeros((permutations + 1, len(rows)), np.bool_)
    labels[0, : len(one)] = True
    for row in labels[1:]:
        row[generator.permutation(len(rows))[: len(one)]] = True
    statistics = _statistics(kernel, labels)
    # Permutations that give the same split differ by rounding alone: they count as at least as large.
    return float((1 + (statistics[1:] >= statistics[0] - 1e-12).sum()) / (permutations + 1))


def median_distance(rows: Floats) -> float:
    """The median distance of two rows; 1 where most rows are equal."""
    distances = _squared_distances(rows)[np.triu_indices(len(rows), 1)]
    return float(math.sqrt(np.median(distances))) or 1.0


def _squared_distances(rows: Floats) -> Floats:
    squares = (rows * rows).sum(1)
    return np.asarray(np.maximum(0.0, squares[:, None] + squares[None] - 2 * rows @ rows.T), np.float64)


def _kernel(rows: Floats, width: float) -> Floats:
    kernel = np.exp(-_squared_distances(rows) / (2 * width * width))
    np.fill_diagonal(kernel, 0.0)
    return np.asarray(kernel, np.float64)


def _statistics(kernel: Floats, labels: NDArray[np.bool_]) -> Floats:
    """The discrepancy of each split: row by row, which rows of the kernel are the first sample."""
    first = labels.astype(np.float64)
    n = first.sum(1)
    m = len(kernel) - n
    within_first = ((first @ kernel) * first).sum(1)
    both = first @ kernel.sum(1)
    between = both - within_first
    within_second = kernel.sum() - within_first - 2 * between
    return np.asarray(within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m), np.float64)


def windows_of(sample: Sequence[tuple[int, tuple[float, ...]]], most: int, least: int) -> list[tuple[int, int, Floats]]:
    """A sample of requests cut into at most *most* windows of at least *least* rows: first, requests, rows."""
    count = min(most, len(sample) // least)
    if count == 0:
        return []
    edges = np.linspace(0, len(sample), count + 1).astype(int)
    windows = []
    for first, last in pairwise(edges):
        rows = np.array([row for _, row in sample[first:last]])
        end = sample[last][0] if last < len(sample) else sample[-1][0] + 1
        windows.append((sample[first][0], end - sample[first][0], rows))
    return windows
