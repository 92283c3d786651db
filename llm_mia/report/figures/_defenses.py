"""Leakage against utility: what each defence buys, and what it costs."""

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
    from matplotlib.axes import Axes

__all__ = ["DefensesDisplay", "defenses", "write_defenses_figure"]

NAME, LISTED = "defences", 40
NOTHING = "There is no such figure, because no attack can be computed on any model or output."
MARKERS = "osv^<>DPXp*hd"
LONGEST_AXIS = 3.0
"""Ratio of perplexities from which the axis is logarithmic."""


@dataclass(frozen=True, slots=True, eq=False)
class DefensesDisplay:
    """A point with two intervals for each defence; a defence of the outputs has the perplexity of its model."""

    rows: Sequence[tuple[str, Interval, Interval, bool]]
    """Name, AUROC and perplexity, and whether only outputs are defended; the model without defence first."""
    description: str
    name: str = NAME
    title: str = DEFENSES_TITLE

    @property
    def height(self) -> float:
        """In inches, by the lines of the legend."""
        return 3.0 + 0.17 * math.ceil(len(self.rows) / 2)

    @property
    def table(self) -> Rows:
        """AUROC and perplexity, with their intervals."""
        rows = [
            (name, *(f"{each:.3f}" for each in _ends(auroc)), *(f"{each:.2f}" for each in _ends(perplexity)))
            for name, auroc, perplexity, _ in self.rows[:LISTED]
        ]
        return (("Defence", "AUROC", "95\u00a0% from", "to", "Perplexity", "95\u00a0% from", "to"), *rows)

    def draw(self, ax: Axes) -> None:
        """Draw a point for each defence; what changes only outputs is open, and without defence is a black diamond."""
        for place, (name, auroc, perplexity, outputs) in enumerate(self.rows):
            colour = LIGHT["threshold"] if place == 0 else LIGHT["nonmember"] if outputs else LIGHT["member"]
            ax.errorbar(
                [perplexity.value],
                [auroc.value],
                xerr=_arms(perplexity),
                yerr=_arms(auroc),
                color=colour,
                marker="D" if place == 0 else MARKERS[place % len(MARKERS)],
                markersize=6 if place == 0 else 5,
                markerfacecolor=LIGHT["paper"] if outputs else colour,
                elinewidth=0.8,
                capsize=2,
                linestyle="none",
                label="without defence" if place == 0 else name,
            )
        ax.axhline(0.5, color=LIGHT["threshold"], linestyle=":", linewidth=1.1)
        values = [perplexity.value for _, _, perplexity, _ in self.rows]
        if max(values) > LONGEST_AXIS * min(values):
            ax.set_xscale("log")
        ax.set_ylim(min(0.4, *(auroc.low for _, auroc, _, _ in self.rows)) - 0.02, 1.02)
        ax.set_xlabel("perplexity of held-out texts (lower is better)")
        ax.set_ylabel("AUROC of the strongest attack")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=7)


def defenses(result: Defenses, ax: Axes | None = None) -> Axes:
    """What leaks against the perplexity of held-out texts, a point for each defence."""
    display = defenses_display(result)
    return drawn_on(ax, display.draw, display.height)


def defenses_display(result: Defenses) -> Display:
    """The points of the defences on which an attack can be computed."""
    rows = [point for row in result.rows if (point := _point(row)) is not None]
    if result.baseline.leakage is None:
        return Undrawable(NAME, DEFENSES_TITLE, NOTHING)
    return DefensesDisplay(rows, defenses_figure_words(result, [name for name, *_ in rows]))


def write_defenses_figure(result: Defenses) -> list[Path]:
    """Write ``defences.svg`` and ``defences.png`` into the folder of *result*; returns the files, if any."""
    display = defenses_display(result)
    if not display.height:
        return []
    files = [result.path / f"{NAME}.svg", result.path / f"{NAME}.png"]
    files[0].write_text(svg_of(display, variables=False) + "\n", encoding="utf-8")
    files[1].write_bytes(png_of(display))
    return files


def _point(row: Defended) -> tuple[str, Interval, Interval, bool] | None:
    if row.leakage is None:
        return None
    return row.name, row.leakage.auroc, row.utility.perplexity, row.outputs and not row.trained


def _ends(figure: Interval) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high


def _arms(figure: Interval) -> list[list[float]]:
    """The lengths of the two halves of an interval."""
    return [[max(0.0, figure.value - figure.low)], [max(0.0, figure.high - figure.value)]]
