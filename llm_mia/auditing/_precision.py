"""Whether a decision depends on the precision in which the target was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ..attacks import parse_attack
from ..decision import FINDING_LEVEL, Calibration, Flags, NoteKind, flag
from ..errors import AttackError
from ..records import ModelRecord, Note, PassRecord, Standing
from ..scores import ScoreTable

__all__ = ["precision_note"]


def precision_note(table: ScoreTable, calibration: Calibration, flags: Flags, *, fdr: float | None) -> Note | None:
    """How far the precision of the target changes the decision; None in float32, or where the run has no comparison.

    The decision is repeated with the scores of all candidates raised by the largest measured change of a score, and
    lowered by it. Rounding moves few scores so far, and not all in the same direction. So a finding that is the same in
    both cases does not depend on the precision.

    Args:
        table: the scores, with the column that decides.
        calibration: what set the threshold.
        flags: the decision.
        fdr: the false discovery rate of the decision, in place of a false positive rate.
    """
    passes = {} if table.record is None else table.record.passes
    if "target" not in passes or passes["target"].model.rounding is None:
        return None
    model = passes["target"].model
    figures: dict[str, Any] = {"dtype": model.dtype, **asdict(passes["target"].model.rounding)}
    del figures["scores"]
    change = _change_of(calibration.attack, passes)
    figures |= {"attack": calibration.attack, "change": change, "flagged": flags.flagged}
    if change is not None:
        moved = [_moved(table, calibration, flags, by, fdr) for by in (-change, change)]
        figures["least"], figures["most"] = sorted(each.flagged for each in moved)
        stated = flags.finding is not None and not flags.withheld
        figures["finding_depends"] = len({each.significant for each in (flags, *moved)}) > 1 if stated else None
    return Note(NoteKind.PRECISION, figures)


def _change_of(attack: str, passes: Mapping[str, PassRecord]) -> float | None:
    """The largest change of a score by the precision; None where it was not measured.

    The score ``reference`` is a difference of two means, so the changes of both are added.
    """
    target = passes["target"].model.rounding
    if target is None or target.skipped:
        return None
    if attack != "reference":
        return target.scores.get(_with_default_settings(attack))
    reference = None if "reference" not in passes else _of_mean(passes["reference"].model)
    return None if reference is None else target.passage_largest + reference


def _with_default_settings(attack: str) -> str:
    """The name without settings, where these are the defaults: with others the change is another."""
    name = attack.partition(":")[0]
    try:
        return name if parse_attack(attack).settings == parse_attack(name).settings else attack
    except AttackError:  # a stack, or an attack of a package that is not installed here
        return attack


def _of_mean(model: ModelRecord) -> float | None:
    if model.dtype in ("float32", "float64"):
        return 0.0
    rounding = model.rounding
    return None if rounding is None or rounding.skipped else rounding.passage_largest


def _moved(table: ScoreTable, calibration: Calibration, flags: Flags, by: float, fdr: float | None) -> Flags:
    """The decision with the scores of all candidates changed *by* a number."""
    scores = np.array(table.column(calibration.attack), dtype=np.float64)
    scores[table.rows(None)] += by
    moved = table.with_scores(calibration.attack, scores)
    accepted = flags.standing is Standing.ACCEPTED
    level = FINDING_LEVEL if flags.finding is None else flags.finding.allowed
    return flag(moved, calibration, fdr=fdr, accept_void=accepted, finding_level=level)
