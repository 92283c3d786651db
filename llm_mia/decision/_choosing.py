"""What decides: an attack, or a stack of all, chosen on a part of the known set that the threshold never sees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibration import Split, nonmembers_needed, split_by_document
from ..errors import CalibrationError, ScoresError
from ..metrics import auroc
from ..scores import ScoreTable
from ._calibration import Calibration
from ._stack import STACK
from ._stacking import fit_stack

__all__ = ["AUTO", "BY_DEFAULT", "DEFAULTS", "Choice", "choose", "fit_part", "refuse_small"]

AUTO = "auto"
"""In the place of an attack: the one that separates the fit part of the known set best."""
BY_DEFAULT = "default"
"""In the place of an attack: the stack where the known set is large enough, else `DEFAULTS`."""

FEWEST = {AUTO: 10, STACK: 20, BY_DEFAULT: 100}
"""Members, and non-members, that the fit part needs: an AUROC on fewer chooses by luck, a stack of fewer is noise. Of a
stack they are counted by document."""
DEFAULTS = ("reference", "min_k")

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What decides, and what it was chosen on."""

    attack: str
    fit: Bools
    """Shape (passages of the table,): the fit part; nowhere true where the default was taken."""
    split: Split | None
    record: Mapping[str, Any]
    """How it was chosen, for ``calibration.json``."""
    stack: Mapping[str, Any] = field(default_factory=dict)
    """The record of the stack, where that decides."""


def choose(
    table: ScoreTable, wanted: str, *, fraction: float, seed: int, fpr: float, confidence: float | None
) -> Choice:
    """Touches the scores of the fit part alone, which is *fraction* of the documents of the known set.

    ``auto``: the attack with the largest AUROC there, the first of equal ones; where either part were too small for
    its purpose, whatever the scores, the default that is named beforehand. ``stack``: all of them, see
    `llm_mia.decision._stacking.fit_stack`. ``default``: the stack of a known set that is large enough by its documents,
    else the default.

    Raises:
        CalibrationError: too few for a stack; or too few to choose, of somebody else's table, of which no attack is
            the default.
        ScoresError: a column is named ``stack`` already.
    """
    nothing = np.zeros(len(table), dtype=bool)
    if wanted == BY_DEFAULT and not len(table.rows(1)):
        return Choice(_default(table, "no members are known"), nothing, None, {})
    if wanted == STACK:
        refuse_small(table, fraction=fraction, seed=seed, fpr=fpr, confidence=confidence)
    problem = _problem(table, wanted, fraction, seed, nonmembers_needed(fpr, confidence))
    if problem:
        record: dict[str, Any] = {"by": "default", "wanted": AUTO if wanted == AUTO else STACK, "why": problem}
        return Choice(_default(table, problem), nothing, None, record)
    drawn = _drawn(table, fraction, seed)
    split = _split_of(table, drawn, fraction, seed)
    if wanted == AUTO:
        best, aurocs = _best(table, drawn)
        return Choice(best, drawn, split, {"by": "AUROC on the fit part", "auroc": aurocs})
    if STACK in table.columns:
        raise ScoresError(f"{table.name}: has a column {STACK!r}, which is what the stack of all is called: rename it")
    stack = fit_stack(table, drawn, seed)
    scores = stack.scores(table)[drawn]
    stack = replace(stack, fitted=tuple(np.sort(scores[~np.isnan(scores)]).tolist()))
    columns = [column.name for column in stack.columns]
    record = {"by": "fitted on the fit part", "columns": columns, "trees": stack.share, **stack.learned}
    return Choice(STACK, drawn, split, record, stack.record())


def refuse_small(
    table: ScoreTable, *, fraction: float = 0.5, seed: int = 0, fpr: float, confidence: float | None
) -> None:
    """`CalibrationError` where the labels and documents of *table*, which needs no scores, are too few for a stack."""
    problem = _problem(table, STACK, fraction, seed, nonmembers_needed(fpr, confidence))
    if problem:
        raise CalibrationError(f"{table.name}: no stack can be fitted: {problem}")


