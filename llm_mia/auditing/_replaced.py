"""Decisions that an audit replaces: whoever reads the last of several decisions ought to know of the others."""

from __future__ import annotations

from ..decision import NoteKind
from ..errors import RunDirectoryError
from ..records import Note
from ._record import Audit, read_audit

__all__ = ["notes_of_replaced"]


def notes_of_replaced(audit: Audit) -> list[Note]:
    """A note for each earlier decision in the run directory of *audit*, the first decision first.

    The same decision repeated adds no note. `RunDirectoryError` is not raised: an ``audit.json`` that cannot be read,
    such as that of an earlier release, is replaced without a note.
    """
    try:
        former = read_audit(audit.path)
    except RunDirectoryError:
        return []
    notes = [note for note in former.notes if note.kind == NoteKind.AUDIT_REPLACED]
    if _decision(former) != _decision(audit):
        rule = former.flags.rule
        figures = {
            "attack": former.decider,
            "rate": rule.rate.value,
            "level": rule.level,
            "confidence": rule.confidence,
        }
        counts = {"flagged": former.flags.flagged, "candidates": len(former.flags.rows)}
        notes.append(Note(NoteKind.AUDIT_REPLACED, {**figures, **counts}))
    return notes


def _decision(audit: Audit) -> tuple[object, ...]:
    return audit.decider, audit.flags.rule, len(audit.flags.rows), audit.flags.flagged
