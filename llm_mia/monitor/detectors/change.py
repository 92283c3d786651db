"""Change from a client's past: it begins to want log-probabilities or samples more often than before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy

from .._rows import Kind
from .._table import Table
from ._detector import Detector, Scored

__all__ = ["CHANGE", "change_of"]

LEAST_PAST = 2
"""Periods that a past has at least."""


def _score(table: Table) -> Scored:
    values = np.array([change_of(periods) for periods in table.periods])
    rows = ((table.kinds & Kind.SCORES) > 0) & (values[table.group] > 0) if len(table.rows) else np.zeros(0, np.bool_)
    return Scored(values, rows)


def change_of(periods: Sequence[tuple[int, int]]) -> float:
    """The largest log-likelihood ratio, over all points in time, of a share that rose there against one that did not.

    Args:
        periods: requests, and those of them that count, in consecutive periods.

    >>> round(change_of([(10, 0), (10, 0), (10, 5)]), 2), change_of([(10, 5), (10, 5), (10, 0)])
    (6.59, 0.0)
    """
    counts = np.array(periods, np.float64).reshape(-1, 2)
    if len(counts) <= LEAST_PAST:
        return 0.0
    sums = counts.cumsum(0)
    before, after = sums[LEAST_PAST - 1 : -1], sums[-1] - sums[LEAST_PAST - 1 : -1]
    rose = after[:, 1] * before[:, 0] > before[:, 1] * after[:, 0]
    ratios = _likelihood(before) + _likelihood(after) - _likelihood(sums[-1:])
    return float(np.where(rose, ratios, 0.0).max(initial=0.0))


def _likelihood(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The binomial log-likelihood of counts at their most likely share."""
    n, k = counts.T
    return np.asarray(xlogy(k, k / n) + xlog1py(n - k, -k / n), np.float64)


CHANGE = Detector(
    "change",
    [("prompt_logprobs", "echo", "logprobs", "samples", "max_tokens")],
    (),
    _score,
    pooled=False,
)
