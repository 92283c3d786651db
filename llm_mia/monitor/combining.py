"""What several detectors measure → one score, on a scale that benign traffic sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Scale", "combined", "scale_of"]

Floats = NDArray[np.float64]
TAIL = 0.05
"""Share of the values from which the tail is continued beyond the largest."""
LEAST_TAIL = 0.5
"""Least mean excess of the tail, of ln(1 + value): beyond the largest, the share falls at most with the square."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How rare each value of a detector is in benign traffic."""

    values: tuple[float, ...]
    """The values above 0 of the benign groups, in ascending order."""
    groups: int
    """How many benign groups there are."""
    tail: float
    """Mean excess of ln(1 + value) in the tail, by which it is continued beyond the largest value."""

    def surprise(self, values: ArrayLike) -> Floats:
        """−log₁₀ of the share of benign groups with a value at least as large, shape of *values*.

        Up to the largest benign value it is the empirical share, (1 + #{benign ≥ value}) / (groups + 1). Beyond, the
        tail falls exponentially in ln(1 + value), which is a guess: the guarantee on false alarms does not rest on it.

        >>> Scale((1.0, 3.0), 9, 0.5).surprise([0.0, 1.0, 3.0, 15.0]).round(2).tolist()
        [0.0, 0.52, 0.7, 2.2]
        """
        given = np.asarray(values, np.float64)
        known = np.array(self.values)
        at_least = len(known) - np.searchsorted(known, given, side="left")
        empirical = -np.log10((1 + at_least) / (self.groups + 1))
        largest = known[-1] if len(known) else 0.0
        beyond = np.maximum(0.0, np.log1p(given) - np.log1p(largest)) / self.tail / np.log(10)
        return np.where(given > 0, empirical + beyond, 0.0)


def scale_of(values: ArrayLike) -> Scale:
    """The scale that benign *values* set."""
    given = np.sort(np.asarray(values, np.float64))
    positive = given[given > 0]
    logs = np.log1p(given)
    first = max(0, int(len(logs) * (1 - TAIL)) - 1)
    excess = float((logs[first + 1 :] - logs[first]).mean()) if first + 1 < len(logs) else 0.0
    return Scale(tuple(positive.tolist()), len(given), max(LEAST_TAIL, excess))


def combined(surprises: Mapping[str, Floats]) -> Floats:
    """The score of each group: its largest surprise. Higher is more like an attack.

    A function of a single group and of scales that other groups set. So the score of a benign group is exchangeable
    with the scores of calibration groups that are benign, too, and conformal p-values of it are valid, whatever the
    detectors.
    """
    score: Floats = np.max(np.stack([*surprises.values()]), axis=0)
    return score
