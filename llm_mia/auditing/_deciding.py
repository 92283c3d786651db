"""Scores → an audit: threshold, flags, evaluation, and what a reader ought to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..decision import (
    FINDING_LEVEL,
    Calibration,
    NoteKind,
    ShortageKind,
    add_decider_column,
    calibrate,
    calibration_part,
    confidence_gap,
    evaluate,
    notes_of_sentences,
)
from ..history import History, Protocol, flag_on_record
from ..metrics import flagged_share
from ..passages import InputCheck
from ..records import Interval, Note
from ..scores import ScoreTable
from ..validity import RequestedRates, Validity
from ._control import control_of
from ._precision import precision_note
from ._record import Audit, standing_of
from ._shadows import ShadowThreshold

__all__ = ["Request", "decide"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be decided, and with which error rate."""

    decider: str
    """An attack, ``auto``, ``stack`` or ``default``."""
    fpr: float
    fdr: float | None = None
    confidence: float | None = None
    accept_void: bool = False
    finding_level: float = FINDING_LEVEL
    protocol: Protocol | None = None
    """What was to be decided; None where nothing was fixed before the scores."""

    @property
    def rates(self) -> RequestedRates:
        """The figures that the known set has to carry."""
        return RequestedRates(self.fpr, self.confidence)


def decide(
    table: ScoreTable,
    request: Request,
    *,
    path: Path,
    inputs: InputCheck,
    validity: Validity,
    notes: Sequence[Note | str],
    history: History,
    sealed: ScoreTable | None = None,
    shadows: ShadowThreshold | None = None,
) -> Audit:
    """Everything that follows from the scores; *notes* are those of the stages before.

    The decision enters the record *history*. *sealed* holds the scores of sealed non-members, and *shadows* are what
    sets the threshold where there is no known set.
    """
    calibration = calibrate(table, request.decider, fpr=request.fpr, confidence=request.confidence)
    table = add_decider_column(table, calibration)
    control = None
    if sealed is not None:
        control = control_of(table, add_decider_column(sealed, calibration), calibration)
        if control.exceeds:
            validity = Validity.of([*validity.checks, control.check], compared=True)  # doubtful, or worse
    shadow_check = None
    if shadows is not None:
        shadow_check = shadows.check(table, calibration, path)
        validity = Validity.of([*validity.checks, *shadow_check.checks], compared=shadows.same_texts)
    standing = standing_of(validity, accept_void=request.accept_void)
    table, calibration = replace(table, standing=standing), replace(calibration, standing=standing)
    flags = flag_on_record(
        table,
        calibration,
        history,
        fdr=request.fdr,
        finding_level=request.finding_level,
        protocol=request.protocol,
    )
    precision = precision_note(table, calibration, flags, fdr=request.fdr)
    members, part = len(table.rows(1)) > 0, calibration_part(table, calibration)
    return Audit(
        path=path,
        passes=dict(table.record.passes) if table.record else {},
        inputs=inputs.sources,
        validity=validity,
        accepted=request.accept_void,
        flags=flags,
        control=control,
        shadows=shadow_check,
        protocol="" if request.protocol is None else request.protocol.sha256,
        evaluations=evaluate(part) if members else [],
        confidence_gap=confidence_gap(table) if members else None,
        power=_power(part, calibration) if members and request.fdr is None else None,
        notes=[
            *notes_of_sentences([*notes, *inputs.notes]),
            *_notes(calibration),
            *flags.notes,
            *([] if control is None else [control.note]),
            *([] if precision is None else [precision]),
            Note(NoteKind.ASSUMPTION) if shadows is None else Note(NoteKind.SHADOW_ASSUMPTION),
        ],
    )


def _power(table: ScoreTable, calibration: Calibration) -> Interval:
    """The share of the known members that are flagged, by document; a member without a score is missed."""
    rows, groups = table.rows(1), table.groups()
    scores = table.column(calibration.attack)[rows]
    flagged = calibration.flagged(np.where(np.isinf(scores), np.nan, scores))
    return flagged_share(flagged, [groups[row] for row in rows])


def _notes(calibration: Calibration) -> Iterator[Note]:
    """What is particular about this calibration."""
    attack, split, selection = calibration.attack, calibration.split, calibration.selection
    if split is not None:
        figures = {"attack": attack, "stack": calibration.stack is not None}
        counts = {"passages": split.fit_passages, "documents": split.fit_documents}
        yield Note(NoteKind.DECIDER_FITTED, {**figures, **counts})
    elif selection.shortage is not None and selection.shortage.kind is not ShortageKind.NO_MEMBERS:
        shortage = {**asdict(selection.shortage), "kind": selection.shortage.kind.value}
        shortage["unit"] = selection.shortage.unit.value
        figures = {"attack": attack, "wanted": selection.wanted.value, "shortage": shortage}
        yield Note(NoteKind.DECIDER_BY_DEFAULT, figures)
