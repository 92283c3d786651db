"""Whether scores follow the order of the rows, as a row number, a time or a leak of the labels does."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..records import without_gaps

__all__ = ["FEWEST_IN_ORDER", "ROW_ORDER_LEVEL", "RowOrder", "row_order"]

ROW_ORDER_LEVEL = 0.001
"""Largest probability with which scores that do not depend on the order of the rows seem to follow it."""
FEWEST_IN_ORDER = 20
"""Documents of a label, below which nothing is concluded about their order."""

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
BLOCK = 1 << 20
"""Passages of which copies are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class RowOrder:
    """How closely the scores of a label follow the order of its rows."""

    label: int
    """1 members, 0 non-members, −1 candidates: those whose scores follow most closely."""
    correlation: float
    """Spearman's rank correlation of the documents' mean score with their mean row."""
    share: float
    """Of the largest correlation that scores with these ties can have: 1 where they never turn back."""
    documents: int


def row_order(scores: ArrayLike, labels: ArrayLike, documents: ArrayLike) -> RowOrder | None:
    """The label within which scores follow the order of the rows most closely; None where none follows it.

    Where the documents of a label are exchangeable, whatever their scores are, the result is not None with probability
    at most 0.001. Each label is tested by itself, so that a table which is sorted by its labels is no sign of anything:
    the rank correlation times √(n − 1), whose variance under permutations of n documents is exactly 1, is compared with
    the normal quantile of a third of the level (Bonferroni). Ranks have lighter tails than the normal distribution, so
    the quantile errs on the safe side.

    Args:
        scores: of passages, shape (n,), in the order of the rows; NaN is left out.
        labels: 1, 0 or −1 of each, shape (n,).
        documents: the document of each, shape (n,), by name or number.

    >>> order = row_order(range(40), [0] * 20 + [1] * 20, [str(i) for i in range(40)])
    >>> order.label, order.correlation, row_order([1, 2] * 20, [0] * 40, [str(i) for i in range(40)])
    (0, 1.0, None)
    """
    values, codes = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    numbers = without_gaps(np.asarray(documents))
    closest: RowOrder | None = None
    for label in (0, 1, -1):
        rows = np.arange(len(values), dtype=np.int32)[(codes == label) & ~np.isnan(values)]
        order = _of_label(label, rows, values[rows], numbers[rows])
        if order is not None and (closest is None or abs(order.correlation) > abs(closest.correlation)):
            closest = order
    return closest


def _of_label(label: int, rows: Ints, scores: Floats, documents: Ints) -> RowOrder | None:
    counts = np.bincount(documents)
    used = counts > 0
    if used.sum() < FEWEST_IN_ORDER:
        return None
    # Means of ranks, so that no score is too large; whole numbers are summed, whatever the order.
    means = _sums(documents, _doubled_ranks(scores), len(counts))[used] / 2 / counts[used]
    places = _doubled_ranks(_sums(documents, rows, len(counts))[used] / counts[used]) / 2
    ranks = _doubled_ranks(means) / 2
    ranks -= ranks.mean()
    spread = float(ranks @ ranks)
    if not spread:
        return None
    places -= places.mean()
    product, largest = float(places @ ranks), float(np.sort(places) @ np.sort(ranks))
    correlation = product / np.sqrt(spread * float(places @ places))
    critical = NormalDist().inv_cdf(1 - ROW_ORDER_LEVEL / 6)
    if abs(correlation) * np.sqrt(int(used.sum()) - 1) <= critical:
        return None
    return RowOrder(label, float(correlation), abs(product) / largest, int(used.sum()))


def _sums(documents: Ints, values: NDArray[np.integer[Any]], n: int) -> Floats:
    """The sum of the *values* of each of *n* documents; of millions of passages no copy is made."""
    sums = np.zeros(n)
    for start in range(0, len(values), BLOCK):
        part = slice(start, start + BLOCK)
        sums += np.bincount(documents[part], values[part], minlength=n)
    return sums


def _doubled_ranks(values: Floats) -> Ints:
    """Twice the ranks from 0, ties sharing the middle of theirs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    differs = ordered[1:] != ordered[:-1]
    del ordered
    kind: type[np.int32 | np.int64] = np.int32 if len(values) < 1 << 30 else np.int64
    last: Ints = np.arange(len(values), dtype=kind)
    first = last.copy()
    first[1:][~differs] = 0
    np.maximum.accumulate(first, out=first)
    last[:-1][~differs] = len(values)
    last[::-1] = np.minimum.accumulate(last[::-1])
    ranks: Ints = np.empty(len(values), dtype=kind)
    ranks[order] = np.add(first, last, out=first)
    return ranks
