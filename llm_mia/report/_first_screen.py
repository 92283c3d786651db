"""An answer on a single screen: at most 15 lines of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._cells import escape
from ._layout import Facts
from .words import Answer, Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["WIDTH", "first_screen"]

WIDTH = 80
STYLES = {
    Outcome.FINDING: "bold green",
    Outcome.DOUBTFUL: "bold yellow",
    Outcome.NO_FINDING: "bold",
    Outcome.WITHHELD: "bold red",
}


def first_screen(
    answer: Answer, places: Sequence[tuple[str, str]], spell: Callable[[str], str] = str
) -> RenderableType:
    """The answer, and where the rest is.

    Args:
        answer: what is shown.
        places: what lies where, or which command shows it: names and places.
        spell: rewrites the parameters that sentences name between backticks.
    """
    from rich.console import Group
    from rich.constrain import Constrain
    from rich.padding import Padding

    facts = [(escape(name), escape(spell(sentence))) for name, sentence in answer.facts]
    parts: list[RenderableType] = [
        escape(answer.question),
        f"[{STYLES[answer.outcome]}]{escape(spell(answer.headline))}[/]",
        *([escape(spell(answer.error_rate))] if answer.error_rate else []),
        *(["", Padding(Facts(facts), (0, 0, 0, 2))] if facts else []),
        "",
        escape(spell(" ".join(answer.trust))),
        *([f"More certain with {escape(spell(answer.change))}."] if answer.change else []),
        "",
        *_places(places),
    ]
    return Constrain(Group(*parts), WIDTH)


def _places(places: Sequence[tuple[str, str]]) -> list[str]:
    """Names and places: a line where all fit into it, else a line each."""
    lines = [f"[dim]{name}[/]  {escape(place)}" for name, place in places]
    together = sum(len(name) + len(place) + 6 for name, place in places) - 4
    return ["    ".join(lines)] if together <= WIDTH else lines
