"""The test whether a model prefers published texts by more than texts that were edited alike and never published."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..records import Interval
from ._effect import difference_with_interval
from ._statistic import Histogram

__all__ = ["SplitTest", "document_means", "least_control", "resplit", "split_test"]

Floats = NDArray[np.float64]
MOST_SPLITS = 100_000
"""Splits of which all are computed; of more, so many are drawn."""
ROUNDING = 1e-9
"""Of two sums a relative difference below this counts as equal, which can only make a p-value larger."""
AT_ONCE = 4_000_000
"""Numbers that are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class SplitTest:
    """The result of `split_test`."""

    statistic: float
    """The mean difference of the published documents, less that of the control documents."""
    p_value: float
    exact: bool
    """Whether all splits were computed; else some were drawn, and the p-value is valid all the same."""
    splits: int
    """How many were computed or drawn."""
    effect: Interval
    """The statistic with a 95 % interval over documents (Welch's t, approximate)."""
    published: int
    """Published documents."""
    control: int
    """Control documents."""


def document_means(differences: Floats, documents: Sequence[str]) -> dict[str, float]:
    """By document, in the order of first occurrence: the mean of the differences of its pairs.

    >>> document_means(np.array([1.0, -0.5, 2.0]), ["a", "b", "a"])
    {'a': 1.5, 'b': -0.5}
    """
    of_each: dict[str, list[float]] = {}
    for document, difference in zip(documents, differences.tolist(), strict=True):
        of_each.setdefault(document, []).append(difference)
    return {document: sum(each) / len(each) for document, each in of_each.items()}


def split_test(
    published: Sequence[float] | Floats, control: Sequence[float] | Floats, *, splits: int = MOST_SPLITS, seed: int = 0
) -> SplitTest:
    """Whether the mean of *published* is larger than that of *control* by more than chance gives: a permutation test.

    If the model was trained on neither version of any pair, and the documents of both groups are exchangeable (a
    control document could as well have been a published document: edited in the same way, of the same kind, period and
    length), then P(p-value ≤ u) ≤ u for every u, whatever the edit, the texts and the models are: each split of all
    documents into groups of these sizes was equally likely, and the p-value compares the statistic with its values
    under all of them (Fisher 1935). Where there are more than *splits*, so many are drawn, and the p-value is
    (1 + b)/(1 + B), which keeps the guarantee (Phipson and Smyth 2010).

    Exchangeable means equal in distribution, not in the mean alone: where the documents of a group have more pairs, or
    longer ones, their differences vary less, and the guarantee holds approximately at best.

    Args:
        published: the difference of each published document, shape (documents,).
        control: the difference of each control document, shape (control documents,).
        splits: how many splits are computed or drawn at most.
        seed: of the draws.

    Raises:
        InputError: a group has no document, or a difference is not a number.

    >>> split_test([3.0, 4.0], [1.0, 2.0]).p_value  # the largest of 6 splits
    0.16666666666666666
    """
    groups = [np.asarray(group, dtype=np.float64) for group in (published, control)]
    if not all(map(len, groups)) or not all(np.isfinite(group).all() for group in groups):
        raise InputError("there is no published or no control document to compare, or a document has no difference")
    together, size = np.concatenate(groups), len(groups[0])
    # The total is the same in all splits, so the sum of the published documents orders them as the statistic does.
    least = float(groups[0].sum()) - ROUNDING * float(np.abs(together).sum())
    every = math.comb(len(together), size)
    if every <= splits:
        p_value, computed = float((_all_sums(together, size) >= least).mean()), every
    else:
        p_value, computed = (1 + _as_large(together, size, least, splits, seed)) / (1 + splits), splits
    effect = difference_with_interval(*groups)
    return SplitTest(effect.value, p_value, every <= splits, computed, effect, *map(len, groups))


def resplit(
    published: Sequence[float] | Floats,
    control: Sequence[float] | Floats,
    *,
    splits: int = 20_000,
    bins: int = 41,
    seed: int = 1,
) -> Histogram:
    """The statistics of random splits of all documents: what `split_test` compares its statistic with, for a figure.

    Args:
        published: as of `split_test`.
        control: as of `split_test`.
        splits: how many are drawn.
        bins: intervals of the histogram.
        seed: of the draws.
    """
    together, rng = np.concatenate([published, control]).astype(np.float64), np.random.default_rng(seed)
    size, rest = len(published), len(control)
    sums = np.concatenate([*_random_sums(together, size, splits, rng)])
    counts, edges = np.histogram(sums / size - (together.sum() - sums) / rest, bins)
    return Histogram(float(edges[0]), float(edges[-1]), tuple(counts.tolist()))


def least_control(published: int, level: float) -> int:
    """The number of control documents from which `split_test` can give a p-value of at most *level*.

    >>> least_control(60, 0.01), least_control(5, 0.01), least_control(1, 0.01)
    (2, 4, 99)
    """
    return next(number for number in itertools.count(1) if level * math.comb(published + number, number) >= 1)


def _all_sums(together: Floats, size: int) -> Floats:
    """The sums of all choices of *size* documents."""
    small = min(size, len(together) - size)
    chosen = np.array([*itertools.combinations(range(len(together)), small)], dtype=np.intp)
    sums: Floats = together[chosen].sum(axis=1)
    return sums if small == size else together.sum() - sums


def _random_sums(together: Floats, size: int, splits: int, rng: np.random.Generator) -> Iterator[Floats]:
    """The sums of random choices of *size* documents, in parts."""
    part = max(1, AT_ONCE // len(together))
    sizes = (min(part, splits - first) for first in range(0, splits, part))
    marks = np.arange(len(together)) < size
    for each in sizes:
        yield rng.permuted(np.tile(marks, (each, 1)), axis=1) @ together


def _as_large(together: Floats, size: int, least: float, splits: int, seed: int) -> int:
    """How many of so many random choices have a sum of at least *least*."""
    parts = _random_sums(together, size, splits, np.random.default_rng(seed))
    return sum(int((sums >= least).sum()) for sums in parts)
