"""Stand-ins until the answer and the figures are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...auditing import Audit
from .._results import Results
from ..words import Answer, Outcome, finding, finding_facts, members_words, standing_words

__all__ = ["Figure", "answer_of", "page_figures"]


@dataclass(frozen=True)
class Figure:
    name: str
    title: str
    description: str
    svg: str
    table: Sequence[Sequence[str]]


def page_figures(_: Results) -> list[Figure]:
    return []


def answer_of(audit: Audit) -> Answer:
    flags = audit.flags
    outcome = Outcome.WITHHELD if audit.withheld else Outcome.FINDING if flags.significant else Outcome.NO_FINDING
    facts = [*finding_facts(flags), ("at least", members_words(flags) or "cannot be stated")]
    return Answer(
        f"Was {audit.passes['target'].model.id} trained on these {len(flags.rows):,} texts?",
        outcome,
        finding(flags),
        "" if flags.by_chance is None else f"About {flags.by_chance:.0f} would be flagged by chance.",
        tuple(facts),
        (f"The known set is {standing_words(audit.standing)}.",),
        len(audit.notes),
    )
