"""A step ROC with fewer points, to be kept in a record and drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ._figures import roc

__all__ = ["RocPoints", "roc_points"]


@dataclass(frozen=True, slots=True)
class RocPoints:
    """Points of a step ROC, from (0, 0) to (1, 1); neither rate ever falls."""

    fpr: tuple[float, ...]
    """Share of the non-members above each threshold."""
    tpr: tuple[float, ...]
    """Share of the members above it."""


def roc_points(scores: ArrayLike, labels: ArrayLike, most: int = 200) -> RocPoints:
    """The step ROC of these scores by at most *most* of its points, both ends among them.

    Every point lies on the ROC, so steps between the points (the rate of members rises before that of non-members) are
    never above it by more than a step. Points within a straight run are left out first, which changes nothing. Where
    more than *most* are left, those stay that are next to equal distances along the logarithm of both rates, because
    small rates are what an attack is judged by.

    *scores* and *labels* have shape (n,).

    Raises:
        ScoresError: as for `llm_mia.metrics.auroc`.
        UsageError: *most* is below 2.

    >>> roc_points([4.0, 3.0, 2.0, 1.0], [1, 1, 0, 0])  # (0, ½) and (½, 1) lie within straight runs
    RocPoints(fpr=(0.0, 0.0, 1.0), tpr=(0.0, 1.0, 1.0))
    """
    if most < 2:
        raise UsageError(f"`most` must be at least 2: got {most}")
    curve = roc(scores, labels)
    fpr, tpr = curve.fpr, curve.tpr
    if fpr[0] or tpr[0]:  # the first threshold is the highest score, with nothing above it
        fpr, tpr = np.insert(fpr, 0, 0.0), np.insert(tpr, 0, 0.0)
    kept = _corners(fpr, tpr)
    if len(kept) > most:
        kept = kept[_spread(fpr[kept], tpr[kept], most)]
    return RocPoints(tuple(fpr[kept].tolist()), tuple(tpr[kept].tolist()))


def _corners(fpr: NDArray[np.float64], tpr: NDArray[np.float64]) -> NDArray[np.intp]:
    """The points that do not lie within a horizontal or vertical run."""
    right, up = np.diff(fpr) > 0, np.diff(tpr) > 0
    within = (right[:-1] & ~up[:-1] & right[1:] & ~up[1:]) | (up[:-1] & ~right[:-1] & up[1:] & ~right[1:])
    return np.flatnonzero(np.concatenate([[True], ~within, [True]]))


def _spread(fpr: NDArray[np.float64], tpr: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """At most *most* of the points, nearly equally far apart along log(rate), the first and the last among them."""
    floors = [rate[rate > 0].min() / 2 for rate in (fpr, tpr)]
    along = np.log(np.maximum(fpr, floors[0])) + np.log(np.maximum(tpr, floors[1]))
    wanted = np.linspace(along[0], along[-1], most)
    return np.unique(np.concatenate([[0], np.searchsorted(along, wanted).clip(0, len(along) - 1), [len(along) - 1]]))[
        -most:
    ]
