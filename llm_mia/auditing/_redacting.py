"""What an audit leaves out or removes, so that no file that is handed on holds a text or a token of a passage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..decision import NoteKind
from ..records import Note
from ..signals import unname_written_tokens
from ..store import remove_texts
from ._record import Audit

__all__ = ["leave_no_text", "without_tokens"]

SHOWING_TEXTS = ("report.html",)
"""Files of an earlier audit that may show texts."""


def leave_no_text(run: Path) -> None:
    """Remove what an earlier audit in the run directory *run* may have written with texts, but for ``signals/``."""
    remove_texts(run)
    for name in SHOWING_TEXTS:
        (run / name).unlink(missing_ok=True)


def without_tokens(audit: Audit) -> Audit:
    """The *audit* as it is shown where no text and no token may be: it names no token that is written in a passage."""
    passes, renamed = unname_written_tokens(audit.passes)
    notes = [
        Note(note.kind, {"text": renamed.get(note.figures["text"], note.figures["text"])})
        if note.kind == NoteKind.SENTENCE
        else note
        for note in audit.notes
    ]
    return replace(audit, passes=passes, notes=notes)
