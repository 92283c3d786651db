"""What a monitor reports: on a screen, in tables, and for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..monitor import Alert, Inspection, MonitorResult
from ..records import SCHEMA_VERSION
from ._cells import escape
from ._first_screen import first_screen, places_of
from ._layout import Bullet, Column, Facts, Listing
from .words import blind_sentences, counted, fault_sentence, monitor_answer, reason_words

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["inspection_lines", "inspection_summary", "monitor_details", "monitor_screen", "monitor_summary"]

FILES = ("report.html", "alerts.jsonl", "monitor.json")
"""What a reader of alerts opens next."""
ROWS = 30
"""Alerts of a table."""


def monitor_screen(result: MonitorResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, in at most 15 lines of 80 columns; *spell* rewrites the parameters that sentences name."""
    return first_screen(monitor_answer(result), places_of(result.path, FILES), spell)


def monitor_details(result: MonitorResult, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, each alert with its reasons and lines, what was left out, and the notes."""
    from rich.console import Group

    parts: list[RenderableType] = [first_screen(monitor_answer(result), spell=spell)]
    for kind, title in (("family", "Families of requests"), ("client", "Clients")):
        if alerts := result.of(kind):
            parts += ["", _alerts(alerts, title)]
    logs = [(log.name, f"{log.source}: {counted(log.requests, 'request')}") for log in result.logs]
    parts += ["", Facts([(escape(name), text) for name, text in logs])]
    sentences = [fault_sentence(each.reason, each.lines, each.first_lines, each.read) for each in result.faults]
    sentences += [f"blind: {sentence}" for sentence in blind_sentences(result.logs)] + list(result.notes)
    parts += ["", "[dim]Notes[/]"] if sentences else []
    parts += [Bullet(f"[dim]{escape(spell(sentence))}[/]") for sentence in sentences]
    return Group(*parts)


def _alerts(alerts: tuple[Alert, ...], title: str) -> Listing:
    columns = [
        Column("name", "names"), Column("p"), Column("q"), Column("requests"), Column("clients"),
        Column("why", "sentences"),
    ]  # fmt: skip
    more = f", the first {ROWS} of {len(alerts)}" if len(alerts) > ROWS else ""
    table = Listing(columns, f"{title}{more}")
    for alert in alerts[:ROWS]:
        why = "; ".join(f"{reason_words(each)} ({', '.join(each.lines)} …)" for each in alert.reasons[:3])
        figures = (
            f"{alert.p_value:.2g}",
            f"{alert.q_value:.2g}",
            f"{alert.requests:,}",
            f"{alert.clients:,}" if alert.clients else "–",
        )
        table.add(escape(alert.name), *figures, escape(why))
    return table


def monitor_summary(result: MonitorResult) -> dict[str, Any]:
    """Every figure for machines."""
    values = {name: value for name, value in asdict(result).items() if name not in ("path", "notes")}
    return {
        **values,
        "confirmed": len(result.confirmed),
        "answer": asdict(monitor_answer(result)),
        "note_sentences": list(result.notes),
        "monitor": str(result.path / "monitor.json"),
    }


def inspection_summary(inspections: Sequence[Inspection]) -> dict[str, Any]:
    """What was understood of logs, for machines."""
    return {
        "schema_version": SCHEMA_VERSION,
        "logs": [{**asdict(each), "fields": dict(each.fields)} for each in inspections],
    }


def inspection_lines(inspection: Inspection) -> RenderableType:
    """What was understood of the first lines of a log, and which detectors are blind."""
    from rich.console import Group

    parts: list[RenderableType] = [f"{escape(inspection.name)}: {escape(inspection.title)}", ""]
    parts.append(f"{counted(inspection.lines, 'line')} tried, {counted(inspection.queries, 'request')} understood.")
    parts += [f"[bold]{escape(warning)}[/]" for warning in inspection.warnings]
    facts = [(name, text) for name, text in inspection.fields]
    parts += ["", Facts([(name, escape(text)) for name, text in facts], indent=2)]
    parts += ["", "Blind detectors" if inspection.blind else "No detector is blind on this log."]
    parts += [Bullet(f"{name}: {escape(reason)}") for name, reason in inspection.blind.items()]
    parts += [Bullet(f"{name}: {escape(reason)}") for name, reason in inspection.weak.items()]
    for fault in inspection.faults:
        parts.append(Bullet(escape(fault_sentence(fault.reason, fault.lines, fault.first_lines, fault.read))))
    return Group(*parts)
