"""One score out of several columns: a fitted model in plain numbers, by which any table can be scored again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CalibrationError
from ..scores import ScoreTable

__all__ = ["STACK", "Column", "Stack", "Tree", "features", "squashed"]

Floats = NDArray[np.float64]

STACK = "stack"
"""In the place of an attack: one score made of all columns, fitted on a part of the known set."""

LIMIT = 4.0
FAR = 1e6
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Column:
    """What the stack makes of one column."""

    name: str
    centre: float
    """Median of the fit part's non-members; it stands in where a passage has no score."""
    scale: float
    """Half of the span in which their middle 68 % lie: their standard deviation, were they normal."""
    weight: float = 0.0
    """What one such unit adds to the regression's log-odds, near the centre."""
    absent: float = 0.0
    """What it adds that there is no score."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of two levels; feature i is column i squashed, or, beyond the columns, whether column i lacks a score."""

    features: tuple[int, int, int]
    """Asked at the root, below it on the left, on the right."""
    thresholds: tuple[float, float, float]
    """Right where the feature, as a float32, is above."""
    leaves: tuple[float, float, float, float]
    """From left to right."""

    def of(self, given: Sequence[NDArray[np.float32]]) -> Floats:
        """The leaf that each passage ends in."""
        root, left, right = (given[at] > cut for at, cut in zip(self.features, self.thresholds, strict=True))
        first, second, third, fourth = self.leaves
        return np.asarray(np.where(root, np.where(right, fourth, third), np.where(left, second, first)))


@dataclass(frozen=True, slots=True)
class Stack:
    """Log-odds of membership, were half of the passages members: those of a regression, or their mean with trees'.

    Made of sums, products, quotients and square roots in a fixed order, it gives a passage the same score to the last
    bit in every table and on every machine, and needs neither the known set nor the library it was fitted with.
    """

    columns: tuple[Column, ...]
    intercept: float
    trees: tuple[Tree, ...]
    share: float
    """Of the trees in the score: 0 or 1/2."""
    learned: Mapping[str, Any]
    """JSON values: on how many passages, with which settings, and what the choice between them rests on."""
    fitted: tuple[float, ...] = ()
    """Its scores of the passages that it was fitted on, ascending: there it looks too good, and by these they are known
    again."""

    def scores(self, table: ScoreTable) -> Floats:
        """The score of each passage; NaN where it has none in any of the columns.

        Raises `CalibrationError` where the table lacks columns; names them.
        """
        lacking = [column.name for column in self.columns if column.name not in table.columns]
        if lacking:
            raise CalibrationError(
                f"{table.name}: lacks {len(lacking)} of the {len(self.columns)} columns that the stack was fitted on "
                f"({', '.join(lacking)}): score by these attacks too"
            )
        given = [table.column(column.name) for column in self.columns]
        found = np.empty(len(table))
        for first in range(0, len(table), BLOCK):
            rows = slice(first, first + BLOCK)
            found[rows] = self._of([scores[rows] for scores in given])
        return found

    def filled(self, table: ScoreTable) -> NDArray[np.bool_]:
        """Which passages have a score of some columns and not of others; shape (passages,)."""
        missing = np.stack([np.isnan(table.column(column.name)) for column in self.columns])
        return np.asarray(missing.any(axis=0) & ~missing.all(axis=0))

    def saw(self, table: ScoreTable) -> NDArray[np.bool_]:
        """Which labelled passages it was fitted on, whatever table they stand in; shape (passages,)."""
        return np.asarray((table.labels >= 0) & np.isin(self.scores(table), self.fitted))

    def record(self) -> dict[str, Any]:
        """JSON values that `read` reads back exactly."""
        read_back: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return read_back

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Stack:
        """Raises `CalibrationError` where *record* is not what `record` wrote."""
        try:
            trees = tuple(Tree(**{name: tuple(values) for name, values in one.items()}) for one in record["trees"])
            columns = tuple(Column(**one) for one in record["columns"])
            fitted = tuple(map(float, record["fitted"]))
            return cls(
                columns, float(record["intercept"]), trees, float(record["share"]), dict(record["learned"]), fitted
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"the calibration holds no readable stack ({error}): calibrate again") from None

    def _of(self, given: Sequence[Floats]) -> Floats:
        found = features(self.columns, given)
        weights = [column.weight for column in self.columns] + [column.absent for column in self.columns]
        # Added one by one, not by a matrix product, whose last bits depend on how many passages stand together.
        linear, boosted = np.full(len(given[0]), self.intercept), np.zeros(len(given[0]))
        for weight, feature in zip(weights, found, strict=True):
            linear += weight * feature
        singles = [feature.astype(np.float32) for feature in found] if self.trees else []
        for tree in self.trees:
            boosted += tree.of(singles)
        scores = (1 - self.share) * linear + self.share * boosted
        return np.where(np.all([np.isnan(scores) for scores in given], axis=0), np.nan, scores)


def features(columns: Sequence[Column], given: Sequence[Floats]) -> list[Floats]:
    """Each column squashed, then, for each, 1 where a passage has no score of it."""
    absent = [np.isnan(scores) for scores in given]
    with np.errstate(over="ignore"):  # what overflows is squashed all the same
        own = [squashed((scores - column.centre) / column.scale) for column, scores in zip(columns, given, strict=True)]
    return [np.where(gone, 0.0, z) for gone, z in zip(absent, own, strict=True)] + [
        gone.astype(float) for gone in absent
    ]


def squashed(z: Floats) -> Floats:
    """Squash z to z / √(1 + z²/16): itself near 0, never beyond ±4, and growing throughout, so that no order is lost.

    >>> squashed(np.array([0.1, 3.0, -3.0, 100.0, np.inf])).round(3).tolist()
    [0.1, 2.4, -2.4, 3.997, 4.0]
    """
    near = np.clip(z, -FAR, FAR)  # an infinite score is an extreme one
    return np.asarray(near / np.sqrt(1 + (near / LIMIT) ** 2))
