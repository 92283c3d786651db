"""What a figure is before it is drawn, and how it gets its axes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ._style import STYLE, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Display", "Figure", "Rows", "Undrawable", "drawn_on", "new_axes"]

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the report page."""

    name: str
    """Stable: the stem of its files, and the beginning of every id in its SVG."""
    title: str
    description: str
    """What it shows, in sentences; or why it cannot be drawn."""
    svg: str
    """An element ``<svg>``; empty where the figure cannot be drawn."""
    table: Rows
    """The data, thinned: a header, then at most 40 rows."""


class Display(Protocol):
    """All that a figure shows, computed; it draws itself and computes nothing."""

    @property
    def name(self) -> str:
        """The stem of its files."""

    @property
    def title(self) -> str:
        """What it shows, in a few words."""

    @property
    def description(self) -> str:
        """What it shows, in sentences."""

    @property
    def height(self) -> float:
        """Of the drawing in inches; 0 where it cannot be drawn."""

    @property
    def table(self) -> Rows:
        """A header, then at most 40 rows."""

    def draw(self, ax: Axes) -> None:
        """Draw it."""


@dataclass(frozen=True, slots=True)
class Undrawable:
    """A figure whose data the audit does not hold; it says why."""

    name: str
    title: str
    description: str
    height: float = 0.0
    table: Rows = ()

    def draw(self, ax: Axes) -> None:
        """Write the reason in place of a drawing."""
        import textwrap

        ax.set_axis_off()
        ax.text(0.5, 0.5, textwrap.fill(self.description, 48), ha="center", va="center", transform=ax.transAxes)


@contextmanager
def new_axes(height: float) -> Iterator[Axes]:
    """Axes of a new figure in the style of the report; what is drawn within has that style, too."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    style: Any = dict(STYLE)  # matplotlib types the names of its settings as literals
    with mpl.rc_context(style), warnings.catch_warnings():
        # A document may be called 海.txt: its name is text in the SVG, which the reader's own fonts show.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield Canvas(figsize=(WIDTH, height), layout="constrained").add_subplot()


def drawn_on(ax: Axes | None, draw: Callable[[Axes], None], height: float) -> Axes:
    """*ax* after *draw* has drawn on it; None: axes of a new figure."""
    if ax is not None:
        draw(ax)
        return ax
    with new_axes(height or 1.5) as axes:
        draw(axes)
    return axes


def thinned(rows: Sequence[tuple[str, ...]], most: int = 40) -> Rows:
    """At most *most* of the rows, evenly spread, the first and the last among them."""
    if len(rows) <= most:
        return tuple(rows)
    step = (len(rows) - 1) / (most - 1)
    return tuple(rows[round(number * step)] for number in range(most))
