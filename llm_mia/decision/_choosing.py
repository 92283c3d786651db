"""Which attack decides, chosen on a part of the known set that the threshold never sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibration import Calibration, Split, nonmembers_needed, split_by_document
from ..errors import CalibrationError
from ..metrics import auroc
from ..scores import ScoreTable

__all__ = ["Choice", "choose", "fit_part"]

FEWEST = 10
"""Members, and non-members, that the fit part needs: an AUROC on fewer chooses by luck."""
DEFAULTS = ("reference", "min_k")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The attack that decides, and what it was chosen on."""

    attack: str
    fit: NDArray[np.bool_]
    """Shape (passages of the table,): the fit part; nowhere true where the default was taken."""
    split: Split | None
    record: dict[str, Any]
    """How it was chosen, for ``calibration.json``."""


def choose(table: ScoreTable, *, fraction: float, seed: int, fpr: float, confidence: float | None) -> Choice:
    """Touches the scores of the fit part alone: the attack with the largest AUROC there, the first of equal ones.

    The fit part is *fraction* of the documents of the known set. Where either part were too small for its purpose, by
    the number of its passages and whatever their scores, the default is taken that is named beforehand.

    Raises `CalibrationError` where it were and the table is somebody else's, of which no attack is the default.
    """
    labels = table.labels
    try:
        fit = _drawn(table, fraction, seed)
        problem = _too_small(labels, fit, fpr, confidence)
    except CalibrationError as error:
        problem = str(error)
    if problem:
        nothing = np.zeros(len(table), dtype=bool)
        return Choice(_default(table, problem), nothing, None, {"by": "default", "why": problem})
    known = np.flatnonzero(labels >= 0).tolist()
    groups = table.groups()
    split = Split.of(
        [table.ids[row] for row in known], [groups[row] for row in known], fit[known], fraction=fraction, seed=seed
    )
    aurocs = {name: value for name in table.columns if (value := _auroc(table, name, fit)) is not None}
    if not aurocs:
        raise CalibrationError(f"{table.name}: no attack has finite scores of members and of non-members to choose by")
    best = max(aurocs, key=lambda name: aurocs[name])
    return Choice(best, fit, split, {"by": "AUROC on the fit part", "auroc": aurocs})


def fit_part(table: ScoreTable, calibration: Calibration) -> NDArray[np.bool_]:
    """The passages that the attack of *calibration* was chosen on, drawn again and checked; shape (passages,).

    Raises `CalibrationError` where the known set of *table* isn't the one that was split.
    """
    split = calibration.split
    if split is None:
        return np.zeros(len(table), dtype=bool)
    known, groups = np.flatnonzero(table.labels >= 0).tolist(), table.groups()
    try:
        fit = _drawn(table, split.fraction, split.seed)
        ids, documents = [table.ids[row] for row in known], [groups[row] for row in known]
        again = Split.of(ids, documents, fit[known], fraction=split.fraction, seed=split.seed)
    except CalibrationError:
        again = None
    if again != split:
        raise CalibrationError(
            f"{table.name}: its known set is not the one that was split to calibrate: give the table calibrated on"
        )
    return fit


def _drawn(table: ScoreTable, fraction: float, seed: int) -> NDArray[np.bool_]:
    known, groups = np.flatnonzero(table.labels >= 0), table.groups()
    fit = np.zeros(len(table), dtype=bool)
    fit[known] = split_by_document([groups[row] for row in known], fraction, seed, table.labels[known].tolist())
    return fit


def _too_small(labels: NDArray[np.int8], fit: NDArray[np.bool_], fpr: float, confidence: float | None) -> str:
    members, others = (int((fit & (labels == label)).sum()) for label in (1, 0))
    left, needed = int((~fit & (labels == 0)).sum()), nonmembers_needed(fpr, confidence)
    if min(members, others) < FEWEST:
        return f"{members} members and {others} non-members to choose an attack on: {FEWEST} of each are needed"
    if left < needed:
        return f"{left} non-members would be left to calibrate on: {needed} are needed"
    return ""


def _default(table: ScoreTable, problem: str) -> str:
    names = [name for name in DEFAULTS if name in table.columns]
    if table.provenance is None or not names:
        raise CalibrationError(f"{table.name}: no attack can be chosen ({problem}): name one")
    return names[0]


def _auroc(table: ScoreTable, attack: str, fit: NDArray[np.bool_]) -> float | None:
    scores = table.column(attack)
    rows = np.flatnonzero(fit & np.isfinite(scores))
    labels: Sequence[int] = table.labels[rows].tolist()
    return auroc(scores[rows], labels).value if len(set(labels)) == 2 else None
