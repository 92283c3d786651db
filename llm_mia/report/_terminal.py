"""Whole audits for a terminal, which the command line prints and a notebook shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..auditing import Audit
from ..decision import NoteKind
from ..scores import is_other_role
from ._cells import escape
from ._decisions import flags_table
from ._evaluations import MOST_ROWS, evaluation_table
from ._first_screen import WIDTH, first_screen, places_of
from ._layout import Bullet, Facts, Prose
from ._validity import validity_lines
from .words import answer_of, control_words, counted, notes_words, shadow_facts, void_note
from .words.page import trust_words

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["audit_details", "audit_html", "audit_screen"]

FILES = ("flags.csv", "report.html")
"""What a reader of an audit opens next."""

SHOWN_WITH_FLAGS = (NoteKind.ASSUMPTION, NoteKind.CONTROL, NoteKind.SHADOW_ASSUMPTION)
"""Kinds of notes whose sentences `flags_table` shows."""


def audit_screen(audit: Audit, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer of an audit, in at most 15 lines of 80 columns.

    *spell* rewrites the parameters that notes name between backticks.
    """
    return first_screen(answer_of(audit), places_of(audit.path, FILES), spell)


def audit_details(audit: Audit, spell: Callable[[str], str] = str, *, all_attacks: bool = False) -> RenderableType:
    """All that an audit holds: the answer, the attacks, what the finding rests on, the models and the notes.

    Args:
        audit: what `audit` returned.
        spell: rewrites the parameters that notes name between backticks.
        all_attacks: a row for each attack; else ten at most, what decides first.
    """
    from rich.console import Group

    parts: list[RenderableType] = [first_screen(answer_of(audit), spell=spell)]
    if audit.evaluations:
        gap = None if audit.withheld else audit.confidence_gap
        table = evaluation_table(
            audit.evaluations,
            gap,
            spell,
            decider=audit.decider,
            validity=audit.validity,
            most=None if all_attacks else MOST_ROWS,
        )
        parts += ["", table]
        if audit.withheld:
            parts.append(
                Prose(f"[red]{void_note(audit.standing, audit.validity, shadows=audit.shadows is not None)}[/]")
            )
    parts += ["", flags_table(audit.flags, list(_further_facts(audit)))]
    if audit.shadows is not None:
        parts += ["", Facts([(name, escape(text)) for name, text in shadow_facts(audit.shadows)])]
    trust = validity_lines(audit.validity, audit.standing)
    if audit.shadows is not None:
        trust = Prose(escape(trust_words(audit)))
    parts += ["", trust, "", _models(audit)]
    shown = [note for note in audit.notes if note.kind not in SHOWN_WITH_FLAGS]
    parts += ["", "[dim]Notes[/]"] if shown else []
    parts += [Bullet(f"[dim]{escape(spell(note))}[/]") for note in notes_words(shown)]
    parts += ["", Facts([("run directory", escape(str(audit.path)))])]
    return Group(*parts)


def _further_facts(audit: Audit) -> Iterator[tuple[str, str]]:
    """The control and the power, in markup."""
    if audit.control is not None:
        colour = "yellow" if audit.control.exceeds else "dim"
        yield "control", f"[{colour}]{escape(control_words(audit.control.note.figures))}[/]"
    power = audit.power
    if power is not None and not audit.withheld and audit.shadows is None:
        yield (
            "power",
            f"{100 * power.value:.1f} % of the known members are above the threshold (95 % interval "
            f"{100 * power.low:.0f}–{100 * power.high:.0f} %, by document); "
            "candidates that were trained on may be harder to recognise than these",
        )


def audit_html(audit: Audit) -> str:
    """What `audit_screen` shows, as a piece of HTML for a notebook; names in it are escaped."""
    from io import StringIO

    from rich.console import Console

    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False)
    console.print(audit_screen(audit))
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
