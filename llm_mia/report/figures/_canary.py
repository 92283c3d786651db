"""The sum over documents that a test of published texts gave, among those that chance would have given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...canary import CanaryResult, ControlTest, Histogram, PairedResult, reflipped, resplit
from ..words import CANARY_TITLE, CONTROL_TITLE, PAIRED_TITLE, canary_figure_words, paired_figure_words
from ._display import Figure, Rows, drawn_on
from ._style import LIGHT
from ._svg import figure_of, png_of, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "SumDisplay",
    "canary",
    "paired",
    "published_figures",
    "write_canary_figure",
    "write_paired_figure",
]

ROOM = 1.4
"""Height of the axes, in heights of the highest bar: room for the legend above the bars."""


@dataclass(frozen=True, slots=True, eq=False)
class SumDisplay:
    """Bars for the sums that chance gives, and a line for the sum of the test."""

    name: str
    title: str
    description: str
    null: Histogram
    observed: float
    x_label: str
    """What the axis of sums shows."""
    y_label: str
    """What is counted."""
    bars_label: str
    line_label: str
    height: float = 2.6

    @property
    def table(self) -> Rows:
        """The intervals with a count: at most 39, and the sum."""
        edges, digits = self._edges(), 2 if self.null.high - self.null.low > 2 else 4
        rows = [
            (f"{low:.{digits}f}", f"{high:.{digits}f}", f"{count:,}")
            for low, high, count in zip(edges, edges[1:], self.null.counts, strict=False)
            if count
        ]
        return (
            ("Sum from", "to", self.bars_label.capitalize()),
            *rows[:38],
            (f"{self.observed:.{digits}f}", "", self.line_label),
        )

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
            label=self.bars_label,
        )
        ax.axvline(self.observed, color=LIGHT["member"], linewidth=2.0, label=self.line_label)
        ax.set_xlabel(self.x_label)
        ax.set_ylabel(self.y_label)
        ax.set_ylim(0, ROOM * max(self.null.counts))
        ax.legend(loc="upper right" if self.observed < (self.null.low + self.null.high) / 2 else "upper left")

    def _edges(self) -> list[float]:
        return [*np.linspace(self.null.low, self.null.high, len(self.null.counts) + 1).tolist()]


def canary(result: CanaryResult, ax: Axes | None = None) -> Axes:
    """The sum over documents among those of other draws."""
    display = _of_canary(result)
    return drawn_on(ax, display.draw, display.height)


def paired(result: PairedResult, ax: Axes | None = None) -> Axes:
    """The sum over documents among those of other signs, or with a control set the difference among other splits."""
    display = _of_paired(result)
    return drawn_on(ax, display.draw, display.height)


def published_figures(canary: CanaryResult | None, paired: PairedResult | None) -> list[Figure]:
    """The figures of the tests that there are, for a page."""
    displays = [
        *([] if canary is None else [_of_canary(canary)]),
        *([] if paired is None else [_of_paired(paired)]),
    ]
    return [*map(figure_of, displays)]


def write_canary_figure(result: CanaryResult) -> list[Path]:
    """Write ``canary.svg`` and ``canary.png`` into the folder of *result*; returns the files."""
    return _written(_of_canary(result), result.path)


def write_paired_figure(result: PairedResult) -> list[Path]:
    """Write ``paired.svg`` and ``paired.png`` into the folder of *result*; returns the files."""
    return _written(_of_paired(result), result.path)


def _written(display: SumDisplay, folder: Path) -> list[Path]:
    files = [folder / f"{display.name}.svg", folder / f"{display.name}.png"]
    files[0].write_text(svg_of(display, variables=False) + "\n", encoding="utf-8")
    files[1].write_bytes(png_of(display))
    return files


def _of_canary(result: CanaryResult) -> SumDisplay:
    return SumDisplay(
        name="canary",
        title=CANARY_TITLE,
        description=canary_figure_words(result),
        null=result.null,
        observed=result.test.statistic,
        x_label="sum over documents: public variant less sealed ones, in spreads",
        y_label="draws",
        bars_label="other draws",
        line_label="the draw that was made",
    )


def _of_paired(result: PairedResult) -> SumDisplay:
    if result.control is not None:
        return _of_control(result, result.control)
    null = reflipped([row.difference for row in result.rows])
    return SumDisplay(
        name="paired",
        title=PAIRED_TITLE,
        description=paired_figure_words(result, sum(null.counts)),
        null=null,
        observed=result.test.statistic,
        x_label=f"sum over documents: model less placebo, nats per {result.per}",
        y_label="choices of signs",
        bars_label="random signs",
        line_label="the documents as they are",
    )


def _of_control(result: PairedResult, control: ControlTest) -> SumDisplay:
    null = resplit([row.difference for row in result.rows], [row.difference for row in control.rows])
    return SumDisplay(
        name="paired",
        title=CONTROL_TITLE,
        description=paired_figure_words(result, sum(null.counts)),
        null=null,
        observed=control.test.statistic,
        x_label=f"mean, published less control documents: nats per {result.per}",
        y_label="splits",
        bars_label="random splits",
        line_label="the documents as they are",
    )
