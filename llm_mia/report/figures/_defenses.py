"""Leakage against utility: how much each defence helps, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...defenses import Defended, Defenses
from ...records import Interval
from ..words import DEFENSES_TITLE, defenses_figure_words
from ._display import Display, Rows, Undrawable, drawn_on
from ._style import LIGHT
from ._svg import png_of, svg_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["DefensesDisplay", "defenses", "write_defenses_figure"]

NAME, LISTED = "defences", 40
NOTHING = "There is no such figure, because no attack can be computed on any model or output."
MARKERS = "osv^<>DPXp*hd"
STRIP_OF_EACH, WIDEST_STRIP = 0.055, 0.45
"""The share of the axis for each defence of the outputs, and the largest share for all of them."""
OUTPUTS_ALONE = "outputs alone:\nperplexity as\nwithout defence"
LONGEST_AXIS = 3.0
"""Ratio of perplexities from which the axis is logarithmic."""


@dataclass(frozen=True, slots=True, eq=False)
class DefensePoint:
    """What the figure shows of a defence."""

    name: str
    auroc: Interval
    perplexity: Interval
    outputs: bool
    """Whether only outputs are defended."""


@dataclass(frozen=True, slots=True, eq=False)
class DefensesDisplay:
    """A point with its intervals for each defence.

    A defence of the outputs has the perplexity of its model, so it is drawn in a separate strip at the left.
    """

    rows: Sequence[DefensePoint]
    """The model without defence first."""
    description: str
    name: str = NAME
    title: str = DEFENSES_TITLE

    @property
    def height(self) -> float:
        """In inches, by the lines of the legend."""
        return 3.1 + 0.17 * math.ceil(len(self.rows) / 2)

    @property
    def table(self) -> Rows:
        """AUROC and perplexity, with their intervals."""
        rows = [
            (
                each.name,
                *(f"{end:.3f}" for end in _ends(each.auroc)),
                *(f"{end:.2f}" for end in _ends(each.perplexity)),
            )
            for each in self.rows[:LISTED]
        ]
        return (("Defence", "AUROC", "95\u00a0% from", "to", "Perplexity", "95\u00a0% from", "to"), *rows)

    def draw(self, ax: Axes) -> None:
        """Draw a point for each defence; what changes only outputs is open, and without defence is a black diamond."""
        aside = [each for each in self.rows if each.outputs]
        handles = []
        for place, each in enumerate(self.rows):
            number = 1 + aside.index(each) if each.outputs else 0
            handles.append(self._point(ax, place, (number / (len(aside) + 1) * self.strip) if number else None))
        values = [each.perplexity.value for each in self.rows]
        if max(values) > LONGEST_AXIS * min(values):
            ax.set_xscale("log")
        if aside:
            self._set_aside(ax)
        ax.axhline(0.5, color=LIGHT["threshold"], linestyle=":", linewidth=1.1)
        ax.set_ylim(min(0.4, *(each.auroc.low for each in self.rows)) - 0.02, 1.02)
        ax.set_xlabel("perplexity of held-out texts (lower is better)")
        ax.set_ylabel("AUROC of the strongest attack\n(0.5: guessing)")
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=7)

    @property
    def strip(self) -> float:
        """The share of the axis for the defences of the outputs."""
        aside = sum(each.outputs for each in self.rows)
        return min(WIDEST_STRIP, STRIP_OF_EACH * (aside + 1)) if aside else 0.0

    def _point(self, ax: Axes, place: int, at: float | None) -> Artist:
        """Draw a defence at its perplexity, or at a share *at* of the axis; returns the marker."""
        each = self.rows[place]
        colour = LIGHT["threshold"] if place == 0 else LIGHT["nonmember"] if each.outputs else LIGHT["member"]
        bars = ax.errorbar(
            [each.perplexity.value if at is None else at],
            [each.auroc.value],
            xerr=_arms(each.perplexity) if at is None else None,
            yerr=_arms(each.auroc),
            color=colour,
            marker="D" if place == 0 else MARKERS[place % len(MARKERS)],
            markersize=5,
            markerfacecolor=LIGHT["paper"] if each.outputs else colour,
            elinewidth=0.8,
            capsize=2,
            linestyle="none",
            transform=ax.transData if at is None else ax.get_yaxis_transform(),
        )
        bars[0].set_label("without defence" if place == 0 else each.name)
        marker: Artist = bars[0]
        return marker

    def _set_aside(self, ax: Axes) -> None:
        """Leave the left of the axis to the defences of the outputs, which have the perplexity of their model."""
        from matplotlib.patches import Rectangle
        from matplotlib.ticker import FixedLocator, NullLocator

        scale = ax.xaxis.get_transform()
        low, high = ax.get_xlim()
        start, end = scale.transform([low, high])
        ticks = [tick for tick in ax.xaxis.get_major_locator().tick_values(low, high) if low <= tick <= high]
        minor = [tick for tick in ax.xaxis.get_minor_locator().tick_values(low, high) if low <= tick <= high]
        ax.set_xlim(float(scale.inverted().transform([start - (end - start) * self.strip / (1 - self.strip)])[0]), high)
        ax.xaxis.set_major_locator(FixedLocator(ticks) if ticks else NullLocator())
        ax.xaxis.set_minor_locator(FixedLocator(minor) if minor else NullLocator())
        ax.add_patch(
            Rectangle((0, 0), self.strip, 1, transform=ax.transAxes, color=LIGHT["grid"], alpha=0.35, zorder=0)
        )
        ax.text(self.strip / 2, 0.02, OUTPUTS_ALONE, transform=ax.transAxes, ha="center", va="bottom", fontsize=7)


def defenses(result: Defenses, ax: Axes | None = None) -> Axes:
    """What leaks against the perplexity of held-out texts, a point for each defence."""
    display = defenses_display(result)
    return drawn_on(ax, display.draw, display.height)


def defenses_display(result: Defenses) -> Display:
    """The points of the defences on which an attack can be computed."""
    rows = [point for row in result.rows if (point := _point(row)) is not None]
    if result.baseline.leakage is None:
        return Undrawable(NAME, DEFENSES_TITLE, NOTHING)
    return DefensesDisplay(rows, defenses_figure_words(result, [each.name for each in rows]))


def write_defenses_figure(result: Defenses) -> list[Path]:
    """Write ``defences.svg`` and ``defences.png`` into the folder of *result*; returns the files, if any."""
    display = defenses_display(result)
    if not display.height:
        return []
    files = [result.path / f"{NAME}.svg", result.path / f"{NAME}.png"]
    files[0].write_text(svg_of(display, variables=False) + "\n", encoding="utf-8")
    files[1].write_bytes(png_of(display))
    return files


def _point(row: Defended) -> DefensePoint | None:
    if row.leakage is None:
        return None
    return DefensePoint(row.name, row.leakage.auroc, row.utility.perplexity, row.outputs and not row.trained)


def _ends(figure: Interval) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high


def _arms(figure: Interval) -> list[list[float]]:
    """The lengths of the two halves of an interval."""
    return [[max(0.0, figure.value - figure.low)], [max(0.0, figure.high - figure.value)]]
