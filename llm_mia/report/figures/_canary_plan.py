"""The power of canaries that are planned, against the number of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...canary import CanaryPlan, PlannedPower
from ..words import PLAN_TITLE, plan_figure_words, power_words, seen_words
from ._display import Rows, drawn_on
from ._style import LIGHT
from ._svg import png_of, svg_of
from ._ticks import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PlanDisplay", "canary_plan", "write_plan_figure"]

NAME = "plan"
COLOURS = ("member", "nonmember", "candidate", "reference", "baseline")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class PlanDisplay:
    """A line with its band for each number of repeats, and a marker for the design."""

    powers: Sequence[PlannedPower]
    design: PlannedPower
    goal: float
    level: float
    description: str
    name: str = NAME
    title: str = PLAN_TITLE
    height: float = 3.4

    @property
    def table(self) -> Rows:
        """The design, and then each number of repeats, with some numbers of documents: at most 40 rows."""
        rows = [
            (seen_words(each.repeats), f"{each.documents:,}", power_words(each.power, " %"))
            for each in (self.design, *self.powers)
        ]
        step = -(-len(rows) // 40)
        return (("Seen", "Documents", "Power (95 % interval)"), *rows[::step])

    def draw(self, ax: Axes) -> None:
        """Draw the lines, the wanted power and the design."""
        from matplotlib.ticker import FuncFormatter, NullFormatter

        for at, repeats in enumerate(dict.fromkeys(each.repeats for each in self.powers)):
            line = sorted((each for each in self.powers if each.repeats == repeats), key=lambda each: each.documents)
            numbers, colour = [each.documents for each in line], LIGHT[COLOURS[at % len(COLOURS)]]
            low, high = [each.power.low for each in line], [each.power.high for each in line]
            ax.fill_between(numbers, low, high, color=colour, alpha=0.15, linewidth=0)
            style = STYLES[at % len(STYLES)]
            values = [each.power.value for each in line]
            ax.plot(numbers, values, color=colour, linestyle=style, label=f"seen {seen_words(repeats)}")
        ax.plot(
            [self.design.documents],
            [self.design.power.value],
            marker="D",
            linestyle="none",
            color=LIGHT["threshold"],
            label=f"the design: {self.design.documents:,} documents",
            clip_on=False,
            zorder=5,
        )
        ax.axhline(self.goal, color=LIGHT["threshold"], linestyle=":", linewidth=1.0)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share)))
        ax.set_ylim(0, 1.02)
        ax.set_xlabel("documents")
        ax.set_ylabel(f"power at p ≤ {self.level:g}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7)


def canary_plan(plan: CanaryPlan, ax: Axes | None = None) -> Axes:
    """The power by the number of documents, a line for each number of repeats, with the design."""
    display = _display(plan)
    return drawn_on(ax, display.draw, display.height)


def write_plan_figure(plan: CanaryPlan) -> list[Path]:
    """Write ``plan.svg`` and ``plan.png`` into the folder of *plan*; returns the files."""
    display = _display(plan)
    files = [plan.path / f"{NAME}.svg", plan.path / f"{NAME}.png"]
    files[0].write_text(svg_of(display, variables=False) + "\n", encoding="utf-8")
    files[1].write_bytes(png_of(display))
    return files


def _display(plan: CanaryPlan) -> PlanDisplay:
    design = plan.design
    asked = next(each for each in plan.powers if (each.repeats, each.documents) == (design.repeats, design.documents))
    return PlanDisplay(plan.powers, asked, design.goal, design.level, plan_figure_words(plan))
