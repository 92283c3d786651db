"""Selects what decides, an attack or a stack of all, on a part of the known set that sets no threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..calibration import Split, nonmembers_needed, split_by_document
from ..errors import CalibrationError, ScoresError
from ..metrics import auroc
from ..records import count_distinct
from ..scores import ScoreTable
from ._calibration import Calibration
from ._rules import Unit
from ._selection import Selection, Shortage, ShortageKind, Wanted
from .stack import STACK, Stack
from .stacking import StackSettings, fit_stack

__all__ = [
    "AUTO",
    "BY_DEFAULT",
    "DEFAULT_ATTACKS",
    "FEWEST",
    "Decider",
    "Draw",
    "fit_part",
    "refuse_small",
    "select_decider",
]

AUTO: str = Wanted.AUTO.value
"""In the place of an attack: the attack that separates the fit part of the known set best."""
BY_DEFAULT: str = Wanted.DEFAULT.value
"""In the place of an attack: the stack where the known set is large enough, else the first of `DEFAULT_ATTACKS`."""

FEWEST: Mapping[str, int] = {Wanted.AUTO: 10, Wanted.STACK: 20, Wanted.DEFAULT: 100}
"""Members, and non-members, that the fit part needs: passages to choose an attack, documents to fit a stack. An AUROC
on fewer chooses by luck, and a stack of fewer is noise."""
DEFAULT_ATTACKS = ("reference", "min_k")

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Draw:
    """How the known set is split: which share of its documents is the fit part, and the seed of the draw."""

    fit_share: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Decider:
    """What decides, and what selected it."""

    attack: str
    fit: Bools
    """Shape (passages of the table,): the fit part; nowhere true where a fixed attack decides."""
    split: Split | None
    selection: Selection
    stack: Stack | None = None


def select_decider(
    table: ScoreTable,
    wanted: Wanted,
    *,
    draw: Draw,
    fpr: float,
    confidence: float | None,
    settings: StackSettings | None = None,
) -> Decider:
    """What decides, selected by the scores of the fit part alone, which is a share of the known documents.

    ``auto``: the attack with the largest AUROC there, the first of equal ones; where either part is too small for its
    purpose, whatever the scores, the default that is fixed beforehand. ``stack``: all attacks, see `fit_stack`.
    ``default``: the stack of a known set that is large enough by its documents, else the default.

    Raises:
        CalibrationError: too few passages for a stack; or too few to select an attack in a table of other software,
            where no attack is the default.
        ScoresError: a column is named ``stack`` already.
    """
    if wanted is Wanted.STACK:
        refuse_small(table, draw=draw, fpr=fpr, confidence=confidence)
    shortage = _shortage(table, wanted, draw, nonmembers_needed(fpr, confidence))
    if shortage is not None:
        nothing = np.zeros(len(table), dtype=bool)
        return Decider(_default_attack(table, shortage), nothing, None, Selection(wanted, shortage=shortage))
    fit = _drawn(table, draw)
    split = _split_of(table, fit, draw)
    if wanted is Wanted.AUTO:
        aurocs = _aurocs(table, fit)
        return Decider(max(aurocs, key=lambda name: aurocs[name]), fit, split, Selection(wanted, aurocs))
    if STACK in table.columns:
        raise ScoresError(
            f"{table.name}: has a column {STACK!r}, which is the name of a stack's scores: rename this column"
        )
    stack = fit_stack(table, fit, draw.seed, settings)
    scores = stack.scores(table.only(fit))
    stack = replace(stack, fitted=tuple(np.sort(scores[~np.isnan(scores)]).tolist()))
    return Decider(STACK, fit, split, Selection(wanted), stack)


def refuse_small(table: ScoreTable, *, draw: Draw | None = None, fpr: float, confidence: float | None) -> None:
    """Refuse a known set that is too small for a stack; *table* needs labels and documents, and no scores.

    Raises:
        CalibrationError: too few passages or documents; says how many more are needed.
    """
    shortage = _shortage(table, Wanted.STACK, draw or Draw(), nonmembers_needed(fpr, confidence))
    if shortage is not None:
        raise CalibrationError(f"{table.name}: no stack can be fitted: {shortage}")


def fit_part(table: ScoreTable, calibration: Calibration) -> Bools:
    """The passages that selected the attack of *calibration*, drawn again and checked; shape (passages,).

    Raises:
        CalibrationError: the known set of *table* is not the known set that was split.
    """
    split = calibration.split
    if split is None:
        return np.zeros(len(table), dtype=bool)
    draw = Draw(split.fit_share, split.seed)
    try:
        fit = _drawn(table, draw)
        again = _split_of(table, fit, draw)
    except CalibrationError:
        again = None
    if again != split:
        raise CalibrationError(
            f"{table.name}: its known set is not the known set that was split for the calibration: give the table that "
            "was calibrated"
        )
    return fit


def _split_of(table: ScoreTable, fit: Bools, draw: Draw) -> Split:
    """The record of the known set's split into *fit* and the rest."""
    known, groups = np.flatnonzero(table.labels >= 0).tolist(), table.groups()
    ids, documents = [table.ids[row] for row in known], [groups[row] for row in known]
    return Split.of(ids, documents, fit[known], fit_share=draw.fit_share, seed=draw.seed)


