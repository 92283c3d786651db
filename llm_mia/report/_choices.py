"""The words that can be typed instead of the name of an attack, explained for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._cells import escape
from ._layout import Facts

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["CHOICES", "Choice", "choice_details"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A word that can be typed instead of the name of an attack."""

    name: str
    summary: str
    """What it is."""
    use: str
    """Where it is typed."""
    needs: str
    caution: str
    """What a user has to know before relying on it."""


CHOICES: Mapping[str, Choice] = {
    choice.name: choice
    for choice in (
        Choice(
            "auto",
            "The attack that separates the known members from the known non-members best (largest AUROC), among all "
            "attacks that were scored. One half of the known documents (the fit part) selects it; the non-members "
            "of the other half set the threshold, so the error rate remains valid.",
            "llm-mia audit … -a auto, or llm-mia calibrate … -a auto",
            "known members and known non-members: at least 10 passages of each in the fit part, and enough non-members "
            "in the other part to set the threshold",
            "If there are fewer, the attack 'reference' decides, or 'min_k' if there is no reference model, and a note "
            "gives the reason.",
        ),
        Choice(
            "stack",
            "A score that is learned from all attacks that were scored: a weighted sum of their columns, or boosted "
            "trees if the known set is large. One half of the known documents (the fit part) trains it; the "
            "non-members of the other half set the threshold, so the error rate remains valid.",
            "llm-mia audit … -a stack, or llm-mia calibrate … -a stack",
            "known members and known non-members: at least 20 documents of each in the fit part, and enough "
            "non-members in the other part to set the threshold",
            "If there are fewer, the command is refused. What was learned is stored in the calibration file; the score "
            "cannot be computed without this file.",
        ),
        Choice(
            "default",
            "What decides an audit for which no attack is named: 'stack' if the known set is large enough, otherwise "
            "the attack 'reference', or 'min_k' if there is no reference model.",
            "llm-mia audit … without -a, or llm-mia calibrate … -a default",
            "known non-members; for 'stack' at least 100 documents of known members and 100 of known non-members in "
            "the fit part",
            "The number of known documents selects what decides, never their scores, so the error rate remains valid.",
        ),
        Choice(
            "all",
            "Every attack that the models and the other inputs allow. This includes the attacks that need an extra "
            "pass over the passages, such as lowercase, which are left out if no attack is named.",
            "llm-mia score … -a all, or llm-mia audit … -a all",
            "nothing more; an attack for which an input is missing is left out",
            "It takes longer: each extra pass, such as a rewritten version of the passages, costs as much as scoring "
            "the passages once more.",
        ),
    )
}
"""By the word."""


def choice_details(choice: Choice) -> RenderableType:
    """A paragraph for each field of *choice*."""
    titled = {
        "word": choice.name,
        "meaning": choice.summary,
        "type": choice.use,
        "needs": choice.needs,
        "note": choice.caution,
    }
    return Facts([(title, escape(text)) for title, text in titled.items()])
