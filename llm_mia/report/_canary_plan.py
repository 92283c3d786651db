"""The plan of canaries, on a screen, in tables and for machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..canary import CanaryPlan
from ..records import SCHEMA_VERSION, Interval
from ._cells import escape
from ._first_screen import places_of
from ._layout import Bullet, Column, Facts, Listing, Prose
from ._plain import plain
from .words import (
    PLAN_RESERVE,
    plan_advice,
    plan_headline,
    plan_measured,
    plan_notes,
    power_words,
    seen_words,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["plan_details", "plan_screen", "plan_summary"]

FILES = ("plan.json", "plan.png")


def plan_screen(plan: CanaryPlan, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer on a single screen; *spell* rewrites the parameters that sentences name between backticks."""
    from rich.console import Group

    return Group(*_answer(plan, spell), Facts(places_of(plan.path, FILES)))


def plan_details(plan: CanaryPlan, spell: Callable[[str], str] = str) -> RenderableType:
    """The answer, the effect by attack and number of repeats, and the notes."""
    from rich.console import Group

    table = Listing(
        [
            Column("attack", "names"),
            Column("seen", "names"),
            Column("documents"),
            Column("effect, spreads\n(95 % interval)"),
            Column(f"documents for a power\nof {100 * plan.design.goal:g} %"),
        ],
        "What the pilots measured",
    )
    for row in plan.effects:
        table.add(
            row.attack, seen_words(row.repeats), f"{row.documents}", _effect(row.effect), _number_with_ends(row.needed)
        )
    bullets = [Bullet(f"[dim]{escape(spell(note))}[/]") for note in plan_notes(plan)]
    return Group(*_answer(plan, spell), "", table, "[dim]Notes[/]", *bullets, "", escape(str(plan.path)))


def plan_summary(plan: CanaryPlan) -> dict[str, Any]:
    """Every figure for machines, and the answer in words; a number that is infinite is null."""
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: plain(value) for name, value in asdict(plan).items()},
        "power": plain(asdict(plan.power)),
        "needed": plain(asdict(plan.needed)),
        "enough": plan.enough,
        "surely_enough": plan.surely_enough,
        "answer_sentences": [plan_headline(plan), plan_advice(plan), plan_measured(plan), PLAN_RESERVE],
        "note_sentences": plan_notes(plan),
    }


def _answer(plan: CanaryPlan, spell: Callable[[str], str]) -> Iterator[RenderableType]:
    colour = "green" if plan.surely_enough else "yellow" if plan.enough else "red"
    yield Prose(f"[bold {colour}]{escape(plan_headline(plan))}[/]")
    yield Prose(escape(spell(plan_advice(plan))))
    yield _table(plan)
    yield Prose("[dim]Power in % [95 % interval] by number of documents; effect in spreads.[/]")
    yield Prose(escape(plan_measured(plan)))
    yield Prose(escape(PLAN_RESERVE))


def _table(plan: CanaryPlan) -> RenderableType:
    """A row for each number of repeats, a column for each of some numbers of documents."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    numbers = plan.shown
    table.add_column("seen")
    for title in ("effect", *(f"{number:,}" for number in numbers)):
        table.add_column(title, justify="right", no_wrap=True)
    for row in plan.effects[: len(plan.settings.repeats)]:
        asked = row.repeats == plan.design.repeats
        cells = [power_words(plan.power_of(row.repeats, number)) for number in numbers]
        marked = [
            f"[bold]{cell}[/]" if asked and number == plan.design.documents else cell
            for cell, number in zip(map(escape, cells), numbers, strict=True)
        ]
        table.add_row(seen_words(row.repeats), _signed(row.effect.value), *marked)
    return table


def _effect(effect: Interval) -> str:
    return f"{_signed(effect.value)} [dim]{_signed(effect.low)} to {_signed(effect.high)}[/]"


def _number_with_ends(needed: Interval) -> str:
    value, low, high = ("–" if math.isinf(each) else f"{each:,.0f}" for each in (needed.value, needed.low, needed.high))
    return f"{value} [dim]{low} to {high}[/]"


def _signed(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")
