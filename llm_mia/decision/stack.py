"""One score out of several columns: a fitted model in plain numbers, by which any table can be scored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError
from ..scores import ScoreTable

__all__ = ["STACK", "Column", "Stack", "Training", "Tree", "add_stack_column", "features", "squashed"]

Floats = NDArray[np.float64]

STACK = "stack"
"""The name of the column of a stack's scores; in the place of an attack it means: fit a stack, and decide by it."""

LIMIT = 4.0
FAR = 1e6
BLOCK = 1 << 16
"""Passages scored at once."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a stack uses a column of scores."""

    name: str
    centre: float
    """Median of the fit part's non-members; it replaces a score that is missing."""
    scale: float
    """Half the width of the interval that holds their middle 68 %: the standard deviation of a normal distribution."""
    weight: float = 0.0
    """What a unit of that scale adds to the log-odds of the regression, near the centre."""
    absent: float = 0.0
    """What a missing score adds to the log-odds."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A decision tree of two levels.

    With n columns, feature i < n is column i squashed, and feature n + i is 1 where column i has no score.
    """

    features: tuple[int, int, int]
    """Of the root, of the node on its left, of the node on its right."""
    thresholds: tuple[float, float, float]
    """A passage goes right where the feature, as a float32, exceeds the threshold."""
    leaves: tuple[float, float, float, float]
    """Values, from left to right."""

    def values(self, features: Sequence[NDArray[np.float32]]) -> Floats:
        """The value of the leaf that each passage reaches."""
        root, left, right = (features[at] > cut for at, cut in zip(self.features, self.thresholds, strict=True))
        first, second, third, fourth = self.leaves
        return np.asarray(np.where(root, np.where(right, fourth, third), np.where(left, second, first)))


@dataclass(frozen=True, slots=True)
class Training:
    """What a stack was fitted on, and what chose between its forms."""

    members: int
    nonmembers: int
    documents: int
    seed: int
    columns_enter: str
    """``alike``, ``by strength`` or ``the strongest alone``."""
    cost: float
    """Inverse weight of the penalty on squared coefficients."""
    log_loss_by_share_of_trees: Mapping[str, float]
    """Out of fold."""
    scikit_learn: str
    """Version."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A fitted score: the log-odds of membership if half of the passages were members.

    They come from a regression, or are the mean of the log-odds of a regression and of boosted trees. The score is
    computed by sums, products, quotients and square roots in a fixed order. So a passage has the same score to the last
    bit in every table and on every machine, and neither the known set nor the library that fitted the stack is needed.
    """

    columns: tuple[Column, ...]
    intercept: float
    trees: tuple[Tree, ...]
    share: float
    """Weight of the trees in the score: 0 or 1/2."""
    training: Training | None = None
    fitted: tuple[float, ...] = ()
    """Its scores of the passages that it was fitted on, ascending. They are too good there, and these scores identify
    the passages in another table."""

    def scores(self, table: ScoreTable) -> Floats:
        """The score of each passage; NaN where it has no score in any of the columns.

        Raises:
            CalibrationError: the table lacks columns; names them.
        """
        lacking = [column.name for column in self.columns if not table.has(column.name)]
        if lacking:
            raise CalibrationError(
                f"{table.name}: lacks {len(lacking)} of the {len(self.columns)} columns that the stack was fitted on "
                f"({', '.join(lacking)}): score by these attacks as well"
            )
        columns = [table.column(column.name) for column in self.columns]
        scores = np.empty(len(table))
        for first in range(0, len(table), BLOCK):
            rows = slice(first, first + BLOCK)
            scores[rows] = self._block_scores([column[rows] for column in columns])
        return scores

    def incomplete(self, table: ScoreTable) -> NDArray[np.bool_]:
        """Which passages have a score in some of the columns but not in all; shape (passages,)."""
        lacking = np.zeros(len(table), dtype=np.int32)
        for column in self.columns:
            lacking += np.isnan(table.column(column.name))
        return np.asarray((lacking > 0) & (lacking < len(self.columns)))

    def was_fitted_on(self, table: ScoreTable) -> NDArray[np.bool_]:
        """Which labelled passages of any table it was fitted on; shape (passages,)."""
        return np.asarray((table.labels >= 0) & np.isin(self.scores(table), self.fitted))

    def _block_scores(self, columns: Sequence[Floats]) -> Floats:
        inputs = features(self.columns, columns)
        weights = [column.weight for column in self.columns] + [column.absent for column in self.columns]
        # Added in turn, not by a matrix product, whose last bits depend on how many passages are scored together.
        linear, boosted = np.full(len(columns[0]), self.intercept), np.zeros(len(columns[0]))
        for weight, feature in zip(weights, inputs, strict=True):
            linear += weight * feature
        single_precision = [feature.astype(np.float32) for feature in inputs] if self.trees else []
        for tree in self.trees:
            boosted += tree.values(single_precision)
        scores = (1 - self.share) * linear + self.share * boosted
        return np.where(np.all([np.isnan(column) for column in columns], axis=0), np.nan, scores)


def add_stack_column(table: ScoreTable, stack: Stack | None) -> ScoreTable:
    """The table with the scores of *stack* as a column; the same table without a stack."""
    return table if stack is None else table.with_scores(STACK, stack.scores(table))


def features(columns: Sequence[Column], scores: Sequence[Floats]) -> list[Floats]:
    """Each column of *scores* squashed; then, for each column, 1 where a passage has no score in it."""
    absent = [np.isnan(values) for values in scores]
    with np.errstate(over="ignore"):  # a quotient that overflows is squashed like any other
        scaled = [
            squashed((values - column.centre) / column.scale) for column, values in zip(columns, scores, strict=True)
        ]
    present = [np.where(missing, 0.0, z) for missing, z in zip(absent, scaled, strict=True)]
    return present + [missing.astype(float) for missing in absent]


def squashed(z: Floats) -> Floats:
    """Z / √(1 + z²/16): close to z near 0, between −4 and 4, and strictly increasing, so that the order is kept.

    >>> squashed(np.array([0.1, 3.0, -3.0, 100.0, np.inf])).round(3).tolist()
    [0.1, 2.4, -2.4, 3.997, 4.0]
    """
    near = np.clip(z, -FAR, FAR)  # an infinite score is an extreme one
    return np.asarray(near / np.sqrt(1 + (near / LIMIT) ** 2))
