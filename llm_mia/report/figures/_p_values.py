"""The p-values of the candidates, and how many to expect by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...decision import PValueCounts, p_value_counts
from ...records import SharedNames
from ..words import figures as words
from ._audited import Audited
from ._display import Display, Rows, Undrawable
from ._style import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PValuesDisplay", "p_values_display"]

NAME = "p_values"


@dataclass(frozen=True, slots=True, eq=False)
class PValuesDisplay:
    """A histogram of p-values."""

    counted: PValueCounts
    level: float | None
    """Of a false positive rate."""
    note: str
    description: str
    name: str = NAME
    title: str = words.TITLES[NAME]
    height: float = 3.0

    @property
    def table(self) -> Rows:
        """Counts of each bin."""
        counted = self.counted
        columns = (counted.edges[:-1], counted.edges[1:], counted.counts, counted.expected, *(counted.interval or ()))
        rows = [tuple(f"{value:.3g}" for value in row) for row in zip(*map(np.ndarray.tolist, columns), strict=True)]
        ends = ("95\u00a0% from", "to") if counted.interval else ()
        return (("p-value above", "up to", "Candidates", "Expected by chance", *ends), *rows)

    def draw(self, ax: Axes) -> None:
        """Draw the counts, and over them what chance gives."""
        counted, edges = self.counted, self.counted.edges
        ax.stairs(counted.counts, edges, fill=True, color=LIGHT["candidate"], alpha=0.45, label="candidates")
        if counted.interval is not None:
            low, high = counted.interval
            look: Any = {"color": LIGHT["baseline"], "alpha": 0.25, "linewidth": 0}
            ax.stairs(high, edges, baseline=low, fill=True, label="95\u00a0% of cases by chance", **look)
        ax.stairs(counted.counts, edges, color=LIGHT["candidate"], linewidth=1.2)
        ax.stairs(
            counted.expected, edges, baseline=None, color=LIGHT["ink"], linestyle="--", label="expected by chance"
        )
        if self.level is not None:
            label = f"flagged up to {self.level:g}"
            ax.axvline(self.level, color=LIGHT["threshold"], linestyle=":", linewidth=1.0, label=label)
        ax.set_xlim(0, 1)
        ax.set_ylim(0, None)
        ax.set_xlabel("p-value")
        ax.set_ylabel("candidates")
        ax.legend(loc="upper right")
        ax.set_title(self.note)


def p_values_display(audited: Audited) -> Display:
    """The p-values of an audit's candidates."""
    audit, calibration = audited.audit, audited.audit.calibration
    rows = audit.flags.rows_by_column
    p_values, documents = rows.p_values, SharedNames.of(rows.documents)
    scored = ~np.isnan(p_values)
    if not scored.any():
        return Undrawable(NAME, words.TITLES[NAME], words.NO_CANDIDATES)
    n, n_documents = calibration.n, calibration.n_documents if calibration.documents else None
    if calibration.categories:  # the grid of the smallest category, which is the coarsest
        n_documents = min(category.n_documents for category in calibration.categories.values())
    if not scored.all():  # of millions of candidates no copy
        p_values, documents = p_values[scored], documents.take(scored)
    counted = p_value_counts(p_values, documents, n, n_documents=n_documents)
    level = calibration.fpr if audited.rate_is_fpr else None
    description = words.p_values_words(audit, p_values, counted)
    return PValuesDisplay(counted, level, words.note_of(audit), description)
