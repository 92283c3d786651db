"""What an audit leaves out or removes, so that no file that is handed on holds a text or a token of a passage."""

from __future__ import annotations

from pathlib import Path

from ..store import remove_texts

__all__ = ["leave_no_text"]

SHOWING_TEXTS = ("report.html",)
"""Files of an earlier audit that may show texts."""


def leave_no_text(run: Path) -> None:
    """Remove what an earlier audit in the run directory *run* may have written with texts, but for ``signals/``."""
    remove_texts(run)
    for name in SHOWING_TEXTS:
        (run / name).unlink(missing_ok=True)
