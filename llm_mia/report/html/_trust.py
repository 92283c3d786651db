"""The second section: every check of the known set as a row, what other models show, and the sealed non-members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...auditing import Audit
from ...validity import Check, Validity
from ..words import HEADER, comparison_facts, control_words, shadow_facts, shadow_rows, weakest_words
from ..words.checks import CheckGroup, check_groups, check_words, detectable_words, figure_words, verdict_words
from ..words.page import checks_lead, trust_words

__all__ = ["CheckRow", "Group", "Trust", "checks_of", "trust_of"]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check as a row of a table; plain text."""

    words: str
    name: str
    figure: str
    interval: str
    detectable: str
    verdict: str
    verdict_name: str
    """Stable: it decides the colour."""
    why: str
    details: str
    remedy: str
    """Empty where there is no fault to remove."""
    question: str = ""
    """What it answers together with others; empty where the row is below that question."""


@dataclass(frozen=True, slots=True)
class Group:
    """The checks that answer a question."""

    question: str
    meaning: str
    summary: str
    verdict_name: str
    rows: Sequence[CheckRow]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether the known set can be trusted, from the sentence to the single checks."""

    standing: str
    weakest: str
    faults: Sequence[CheckRow]
    """Checks with a fault, the worst first; they are shown open."""
    groups: Sequence[Group]
    """All checks by the question that they answer."""
    models: Sequence[tuple[str, str]]
    """What each other model shows, unless the finding is withheld; then the sealed non-members, if there are any."""
    lead: str
    """How to read the table of all checks."""
    shadows: Sequence[tuple[str, ...]] = ()
    """A row for each shadow model in the target's place; empty where a known set sets the threshold."""
    shadow_facts: Sequence[tuple[str, str]] = ()
    header: Sequence[str] = HEADER


def trust_of(audit: Audit) -> Trust:
    """What the second section shows of *audit*."""
    faults, groups = checks_of(audit.validity)
    models = [] if audit.withheld else comparison_facts(audit.flags)
    if audit.control is not None:
        models.append(("sealed non-members", control_words(audit.control.note.figures)))
    return Trust(
        trust_words(audit),
        weakest_words(audit.validity) or "",
        faults,
        groups,
        models,
        checks_lead(audit),
        [] if audit.shadows is None else shadow_rows(audit.shadows.rates),
        [] if audit.shadows is None else shadow_facts(audit.shadows),
    )


def checks_of(validity: Validity) -> tuple[list[CheckRow], list[Group]]:
    """The checks with a fault, the worst first; and all checks by the question that they answer."""
    ranks = {name: rank for rank, name in enumerate(("void", "untestable", "doubtful"))}
    groups = check_groups(validity.checks)
    faults = [(check, group.question) for group in groups for check in group.checks if check.is_fault]
    faults.sort(key=lambda fault: ranks[fault[0].verdict.value])
    return [_row(check, question) for check, question in faults], [_group(group) for group in groups]


def _group(group: CheckGroup) -> Group:
    rows = [_row(check) for check in group.checks]
    return Group(group.question, group.meaning, group.summary, group.worst.value, rows)


def _row(check: Check, question: str = "") -> CheckRow:
    figure, interval = figure_words(check)
    return CheckRow(
        words=check_words(check.name),
        name=check.name,
        figure=figure,
        interval=interval,
        detectable=detectable_words(check),
        verdict=verdict_words(check.verdict),
        verdict_name=check.verdict.value,
        why=check.why,
        details=replace(check, detectable=None).details,  # that figure has a column
        remedy=check.remedy if check.is_fault else "",
        question=question,
    )
