"""Two runs side by side, for a terminal and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..auditing import TwoRuns
from ..records import SCHEMA_VERSION, Interval
from ._cells import escape
from ._layout import Facts, Prose
from .words import (
    comparison_rows,
    counted,
    finding,
    matched_words,
    perplexity_words,
    run_heads,
    run_words,
    two_runs_lines,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["two_runs_details", "two_runs_screen", "two_runs_summary"]

TITLES = ("", "a", "b", "b - a", "95\u00a0% interval", "", "")
WIDTH = 80
"""Columns of the first screen."""


def two_runs_screen(runs: TwoRuns) -> RenderableType:
    """Both answers, the differences, and how many settings differ: 15 lines of 80 columns."""
    from rich.console import Group

    return Group(
        _sentence(f"{matched_words(runs)}."),
        _answers(run_heads(runs)),
        "",
        *_table(runs),
        *map(_sentence, two_runs_lines(runs)),
        _sentence(_settings(runs)),
    )


def _answers(rows: Sequence[tuple[str, str]]) -> Facts:
    return Facts([(escape(name), escape(answer)) for name, answer in rows])


def _sentence(text: str) -> Prose:
    return Prose(escape(text))


def _settings(runs: TwoRuns) -> str:
    """How many settings differ, with the names of as many as fit on a line."""
    names = [setting.name for setting in runs.settings]
    if not names:
        return "No setting differs between the runs."
    for shown in range(len(names), -1, -1):
        rest = len(names) - shown
        more = [f"{rest} more"] if rest and shown else []
        line = f"{counted(len(names), 'setting')} differ{'s' if len(names) == 1 else ''} (see --details)"
        line += f": {', '.join([*names[:shown], *more])}" if shown else ""
        if len(line) <= WIDTH:
            break
    return line


def two_runs_details(runs: TwoRuns) -> RenderableType:
    """What differs between the runs, then everything that `two_runs_screen` shows, with the answers in full."""
    from rich.console import Group

    lines = ["[bold]What differs between the runs[/]"] if runs.settings else ["[bold]No setting differs.[/]"]
    for setting in runs.settings:
        sides = (("a", setting.first), ("b", setting.second))
        lines += [f"  {escape(setting.name)}", *(f"    {name}  {escape(value or 'none')}" for name, value in sides)]
    facts = [*perplexity_words(runs), *two_runs_lines(runs)]
    size = _sentence(f"{matched_words(runs)}.")
    return Group(*lines, "", _answers(run_words(runs)), "", size, "", *_table(runs), "", *map(_sentence, facts))


def _table(runs: TwoRuns) -> list[str]:
    """The comparisons as lines of at most 80 characters."""
    rows: list[Sequence[str]] = [TITLES, *comparison_rows(runs)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(TITLES))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append(escape("  ".join(cells).rstrip()))
    return [f"[dim]{lines[0]}[/]", *lines[1:]]


def two_runs_summary(runs: TwoRuns) -> dict[str, Any]:
    """Both answers, the differences with intervals, and the settings that differ; an unbounded interval has nulls."""
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": [
            {
                "path": str(audit.path),
                "finding": finding(audit.flags),
                "withheld": audit.withheld,
                "flagged": audit.flags.flagged,
                "candidates": len(audit.flags.rows),
            }
            for audit in (runs.first, runs.second)
        ],
        "matched": {role: asdict(matched) for role, matched in runs.matched.items()},
        "texts_compared": runs.texts_compared,
        "settings": [asdict(setting) for setting in runs.settings],
        "comparisons": runs.comparisons,
        "flags": None if runs.flags is None else {**asdict(runs.flags), "stated": runs.flags_stated},
        "differences": [
            {
                **{name: getattr(each, name) for name in ("quantity", "role", "passages", "first", "second")},
                "difference": _ends(each.difference),
                "p_value": each.p_value,
                "stated": each.stated,
            }
            for each in runs.differences
        ],
        "fpr": runs.fpr,
    }


def _ends(interval: Interval) -> dict[str, float | None]:
    bounded = abs(interval.high) != float("inf")
    ends = {"low": interval.low if bounded else None, "high": interval.high if bounded else None}
    return {"value": interval.value, **ends, "confidence": interval.confidence}
