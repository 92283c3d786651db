"""The verdict of a gate on a screen, in tables, and for machines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..decision import NOT_VALIDATED
from ..gate import GateResult, GateRow, RowVerdict
from ..records import SCHEMA_VERSION
from ._cells import escape
from ._first_screen import first_screen, places_of
from ._layout import Bullet, Column, Facts, Listing, Prose
from ._validity import validity_lines
from .words import (
    ANSWERS,
    counted,
    gate_answer,
    gate_basis,
    leaked_names,
    limit_words,
    measured_words,
    notes_words,
    row_words,
    verdict_words,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["gate_details", "gate_screen", "gate_summary"]

FILES = ("report.html", "gate.json", "spans.csv")
"""What a reader of a gate opens next."""
STYLES = {RowVerdict.FAILED: "bold", RowVerdict.PASSED: "", RowVerdict.NOT_APPLICABLE: "dim"}


def gate_screen(result: GateResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The verdict, in at most 15 lines of 80 columns; *spell* rewrites the parameters that sentences name."""
    return first_screen(gate_answer(result), places_of(result.path, FILES), spell)


def gate_details(result: GateResult, spell: Callable[[str], str] = str) -> RenderableType:
    """All that a gate holds: the verdict, each limit with what it answers, what leaked most, and the known set."""
    from rich.console import Group

    parts: list[RenderableType] = [first_screen(gate_answer(result), spell=spell), "", _limits(result, spell)]
    parts += [Prose(f"{escape(gate_basis(result))}."), ""]
    sources = dict(ANSWERS[row.quantity] for row in reversed(result.rows))
    parts += [Bullet(f"{escape(name)} {escape(asks)}.") for name, asks in reversed(sources.items())]
    parts += _leaked(result)
    parts += ["", validity_lines(result.validity, result.standing)]
    parts += ["", "[dim]Notes[/]"] if result.notes else []
    parts += [Bullet(f"[dim]{escape(spell(note))}[/]") for note in notes_words(result.notes)]
    parts += ["", Facts([("run directory", escape(str(result.path)))])]
    return Group(*parts)


def gate_summary(result: GateResult) -> dict[str, Any]:
    """Every figure for machines; the upper end of an interval that has none is null."""
    return {
        "schema_version": SCHEMA_VERSION,
        "passed": result.passed,
        "standing": result.standing or NOT_VALIDATED,
        "withheld": result.withheld,
        "strict": result.strict,
        "confidence": result.confidence,
        "attack": result.attack,
        "aurocs": dict(result.aurocs),
        "fit_documents": result.fit_documents,
        "limits": [_row(row) for row in result.rows],
        "members_flagged": result.members_flagged,
        "members_measured": result.members_measured,
        "leaked_passages": [asdict(each) for each in result.leaked_passages],
        "leaked_documents": [asdict(each) for each in result.leaked_documents],
        "redacted": result.redacted,
        "answer": asdict(gate_answer(result)),
        "note_sentences": notes_words(result.notes),
        "gate": str(result.path / "gate.json"),
    }


def _row(row: GateRow) -> dict[str, Any]:
    interval = None if row.interval is None else asdict(row.interval)
    if interval is not None:
        interval["high"] = interval["high"] if math.isfinite(interval["high"]) else None
    figures = {
        **asdict(row),
        "interval": interval,
        "answers": ANSWERS[row.quantity][0],
        "sentence": f"{limit_words(row)}: {verdict_words(row)}, {row_words(row)}",
    }
    del figures["obstacle"]  # in words: the sentence
    return figures


def _limits(result: GateResult, spell: Callable[[str], str]) -> Listing:
    columns = [
        Column("limit", "names"),
        Column("verdict", "names"),
        Column("measured"),
        Column("members,\nnon-members"),
        Column("answers", "names"),
    ]
    table = Listing(columns)
    for row in result.rows:
        counts = f"{row.members:,}, {row.nonmembers:,}" if row.members else ""
        figure = measured_words(row) or "–"
        verdict = verdict_words(row)
        if row.obstacle is not None:
            verdict += f": {escape(spell(row_words(row)))}"
        table.add(
            escape(limit_words(row)), verdict, figure, counts, ANSWERS[row.quantity][0], style=STYLES[row.verdict]
        )
    return table


def _leaked(result: GateResult) -> list[RenderableType]:
    """Tables of the passages and the documents that leaked most."""
    parts: list[RenderableType] = []
    if result.leaked_documents:
        titles = [Column("passages"), Column("recognised"), Column("spans\nwritten")]
        table = Listing([Column("document", "names"), *titles], "The documents that leaked most")
        for name, document in zip(leaked_names(result, result.leaked_documents), result.leaked_documents, strict=True):
            counts = (document.passages, document.flagged, document.spans)
            table.add(escape(name), *(f"{count:,}" for count in counts))
        parts += ["", table]
    if result.leaked_passages:
        table = Listing([Column("passage", "names"), Column("score"), Column("p")], "The passages that leaked most")
        for name, passage in zip(leaked_names(result, result.leaked_passages), result.leaked_passages, strict=True):
            table.add(escape(name), f"{passage.score:.4g}", f"{passage.p_value:.3g}")
        flagged = f"{result.members_flagged:,} of {counted(result.members_measured, 'member')}"
        parts += ["", table, f"[dim]{flagged} that were measured score above 95 % of known non-members[/]"]
    return parts
