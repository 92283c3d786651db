"""What only the page of a gate says: its sections, its rows, and what a pass does not show."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ...gate import GateResult, GateRow, RowVerdict
from ._counting import counted
from ._gate import ANSWERS, leaked_names, limit_words, measured_words, obstacle_words, verdict_words
from ._gate_next import gate_next

__all__ = [
    "CONTENTS",
    "LIMITS",
    "REDACTED",
    "LeakedTable",
    "LimitRow",
    "asks_rows",
    "done_rows",
    "gate_next",
    "gate_rows",
    "gate_tables",
    "recognised_words",
    "title_words",
]

CONTENTS = (
    ("answer", "Verdict"),
    ("next", "Next"),
    ("limits", "Limits"),
    ("leaked", "What leaked"),
    ("trust", "Known set"),
    ("method", "Method"),
)
"""Sections of the page: anchor and name."""
REDACTED = "This page names no passage and no document, on request (redacted)."
LIMITS = (
    "That no stronger attack exists: whoever can train similar models (shadow models) sees more.",
    "Anything about texts that are unlike the sample, such as rare or repeated texts.",
    "That the model is anonymous in law, or that its training was differentially private: only the accountant of the "
    "training shows the latter.",
    "Anything about a limit that is not applicable.",
)
COLOURS = {RowVerdict.PASSED: "sound", RowVerdict.FAILED: "void", RowVerdict.NOT_APPLICABLE: "skipped"}
"""Names of verdicts in the style sheet."""


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit as a row of a table; plain text, empty where there is no figure."""

    limit: str
    why: str
    """Why it is not applicable."""
    verdict: str
    colour: str
    measured: str
    """The figure with its interval."""
    members: str
    nonmembers: str
    answers: str


@dataclass(frozen=True, slots=True)
class LeakedTable:
    """Documents, or passages, that leaked most."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def gate_rows(result: GateResult) -> list[LimitRow]:
    """A row for each limit: those that fail first, and those that are not applicable last."""
    order = (RowVerdict.FAILED, RowVerdict.PASSED, RowVerdict.NOT_APPLICABLE)
    return [_row(row) for row in sorted(result.rows, key=lambda row: order.index(row.verdict))]


def _row(row: GateRow) -> LimitRow:
    return LimitRow(
        limit_words(row),
        "" if row.obstacle is None else obstacle_words(row.obstacle),
        verdict_words(row),
        COLOURS[row.verdict],
        measured_words(row),
        f"{row.members:,}" if row.members else "",
        f"{row.nonmembers:,}" if row.nonmembers else "",
        ANSWERS[row.quantity][0],
    )


def recognised_words(result: GateResult) -> str:
    """How many members the strongest attack recognises; empty where it recognises none."""
    if not result.members_flagged:
        return ""
    measured = counted(result.members_measured, "member")
    return (
        f"{result.members_flagged:,} of {measured} that were measured score above 95 % of the known non-members "
        f"under the attack {result.attack}."
    )


def gate_tables(result: GateResult) -> list[LeakedTable]:
    """The documents and the passages that leaked most; none where the result is redacted."""
    tables = []
    if result.leaked_documents:
        names = leaked_names(result, result.leaked_documents)
        rows = [
            (name, f"{each.passages:,}", f"{each.flagged:,}", f"{each.spans:,}")
            for name, each in zip(names, result.leaked_documents, strict=True)
        ]
        columns = ("Document", "Passages", "Recognised", "Spans written")
        tables.append(LeakedTable("The documents that leaked most", columns, rows))
    if result.leaked_passages:
        names = leaked_names(result, result.leaked_passages)
        of_passages = [
            (name, f"{each.score:.4g}", f"{each.p_value:.3g}")
            for name, each in zip(names, result.leaked_passages, strict=True)
        ]
        tables.append(LeakedTable("The passages that leaked most", ("Passage", "Score", "p-value"), of_passages))
    return tables


def title_words(result: GateResult) -> str:
    """The title of the page."""
    return f"The gate {'passes' if result.passed else 'fails'}"


def asks_rows(result: GateResult) -> list[tuple[str, str]]:
    """What each requirement asks for that a limit answers."""
    sources = dict(ANSWERS[row.quantity] for row in reversed(result.rows))
    return [(name, f"{asks[0].upper()}{asks[1:]}.") for name, asks in reversed(sources.items())]


def done_rows(result: GateResult) -> list[tuple[str, str]]:
    """The models, the inputs, and the command."""
    rows = [(role, record.model.id) for role, record in result.passes.items()]
    for kind, source in zip(("members", "non-members"), result.inputs, strict=True):
        sizes = f"{counted(source.passages, 'passage')} of {counted(source.documents, 'document')}"
        rows.append((kind, f"{source.name}: {sizes}"))
    return [*rows, *([("command", f"llm-mia {shlex.join(result.command)}")] if result.command else [])]
