"""An answer on a single screen: at most 15 lines of 80 columns; what has no room is in the details."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ._cells import escape
from ._layout import Facts, Prose
from .words import Answer, Outcome, counted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

__all__ = ["AGAIN", "WIDTH", "first_screen", "places_of"]

MOST_LINES, WIDTH = 15, 80
DETAILS = "details"
"""The name of the place that shows what has no room; the number of caveats stands behind it."""
AGAIN = (DETAILS, "the same command with --details")
"""The place of the details of a command that leaves no run directory."""
LEAST_FACTS = 3
"""Facts that are shown rather than an empty line; fewer only where nothing else makes 15 lines."""
GAPS = (2, 3, 4, 1)
"""Before which groups empty lines are, the most useful first: of the question, its answer, the facts, what to trust
and the places."""
LONG_PATH = 20
"""From so many columns a path is shown once, and RUN takes its place in commands."""
COLOURS = {
    Outcome.FINDING: "green",
    Outcome.DOUBTFUL: "yellow",
    Outcome.NO_FINDING: "cyan",
    Outcome.WITHHELD: "red",
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
}


Places = Sequence[tuple[str, str]]
"""What lies where, or which command shows it: names and places."""


def places_of(run: Path, names: Sequence[str], command: str = "show") -> Places:
    """The files of *names* that lie in *run*, and the *command* that shows the details of that folder."""
    there = [name for name in names if (run / name).is_file()]
    name = os.path.join(run, "")  # noqa: PTH118 - a path drops the slash by which a reader sees that it is a folder
    quoted = shlex.quote(name)
    folder = f"{name}: {', '.join(there)}" if there else name
    short = len(quoted) <= LONG_PATH
    shown = f"llm-mia {command} {quoted if short else 'RUN'} --details"
    return [("files", folder if short else f"RUN is {folder}"), (DETAILS, shown)]


def first_screen(
    answer: Answer, places: Places = (), spell: Callable[[str], str] = str, *, rows: str = ""
) -> RenderableType:
    """The answer, and where the rest is.

    Args:
        answer: what is shown.
        places: what lies where, or which command shows it: names and places. Without them the details follow, so all
            facts are shown, in as many lines as they take.
        spell: rewrites the parameters that sentences name between backticks.
        rows: what a fact is, where the facts are the rows of a table. A table is shown whole before an empty line is.
    """
    return _FirstScreen(answer, places, spell, rows)


@dataclass(frozen=True)
class _FirstScreen:
    """An answer with the places of its files.

    At 80 columns it takes at most 15 lines: empty lines go first, then the facts that matter least, and the last line
    names or counts those. A narrower screen shows the same, in more lines.
    """

    answer: Answer
    places: Places
    spell: Callable[[str], str]
    rows: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        answer = self.answer
        meaning = [
            *self._prose(answer.headline, f"bold {COLOURS[answer.outcome]}"),
            *self._prose(answer.error_rate),
        ]
        trust = [each for line in answer.trust for each in self._prose(line)]
        trust += self._prose(answer.change and f"What would change this: {answer.change.rstrip('.')}.", "yellow")
        question = self._prose(answer.question)
        fixed = sum(each.height(console, WIDTH) for each in (*question, *meaning, *trust))
        facts = self._facts(len(answer.facts)).heights(console, WIDTH)
        for number, gaps in self._attempts():
            places = self._places(number)
            of_places = sum(sum(each.heights(console, WIDTH)) for each in places)
            if not self.places or fixed + sum(facts[:number]) + of_places + len(gaps) <= MOST_LINES:
                break
        shown = [self._facts(number)] if number else []
        groups: list[Sequence[RenderableType]] = [question, meaning, shown, trust, places]
        for position, group in enumerate(groups):
            if position in gaps and group:
                yield ""
            yield from group

    def _attempts(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """How many facts are shown, and before which groups an empty line is; the best first."""
        facts = len(self.answer.facts)
        least = min(facts, LEAST_FACTS)
        yield from ((facts, GAPS[:gaps]) for gaps in ((4, 3, 2, 1, 0) if self.rows else (4, 3, 2)))
        if self.rows:
            yield from ((number, ()) for number in range(facts - 1, least - 1, -1))
        yield from ((number, GAPS[:2]) for number in range(facts - 1, least - 1, -1))
        yield from ((number, GAPS[:gaps]) for gaps in (1, 0) for number in range(facts, least - 1, -1))
        yield from ((number, ()) for number in range(least - 1, -1, -1))

    def _prose(self, sentence: str, style: str = "") -> list[Prose]:
        """The sentence, if it is not empty."""
        text = escape(self.spell(sentence))
        return [Prose(f"[{style}]{text}[/]" if style else text)] if sentence else []

    def _facts(self, number: int) -> Facts:
        return Facts([(name, escape(self.spell(text))) for name, text in self.answer.facts[:number]], indent=2)

    def _places(self, number: int) -> list[Facts]:
        """The files, and the command that shows the facts from *number* on, and the caveats."""
        if not self.places:
            return []
        room = WIDTH - max(len(name) for name, _ in self.places) - len(dict(self.places).get(DETAILS, "")) - len("  ")
        more = self._left_out(number, room)
        behind = f"[dim]{escape(more)}[/]" if more else ""
        return [Facts([(name, escape(place) + (behind if name == DETAILS else "")) for name, place in self.places])]

    def _left_out(self, number: int, room: int) -> str:
        """What is not shown: the names of the facts from *number* on, or how many where these have no *room*."""
        names = [name for name, _ in self.answer.facts[number:]]
        caveats = counted(self.answer.caveats, "caveat") if self.answer.caveats else ""
        count = counted(len(names), f"more {self.rows or 'fact'}") if names else ""
        named = f"also {', '.join(dict.fromkeys(names))}" if names and not self.rows else count
        words = [f"  ({'; '.join(filter(None, (each, caveats)))})" for each in (named, count) if each or caveats]
        return next((each for each in words if len(each) <= room), words[-1] if words else "")
