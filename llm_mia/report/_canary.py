"""Tests of canaries and of pairs, on a screen, in tables and for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..canary import CanaryResult, PairedResult
from ..records import SCHEMA_VERSION
from ._cells import escape
from ._first_screen import first_screen, places_of
from ._layout import Bullet, Column, Facts, Listing
from ._plain import plain
from .words import Answer, canary_answer, canary_notes, paired_answer, paired_notes

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["canary_details", "canary_screen", "canary_summary", "paired_details", "paired_screen", "paired_summary"]

CANARY_FILES, PAIRED_FILES = (
    ("canary.json", "canary.png", "scores.parquet"),
    ("paired.json", "paired.png", "scores.parquet"),
)


def canary_screen(result: CanaryResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer on a single screen; *spell* rewrites the parameters that sentences name between backticks."""
    return first_screen(canary_answer(result), places_of(result.path, CANARY_FILES), spell)


def canary_details(result: CanaryResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, what each document shows, and the notes."""
    columns = [Column("variants"), Column("public"), Column("rank of the\npublic one"), Column("difference,\nspreads")]
    table = Listing([Column("document", "names"), *columns], "Documents (no claim about a single one)")
    for row in result.rows:
        figures = (f"{row.variants}", f"{row.public}", f"{row.rank}", _signed(row.difference, 2))
        table.add(escape(row.id), *figures)
    return _details(
        canary_answer(result), table, canary_notes(result), spell, [("manifest root", result.root)], str(result.path)
    )


def canary_summary(result: CanaryResult) -> dict[str, Any]:
    """Every figure for machines, and the answer in words; a number that is infinite is null."""
    return _summary(result, canary_answer(result), canary_notes(result), documents=len(result.rows))


def paired_screen(result: PairedResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer on a single screen; *spell* rewrites the parameters that sentences name between backticks."""
    return first_screen(paired_answer(result), places_of(result.path, PAIRED_FILES), spell)


def paired_details(result: PairedResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, what each document shows, and the notes."""
    table = Listing(
        [Column("document", "names"), Column("pairs"), Column(f"difference,\nnats per {result.per}")],
        "Documents (no claim about a single one)",
    )
    for row in result.rows:
        table.add(escape(row.id), f"{row.pairs}", _signed(row.difference, 4))
    for row in result.control.rows if result.control is not None else ():
        table.add(f"{escape(row.id)} (control)", f"{row.pairs}", _signed(row.difference, 4))
    return _details(paired_answer(result), table, paired_notes(result), spell, [], str(result.path))


def paired_summary(result: PairedResult) -> dict[str, Any]:
    """Every figure for machines, and the answer in words; a number that is infinite is null."""
    more = {"documents": len(result.rows), "p_value": result.test.p_value}
    return _summary(result, paired_answer(result), paired_notes(result), **more)


def _summary(
    result: CanaryResult | PairedResult, answer: Answer, notes: Sequence[str], **more: float
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: plain(value) for name, value in asdict(result).items()},
        **more,
        "answer": asdict(answer),
        "note_sentences": [*notes],
    }


def _details(
    answer: Answer,
    table: Listing,
    notes: Sequence[str],
    spell: Callable[[str], str],
    facts: Sequence[tuple[str, str]],
    path: str,
) -> RenderableType:
    from rich.console import Group

    bullets = [Bullet(f"[dim]{escape(spell(note))}[/]") for note in notes]
    places = Facts([*((name, escape(value)) for name, value in facts), ("run directory", escape(path))])
    return Group(first_screen(answer, spell=spell), "", table, "[dim]Notes[/]", *bullets, "", places)


def _signed(number: float, digits: int) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")
