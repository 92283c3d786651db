"""What an audit leaves out or removes, so that no file that is handed on holds a text or a token of a passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..signals import written_token_notes
from ..store import RunDirectory, remove_texts

__all__ = ["leave_no_text", "without_written_tokens"]

SHOWING_TEXTS = ("report.html",)
"""Files of an earlier audit that may show texts."""


def leave_no_text(run: Path) -> None:
    """Remove what an earlier audit in the run directory *run* may have written with texts, but for ``signals/``."""
    remove_texts(run)
    for name in SHOWING_TEXTS:
        (run / name).unlink(missing_ok=True)


def without_written_tokens(run: Path, notes: Sequence[str]) -> tuple[str, ...]:
    """The *notes* without the special tokens that are written in passages, which ``run.json`` then does not name.

    How many passages hold such tokens, and where the first is, stays.
    """
    with RunDirectory(run) as directory:
        before = directory.record
        passes = {
            name: made_by
            if made_by.written_tokens is None
            else replace(made_by, written_tokens=replace(made_by.written_tokens, token=""))
            for name, made_by in before.passes.items()
        }
        after = replace(before, passes=passes)
        if after != before:
            directory.update(passes=passes)
    renamed = dict(zip(written_token_notes(before), written_token_notes(after), strict=True))
    return tuple(renamed.get(note, note) for note in notes)
