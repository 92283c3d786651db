"""The sum over documents that the draw gave, among those that other draws would have given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...canary import CanaryResult, Histogram
from ..words import CANARY_TITLE, canary_figure_words
from ._display import Rows, drawn_on
from ._style import LIGHT
from ._svg import png_of, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CanaryDisplay", "canary", "write_canary_figure"]

NAME = "canary"


@dataclass(frozen=True, slots=True, eq=False)
class CanaryDisplay:
    """Bars for other draws, and a line for the draw."""

    null: Histogram
    observed: float
    description: str
    name: str = NAME
    title: str = CANARY_TITLE
    height: float = 2.6

    @property
    def table(self) -> Rows:
        """The intervals with at least a draw in them: at most 39, and the sum."""
        edges = self._edges()
        rows = [
            (f"{low:.2f}", f"{high:.2f}", f"{count:,}")
            for low, high, count in zip(edges, edges[1:], self.null.counts, strict=False)
            if count
        ]
        return (("Sum from", "to", "Other draws"), *rows[:38], (f"{self.observed:.2f}", "", "the draw"))

    def draw(self, ax: Axes) -> None:
        """Draw the histogram and the line."""
        edges = self._edges()
        ax.bar(
            edges[:-1],
            self.null.counts,
            width=np.diff(edges),
            align="edge",
            color=LIGHT["nonmember"],
            alpha=0.55,
            label="other draws",
        )
        ax.axvline(self.observed, color=LIGHT["member"], linewidth=2.0, label="the draw that was made")
        ax.set_xlabel("sum over documents: public variant less sealed ones, in spreads")
        ax.set_ylabel("draws")
        ax.set_ylim(0, 1.4 * max(self.null.counts))  # room for the legend above the bars
        ax.legend(loc="upper right" if self.observed < (self.null.low + self.null.high) / 2 else "upper left")

    def _edges(self) -> list[float]:
        return [*np.linspace(self.null.low, self.null.high, len(self.null.counts) + 1).tolist()]


def canary(result: CanaryResult, ax: Axes | None = None) -> Axes:
    """The sum over documents among those of other draws."""
    display = _display(result)
    return drawn_on(ax, display.draw, display.height)


def write_canary_figure(result: CanaryResult) -> list[Path]:
    """Write ``canary.svg`` and ``canary.png`` into the folder of *result*; returns the files."""
    display = _display(result)
    files = [result.path / f"{NAME}.svg", result.path / f"{NAME}.png"]
    files[0].write_text(svg_of(display, variables=False) + "\n", encoding="utf-8")
    files[1].write_bytes(png_of(display))
    return files


def _display(result: CanaryResult) -> CanaryDisplay:
    return CanaryDisplay(result.null, result.test.statistic, canary_figure_words(result))
