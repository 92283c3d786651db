"""The words that are typed in the place of an attack, explained for people."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CHOICES", "Choice", "choice_details"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A word in the place of an attack."""

    name: str
    summary: str
    """What it is."""
    use: str
    """Where it is typed."""
    needs: str
    caution: str
    """What a user has to know before he relies on it."""


CHOICES: Mapping[str, Choice] = {
    choice.name: choice
    for choice in (
        Choice(
            "auto",
            "The attack that separates the known members from the known non-members best (largest AUROC), among all "
            "attacks that were scored. It is chosen on one half of the known documents (the fit part); the non-members "
            "of the other half set the threshold, so that the choice does not spoil the error rate.",
            "llm-mia audit … -a auto, or llm-mia calibrate … -a auto",
            "known members, and known non-members: at least 10 of each in the fit part; and non-members enough for the "
            "threshold in the other part",
            "If there are fewer, the attack 'reference' decides (or 'min_k' without a reference model), and a note "
            "gives the reason.",
        ),
        Choice(
            "stack",
            "One score learned from all attacks that were scored: a weighted sum of their columns, with boosted trees "
            "in a large known set. It is learned on one half of the known documents (the fit part); the "
            "non-members of the other half set the threshold, so that what was learned does not spoil the error rate.",
            "llm-mia audit … -a stack, or llm-mia calibrate … -a stack",
            "documents of known members, and of known non-members: at least 20 of each in the fit part; and "
            "non-members enough for the threshold in the other part",
            "If there are fewer, the command is refused. The score has no meaning outside of its calibration file, "
            "which holds what was learned.",
        ),
        Choice(
            "default",
            "What decides an audit in which no attack is named: 'stack' if the known set is large enough for it, "
            "otherwise the attack 'reference', or 'min_k' without a reference model.",
            "llm-mia audit … without -a, or llm-mia calibrate … -a default",
            "for 'stack' here: at least 100 documents of known members and 100 of known non-members in the fit part; "
            "otherwise known non-members alone",
            "Which of the two decides depends on the number of known documents, never on their scores.",
        ),
        Choice(
            "all",
            "Every attack that the models and the other inputs allow, also those that cost a pass of their own, which "
            "are left out if no attack is named.",
            "llm-mia score … -a all, or llm-mia audit … -a all",
            "nothing; attacks for which something is missing are left out",
            "It takes longer: each rewritten version of the passages costs as much as scoring them once more.",
        ),
    )
}
"""By the word."""


def choice_details(choice: Choice) -> str:
    """A paragraph for each field of *choice*, within 80 columns."""
    titled = {
        "word": choice.name,
        "meaning": choice.summary,
        "type": choice.use,
        "needs": choice.needs,
        "note": choice.caution,
    }
    return "\n".join(
        textwrap.fill(text, 80, initial_indent=f"{title:9}", subsequent_indent=" " * 9)
        for title, text in titled.items()
    )