def fit_part(table: ScoreTable, calibration: Calibration) -> Bools:
    """The passages that the attack of *calibration* was chosen on, drawn again and checked; shape (passages,).

    Raises `CalibrationError` where the known set of *table* isn't the one that was split.
    """
    split = calibration.split
    if split is None:
        return np.zeros(len(table), dtype=bool)
    try:
        fit = _drawn(table, split.fraction, split.seed)
        again = _split_of(table, fit, split.fraction, split.seed)
    except CalibrationError:
        again = None
    if again != split:
        raise CalibrationError(
            f"{table.name}: its known set is not the one that was split to calibrate: give the table calibrated on"
        )
    return fit


def _split_of(table: ScoreTable, fit: Bools, fraction: float, seed: int) -> Split:
    """The record of the known set's split into *fit* and the rest."""
    known, groups = np.flatnonzero(table.labels >= 0).tolist(), table.groups()
    ids, documents = [table.ids[row] for row in known], [groups[row] for row in known]
    return Split.of(ids, documents, fit[known], fraction=fraction, seed=seed)


def _drawn(table: ScoreTable, fraction: float, seed: int) -> Bools:
    known, groups = np.flatnonzero(table.labels >= 0), table.groups()
    fit = np.zeros(len(table), dtype=bool)
    fit[known] = split_by_document([groups[row] for row in known], fraction, seed, table.labels[known].tolist())
    return fit


def _problem(table: ScoreTable, wanted: str, fraction: float, seed: int, needed: int) -> str:
    """Why what is *wanted* can't be had, whatever the scores; empty where it can."""
    try:
        fit = _drawn(table, fraction, seed)
    except CalibrationError as error:
        return str(error)
    labels, fewest = table.labels, FEWEST[wanted]
    masks = (fit & (labels == 1), fit & (labels == 0), ~fit & (labels == 0))
    if wanted == AUTO:
        members, others, left = (int(mask.sum()) for mask in masks)
        if min(members, others) < fewest:
            return f"{members} members and {others} non-members to choose an attack on: {fewest} of each are needed"
        return f"{left} non-members would be left to calibrate on: {needed} are needed" if left < needed else ""
    # Passages of one document tell little more than one of them does.
    groups = np.array(table.groups(), dtype=object)
    found = [len(set(groups[mask].tolist())) for mask in masks]
    if min(found[:2]) < fewest:
        missing = (
            f"{math.ceil((fewest - n) / fraction)} more of {kind} (known set)"
            for n, kind in zip(found, ("members", "non-members"), strict=False)
            if n < fewest
        )
        return (
            f"the fit part has {found[0]} documents of members and {found[1]} of non-members, and {fewest} of each are "
            f"needed: {' and '.join(missing)}"
        )
    left = found[2] if wanted == BY_DEFAULT else int(masks[2].sum())
    if left < needed:
        more = math.ceil((needed - left) / (1 - fraction))
        return f"{left} non-members would be left to calibrate on, and {needed} are needed: {more} more (known set)"
    return ""


def _best(table: ScoreTable, fit: Bools) -> tuple[str, dict[str, float]]:
    aurocs = {name: value for name in table.columns if (value := _auroc(table, name, fit)) is not None}
    if not aurocs:
        raise CalibrationError(f"{table.name}: no attack has finite scores of members and of non-members to choose by")
    return max(aurocs, key=lambda name: aurocs[name]), aurocs


def _default(table: ScoreTable, problem: str) -> str:
    names = [name for name in DEFAULTS if name in table.columns]
    if table.record is None or not names:
        raise CalibrationError(f"{table.name}: no attack can be chosen ({problem}): name the `attack`")
    return names[0]


def _auroc(table: ScoreTable, attack: str, fit: Bools) -> float | None:
    scores = table.column(attack)
    rows = np.flatnonzero(fit & np.isfinite(scores))
    labels: Sequence[int] = table.labels[rows].tolist()
    return auroc(scores[rows], labels).value if len(set(labels)) == 2 else None