def _drawn(table: ScoreTable, draw: Draw) -> Bools:
    known, groups = np.flatnonzero(table.labels >= 0), table.groups()
    fit = np.zeros(len(table), dtype=bool)
    labels = table.labels[known].tolist()
    fit[known] = split_by_document([groups[row] for row in known], draw.fit_share, draw.seed, labels)
    return fit


def _shortage(table: ScoreTable, wanted: Wanted, draw: Draw, needed: int) -> Shortage | None:
    """What the known set lacks for what is *wanted*, whatever the scores; None where it is large enough."""
    groups = table.groups()

    def documents(mask: Bools) -> int:
        return count_distinct(groups.take(np.flatnonzero(mask)))

    members, nonmembers = table.labels == 1, table.labels == 0
    if wanted is Wanted.DEFAULT and not members.any():
        return Shortage(ShortageKind.NO_MEMBERS)
    in_all = documents(members), documents(nonmembers)
    if min(in_all) < 2:
        return Shortage(ShortageKind.NO_SPLIT, Unit.DOCUMENTS, *in_all)
    fit, fewest = _drawn(table, draw), FEWEST[wanted]
    parts = (fit & members, fit & nonmembers, ~fit & nonmembers)
    passages = [int(mask.sum()) for mask in parts[:2]]
    # The passages of a document carry little more than a single passage of it, so a stack counts documents.
    unit = Unit.PASSAGES if wanted is Wanted.AUTO else Unit.DOCUMENTS
    counts = passages if unit is Unit.PASSAGES else [documents(mask) for mask in parts[:2]]
    if min(counts[:2]) < fewest:
        more = [max(0, math.ceil((fewest - n) / draw.fit_share)) for n in counts[:2]]
        return Shortage(ShortageKind.FIT_PART, unit, counts[0], counts[1], fewest, *more)
    left = documents(parts[2])  # a threshold needs documents, however many passages each has
    if left < needed:
        more_nonmembers = math.ceil((needed - left) / (1 - draw.fit_share))
        return Shortage(ShortageKind.CALIBRATION_PART, Unit.DOCUMENTS, 0, left, needed, 0, more_nonmembers)
    return None


def _aurocs(table: ScoreTable, fit: Bools) -> dict[str, float]:
    """Of each attack on the fit part."""
    aurocs = {name: value for name in table.columns if (value := _auroc(table, name, fit)) is not None}
    if not aurocs:
        raise CalibrationError(
            f"{table.name}: no attack has finite scores of members and of non-members in the fit part: name an attack"
        )
    return aurocs


def _default_attack(table: ScoreTable, shortage: Shortage) -> str:
    names = [name for name in DEFAULT_ATTACKS if name in table.columns]
    if table.record is None or not names:
        raise CalibrationError(f"{table.name}: no attack can be selected ({shortage}): name an attack")
    return names[0]


def _auroc(table: ScoreTable, attack: str, fit: Bools) -> float | None:
    scores = table.column(attack)
    rows = np.flatnonzero(fit & np.isfinite(scores))
    labels: Sequence[int] = table.labels[rows].tolist()
    return auroc(scores[rows], labels).value if len(set(labels)) == 2 else None
