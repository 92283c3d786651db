"""Until part screen is merged."""

from __future__ import annotations

from ...auditing import Audit
from ..words import Answer, Outcome, finding, finding_facts, why_withheld

__all__ = ["answer_of"]


def answer_of(audit: Audit) -> Answer:
    """The answer."""
    flags = audit.flags
    outcome = Outcome.WITHHELD if audit.withheld else Outcome.FINDING if flags.significant else Outcome.NO_FINDING
    return Answer(
        f"Was {audit.passes['target'].model.id} trained on these {len(flags.rows):,} texts?",
        outcome,
        finding(flags),
        "",
        tuple(finding_facts(flags)),
        () if not audit.withheld else (why_withheld(audit.standing, audit.validity),),
        len(audit.notes),
    )
