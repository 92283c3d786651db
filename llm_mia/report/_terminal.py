"""Whole audits for a terminal, which the command line prints and a notebook shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..auditing import Audit
from ..decision import NoteKind
from ..scores import is_other_role
from ._cells import escape
from ._decisions import flags_table
from ._evaluations import evaluation_table
from ._layout import Facts
from ._validity import validity_lines
from .words import control_words, counted, notes_words, void_note

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["audit_html", "audit_table"]

SHOWN_WITH_FLAGS = (NoteKind.ASSUMPTION, NoteKind.CONTROL)
"""Kinds of notes whose sentences `flags_table` shows."""


def audit_table(audit: Audit, spell: Callable[[str], str] = str) -> RenderableType:
    """What was audited, how the attacks separate the known set, what was flagged, and the notes.

    *spell* rewrites the parameters that notes name between backticks.
    """
    from rich.console import Group
    from rich.padding import Padding

    parts: list[RenderableType] = [_models(audit), "", validity_lines(audit.validity, audit.standing)]
    if audit.evaluations:
        gap = None if audit.withheld else audit.confidence_gap
        parts += ["", evaluation_table(audit.evaluations, gap, decider=audit.decider, validity=audit.validity)]
        if audit.withheld:
            parts.append(f"[red]{void_note(audit.standing)}[/]")
    parts += ["", flags_table(audit.flags, list(_further_facts(audit)))]
    shown = [note for note in audit.notes if note.kind not in SHOWN_WITH_FLAGS]
    parts += ["", "[dim]Notes[/]"] if shown else []
    parts += [Padding(f"[dim]• {escape(spell(note))}[/]", (0, 0, 0, 2)) for note in notes_words(shown)]
    parts += ["", f"[dim]run directory[/]  {escape(str(audit.path))}"]
    return Group(*parts)


def _further_facts(audit: Audit) -> Iterator[tuple[str, str]]:
    """The control and the power, in markup."""
    if audit.control is not None:
        colour = "yellow" if audit.control.exceeds else "dim"
        yield "control", f"[{colour}]{escape(control_words(audit.control.note.figures))}[/]"
    power = audit.power
    if power is not None and not audit.withheld:
        yield (
            "power",
            f"{100 * power.value:.1f} % of the known members are above the threshold (95 % interval "
            f"{100 * power.low:.0f}–{100 * power.high:.0f} %, by document); "
            "candidates that were trained on may be harder to recognise than these",
        )


def audit_html(audit: Audit) -> str:
    """What `audit_table` shows, as a piece of HTML for a notebook; names in it are escaped."""
    from io import StringIO

    from rich.console import Console

    console = Console(record=True, width=120, file=StringIO())
    console.print(audit_table(audit))
    return console.export_html(inline_styles=True, code_format='<pre style="overflow-x:auto">{code}</pre>')


def _models(audit: Audit) -> RenderableType:
    rows = []
    for name, record in audit.passes.items():
        if name == "target" or is_other_role(name):
            windows = f"windows of {record.window.tokens:,} tokens"
            rows.append((name, f"{escape(record.model.id)}  [dim]{record.model.dtype}, {windows}[/]"))
    for source, role in zip(reversed(audit.inputs), ("candidates", "non-members", "members"), strict=False):
        size = f"{counted(source.passages, 'passage')}, {counted(source.documents, 'document')}"
        rows.append((role, f"{size}  [dim]{escape(source.name)}[/]"))
    return Facts(rows)
