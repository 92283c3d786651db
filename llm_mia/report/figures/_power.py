"""How many flags to expect if a share of the candidates was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...decision import FlagsByShare, flags_by_share
from ..words import figures as words
from ._audited import Audited
from ._display import Display, Rows, Undrawable
from ._style import LIGHT
from ._ticks import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PowerDisplay", "power_display"]

NAME = "power"


@dataclass(frozen=True, slots=True, eq=False)
class PowerDisplay:
    """Expected flags by the share of the candidates that was trained on."""

    curve: FlagsByShare
    note: str
    description: str
    name: str = NAME
    title: str = words.TITLES[NAME]
    height: float = 3.2

    @property
    def table(self) -> Rows:
        """Expected flags by share."""
        columns = (self.curve.expected, self.curve.low, self.curve.high)
        rows = [
            (percent(share), *(f"{count:.1f}" for count in counts))
            for share, *counts in zip(self.curve.shares.tolist(), *map(np.ndarray.tolist, columns), strict=True)
        ]
        return (("Trained on", "Flags expected", "Expected at the lower power", "at the upper power"), *rows)

    def draw(self, ax: Axes) -> None:
        """Draw the curve with its band, and the counts that matter as horizontal lines."""
        from matplotlib.ticker import FuncFormatter

        curve = self.curve
        ax.fill_between(curve.shares, curve.low, curve.high, color=LIGHT["member"], alpha=0.2, linewidth=0)
        ax.plot(curve.shares, curve.expected, color=LIGHT["member"], label="flags expected")
        counted = f"counted by the finding: {curve.flagged:,}"
        # At the edge: a line across would invite to read off it the share that was trained on.
        place: Any = {"marker": ">", "markersize": 8, "linestyle": "none", "clip_on": False, "zorder": 5}
        ax.plot([0], [curve.flagged], color=LIGHT["candidate"], label=counted, **place)
        if curve.least is not None:
            label = f"fewest that are a finding: {curve.least:,}"
            ax.axhline(curve.least, color=LIGHT["threshold"], linestyle="--", linewidth=1.0, label=label)
        chance = f"by chance, at most: {words.count_words(curve.by_chance)}"
        ax.axhline(curve.by_chance, color=LIGHT["baseline"], linestyle=":", linewidth=1.3, label=chance)
        if curve.crossing is not None and curve.least is not None:
            ax.plot([curve.crossing.value], [curve.least], marker="o", color=LIGHT["threshold"], markersize=5)
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1.05 * max(float(curve.high.max()), curve.flagged, curve.least or 0, 1))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(share)))
        ax.set_xlabel("candidates that were trained on")
        ax.set_ylabel("flags")
        ax.legend(loc="upper left")
        ax.set_title(self.note)


def power_display(audited: Audited) -> Display:
    """The flags to expect in an audit with known members and a false positive rate."""
    audit = audited.audit
    if not audited.rate_is_fpr:
        return Undrawable(NAME, words.TITLES[NAME], words.NO_RATE)
    if audit.power is None:
        return Undrawable(NAME, words.TITLES[NAME], words.NO_MEMBERS)
    if audit.flags.rows_by_column.unscored == len(audit.flags.rows):
        return Undrawable(NAME, words.TITLES[NAME], words.NO_CANDIDATES)
    curve = flags_by_share(audit.flags, audit.power)
    return PowerDisplay(curve, words.note_of(audit), words.power_words(audit, curve))
