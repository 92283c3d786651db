"""A set of shadow models, for people and for machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..shadow import Shadows
from ._cells import escape
from ._first_screen import first_screen, places_of
from ._layout import Bullet, Column, Listing
from ._plain import plain
from .words import shadows_answer, shadows_next, shadows_notes, with_interval

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["shadows_details", "shadows_screen", "shadows_summary"]


def shadows_summary(shadows: Shadows) -> dict[str, Any]:
    """Every figure for machines; which shadow was trained on which document is in ``shadows.json``.

    A bound that does not exist is null.
    """
    record = asdict(shadows.record)
    plan = record.pop("plan")
    documents = len(plan.pop("inside"))
    for version in (record, plan):
        version.pop("schema_version")
    return {
        "schema_version": shadows.record.schema_version,
        "path": str(shadows.path),
        "documents": documents,
        **plan,
        **plain(record),
        "note_sentences": shadows_notes(shadows.record),
        "next": shadows_next(shadows.path),
    }


def shadows_screen(shadows: Shadows, spell: Callable[[str], str] = str) -> RenderableType:
    """What was trained on a single screen; *spell* rewrites the parameters that sentences name between backticks."""
    files, details = places_of(shadows.path, ("shadows.json", "pool.jsonl", "split.json"))
    places = [
        files,
        ("next", shadows_next(shadows.path)),
        details,
    ]
    return first_screen(shadows_answer(shadows.record), places, spell)


def shadows_details(shadows: Shadows, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, a row for each shadow model, and what a reader has to know."""
    from rich.console import Group

    titles = ("documents", "tokens", "loss,\nmembers", "loss,\nothers", "gap")
    table = Listing([Column("model", "names"), *map(Column, titles)])
    for shadow in shadows.record.shadows:
        table.add(
            shadow.role,
            f"{shadow.documents:,}",
            f"{shadow.tokens:,}",
            f"{shadow.loss_in:.3f}",
            f"{shadow.loss_out:.3f}",
            with_interval(shadow.gap),
        )
    notes = [Bullet(escape(spell(note))) for note in shadows_notes(shadows.record)[1:]]
    next_command = f"[dim]next[/]  {escape(shadows_next(shadows.path))}"
    return Group(first_screen(shadows_answer(shadows.record), (), spell), "", table, *notes, "", next_command)
