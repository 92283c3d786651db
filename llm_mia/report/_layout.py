"""Rows of figures and names, laid out for any width from 40 columns; no figure and no name is ever shortened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .words import NO_BREAK, unbroken

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

__all__ = ["Bullet", "Column", "Facts", "Listing", "Prose"]

LEAST_NAMES, LEAST_WORDS = 16, 32
"""Columns of the screen that a column of names, or of sentences, needs at least, unless all of them are shorter."""
DIM = " [dim]"
JOINED = "\ue000"
"""In the place of a no-break space while lines are wrapped, because rich breaks lines at that space, too."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a `Listing`. Figures are never broken; names and sentences wrap."""

    title: str
    """May hold line ends."""
    holds: str = "figures"
    """``figures``, ``names`` or ``sentences``."""
    narrow_title: str = ""
    """The title where a screen is too narrow for the usual layout; empty: `title`."""


@dataclass
class Listing:
    """Rows below titles, as a table where it fits the width of the screen, else as a block of lines for each row.

    A table that is too wide is tried once more with each interval below its figure. The first column names the row.
    """

    columns: Sequence[Column]
    title: str = ""
    rows: list[tuple[Sequence[str], str]] = field(default_factory=list)
    """The cells, in markup, and the style of each row."""

    def add(self, *cells: str, style: str = "") -> None:
        """Add a row."""
        self.rows.append((cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.title:
            yield f"[bold]{self.title}[/]"
        wide = self._table(console, options.max_width, [column.title for column in self.columns], lambda cell: cell)
        if wide is not None:
            yield wide
            return
        titles = [column.narrow_title or column.title for column in self.columns]
        narrow = self._table(console, options.max_width, titles, _in_lines)
        if narrow is not None:
            yield narrow
            return
        for cells, style in self.rows:
            yield from self._block(cells, style)

    def _table(
        self, console: Console, width: int, titles: Sequence[str], changed: Callable[[str], str]
    ) -> Table | None:
        """The table; None where it does not fit *width*."""
        from rich import box
        from rich.table import Table

        rows = [
            [
                cell if column.holds == "sentences" else changed(cell)
                for column, cell in zip(self.columns, cells, strict=True)
            ]
            for cells, _ in self.rows
        ]
        longest = [max(_width(console, cell) for cell in cells) for cells in zip(titles, *rows, strict=True)]
        widths = _shared_out([column.holds for column in self.columns], longest, width - 3 * len(titles))
        if widths is None:
            return None
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column, title, of_column in zip(self.columns, titles, widths, strict=True):
            side: Literal["left", "right"] = "right" if column.holds == "figures" else "left"
            table.add_column(title, justify=side, width=of_column, overflow="fold")
        for cells, (_, style) in zip(rows, self.rows, strict=True):
            table.add_row(*cells, style=style)
        return table

    def _block(self, cells: Sequence[str], style: str) -> Iterator[RenderableType]:
        """A row as lines: its name, and then each other cell with its title."""
        from rich.padding import Padding
        from rich.styled import Styled

        yield Styled(cells[0], style)
        for column, cell in zip(self.columns[1:], cells[1:], strict=True):
            if not cell:
                continue
            title = " ".join(column.title.split())
            yield Styled(Padding(f"[dim]{title}:[/] {cell}", (0, 0, 0, 2)), style)
        yield ""


@dataclass(frozen=True)
class Prose:
    """A sentence in markup, which no figure, sign or unit leaves at a line end: `unbroken` says which belong together.

    The lines hold plain spaces, so that what is copied from a screen has no other.
    """

    markup: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for line in self._joined(console).wrap(console, options.max_width, overflow="fold"):
            line.plain = line.plain.replace(JOINED, " ")
            yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement.get(console, options, self._joined(console))

    def height(self, console: Console, width: int) -> int:
        """The lines that it takes at this *width*."""
        return len(self._joined(console).wrap(console, width, overflow="fold"))

    def _joined(self, console: Console) -> Text:
        """The text, where the spaces that no line may end at are characters that rich does not break at."""
        text = console.render_str(self.markup)
        text.plain = unbroken(text.plain).replace(NO_BREAK, JOINED)
        return text


@dataclass(frozen=True)
class Bullet:
    """A sentence in markup, as an entry of a list."""

    markup: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Facts([("•", self.markup)], indent=2, gap=1)


@dataclass(frozen=True)
class Facts:
    """Names with what belongs to them, a line or more for each; long texts wrap."""

    rows: Sequence[tuple[str, str]]
    """In markup."""
    indent: int = 0
    """Columns before the names."""
    gap: int = 2
    """Columns between a name and what belongs to it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.padding import Padding
        from rich.table import Table

        table = Table.grid(padding=(0, self.gap))
        table.add_column(width=self._names(console), no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for name, text in self.rows:
            table.add_row(name, Prose(text))
        yield Padding(table, (0, 0, 0, self.indent))

    def heights(self, console: Console, width: int) -> list[int]:
        """The lines that each row takes at this *width*."""
        left = width - self.indent - self._names(console) - self.gap
        return [Prose(text).height(console, left) for _, text in self.rows]

    def _names(self, console: Console) -> int:
        """Columns of the screen that the longest name takes."""
        return max((_width(console, name) for name, _ in self.rows), default=0)


def _in_lines(cell: str) -> str:
    r"""*cell* with an interval below its figure, and the settings of an attack below its name.

    >>> _in_lines("camia:signal=below_previous"), _in_lines("0.98 [dim]0.9–1[/]")
    ('camia:\nsignal=below_previous', '0.98\n[dim]0.9–1[/]')
    """
    return re.sub(r"(?<=\w):(?=\w+=)", ":\n", cell.replace(DIM, f"\n{DIM[1:]}"))


def _shared_out(kinds: Sequence[str], longest: Sequence[int], width: int) -> list[int] | None:
    """The width of each column, of *width* in all; None where it is too small.

    >>> _shared_out(["names", "figures", "sentences"], [30, 9, 200], 100)
    [30, 9, 61]
    >>> _shared_out(["names", "figures", "sentences"], [30, 9, 200], 60)
    [19, 9, 32]
    >>> _shared_out(["names", "figures", "sentences"], [30, 9, 200], 50) is None
    True
    """
    least = {"figures": None, "names": LEAST_NAMES, "sentences": LEAST_WORDS}
    widths = [
        size if (floor := least[kind]) is None else min(size, floor) for kind, size in zip(kinds, longest, strict=True)
    ]
    left = width - sum(widths)
    if left < 0:
        return None
    for at in sorted(range(len(kinds)), key=lambda at: kinds[at] == "sentences"):
        more = min(left, longest[at] - widths[at])
        widths[at] += more
        left -= more
    return widths


def _width(console: Console, cell: str) -> int:
    """Columns of the screen that the longest line of *cell* takes."""
    text: Text = console.render_str(cell)
    return max((line.cell_len for line in text.split()), default=0)
