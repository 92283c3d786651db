"""What a guard did until it was stopped, on a screen and for machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .words import counted

if TYPE_CHECKING:
    from ..guard import Served

__all__ = ["guard_screen", "guard_summary"]


def guard_screen(served: Served, log: Path | None) -> str:
    """The requests by status, and what became of the log."""
    total = sum(served.statuses.values())
    of_status = ", ".join(f"{count:,} × {status}" for status, count in sorted(served.statuses.items()))
    lines = [f"{counted(total, 'request')}{f', by HTTP status: {of_status}' if of_status else ''}"]
    if log is not None:
        lost = f"; {served.lost:,} could not be written" if served.lost else ""
        lines.append(f"{log}: {counted(served.written, 'line')} written{lost}")
    return "\n".join(lines)


def guard_summary(served: Served, log: Path | None) -> dict[str, Any]:
    """The same for machines."""
    return {
        "requests": sum(served.statuses.values()),
        "statuses": {str(status): count for status, count in sorted(served.statuses.items())},
        "log": None if log is None else str(log),
        "written": served.written,
        "lost": served.lost,
    }
