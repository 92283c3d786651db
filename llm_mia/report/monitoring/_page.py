"""The page of a monitor: without scripts, with every value escaped, and forbidden to load anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...monitor import Alert, MonitorResult
from ...store import write_text
from .._templates import policy_digest, templates
from ..words import blind_sentences, fault_sentence, monitor_answer, reason_words

__all__ = ["monitor_html", "write_monitor_page"]

TEMPLATES = Path(__file__).parent / "templates"
ROWS = 200
"""Alerts that the page lists."""


def write_monitor_page(result: MonitorResult) -> Path:
    """Write ``report.html`` into the folder of *result*, and return its path."""
    path = result.path / "report.html"
    write_text(path, monitor_html(result))
    return path


def monitor_html(result: MonitorResult) -> str:
    """The page: the answer, each alert with its reasons, what was not read, and what the thresholds rest on."""
    style = (TEMPLATES / "monitor.css").read_text(encoding="utf-8")
    answer = monitor_answer(result)
    sentences = [fault_sentence(each.reason, each.lines, each.first_lines, each.read) for each in result.faults]
    return (
        templates(TEMPLATES)
        .get_template("monitor.html")
        .render(
            style=_marked(style),
            policy=f"default-src 'none'; style-src '{policy_digest(style)}'; base-uri 'none'; form-action 'none'",
            answer=answer,
            facts=[(name, text) for name, text in answer.facts if name not in ("family", "client", "more")],
            kinds=[("Families of requests", _rows(result.of("family"))), ("Clients", _rows(result.of("client")))],
            most=ROWS,
            logs=result.logs,
            drift=result.drift,
            fdr=result.fdr,
            notes=[*sentences, *(f"blind: {each}" for each in blind_sentences(result.logs)), *result.notes],
        )
    )


def _marked(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - a file of this package


def _rows(alerts: tuple[Alert, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": alert.name or "(no name)",
            "p": f"{alert.p_value:.2g}",
            "q": f"{alert.q_value:.2g}",
            "requests": f"{alert.requests:,}",
            "clients": f"{alert.clients:,}" if alert.clients else "–",
            "reasons": [(reason_words(each), ", ".join(each.lines)) for each in alert.reasons],
        }
        for alert in alerts
    ]
