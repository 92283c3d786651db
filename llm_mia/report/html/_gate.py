"""The page of a gate: the limits as a table, what leaked most, and whether the known set can be trusted."""

from __future__ import annotations

from pathlib import Path

from ...gate import GateResult
from ...store import write_text
from ..words import gate_answer, gate_basis, gate_page as gate_words, notes_words, standing_sentence, validity_meaning
from ._policy import content_security_policy
from ._templates import render
from ._trust import checks_of

__all__ = ["gate_html", "write_gate_report"]

FILE = "report.html"


def write_gate_report(result: GateResult, out: str | Path | None = None) -> Path:
    """Write the page of a gate, completely or not at all; the same result gives the same bytes.

    Args:
        result: the verdict.
        out: the file; None: ``report.html`` in the run directory.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    path = result.path / FILE if out is None else Path(out)
    write_text(path, gate_html(result))
    return path


def gate_html(result: GateResult) -> str:
    """The page; every name in it is escaped, and it makes no request and runs no script."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    faults, groups = checks_of(result.validity)
    recognised = gate_words.recognised_words(result)
    page: str = render(
        "gate.html",
        style=style,
        policy=content_security_policy(style, ""),
        words=gate_words,
        title=gate_words.title_words(result),
        contents=[entry for entry in gate_words.CONTENTS if recognised or entry[0] != "leaked"],
        redacted=result.redacted,
        answer=gate_answer(result),
        steps=gate_words.gate_next(result),
        basis=f"{gate_basis(result)}.",
        rows=gate_words.gate_rows(result),
        asks=gate_words.asks_rows(result),
        recognised=recognised,
        leaked=gate_words.gate_tables(result),
        standing=f"{standing_sentence(result.standing)}: {validity_meaning(result.standing)}.",
        faults=faults,
        groups=groups,
        notes=notes_words(result.notes),
        done=gate_words.done_rows(result),
    )
    return page.encode("utf-8", "backslashreplace").decode()
