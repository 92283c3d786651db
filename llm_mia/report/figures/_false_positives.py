"""Realised against promised false positive rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...auditing import Control
from ...decision import RealisedRates, realised_rates
from ..words import figures as words
from ._audited import Audited
from ._display import Display, Rows, Undrawable
from ._style import LIGHT
from ._ticks import log_rates, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FalsePositivesDisplay", "false_positives_display"]

NAME = "false_positives"


@dataclass(frozen=True, slots=True, eq=False)
class FalsePositivesDisplay:
    """The rates of random halves of the non-members, and of sealed non-members where there are any."""

    realised: RealisedRates
    control: Control | None
    fpr: float
    note: str
    description: str
    name: str = NAME
    title: str = words.TITLES[NAME]
    height: float = 3.3

    @property
    def table(self) -> Rows:
        """The realised rates by promised rate."""
        columns = (self.realised.promised, self.realised.mean, self.realised.low, self.realised.high)
        rows = [tuple(map(percent, row)) for row in zip(*map(np.ndarray.tolist, columns), strict=True)]
        header = ("Promised", "Realised on average", "5\u00a0% of the halves below", "5\u00a0% of the halves above")
        if self.control is not None:
            rate = self.control.rate
            sealed = map(percent, (rate.value, rate.low, rate.high))
            rows.append((f"{percent(self.control.requested)} (sealed non-members, 95\u00a0% interval)", *sealed))
        return (header, *rows)

    def draw(self, ax: Axes) -> None:
        """Draw the mean with its band; a rate of 0 lies on the lower edge."""
        promised = self.realised.promised
        left = 0.8 * min(float(promised[0]), self.fpr)
        low = left / 3
        log_rates(ax, left, low)
        bottom, top = (np.maximum(each, low) for each in (self.realised.low, self.realised.high))
        ax.fill_between(
            promised, bottom, top, color=LIGHT["nonmember"], alpha=0.2, linewidth=0, label="90\u00a0% of the halves"
        )
        mean = np.maximum(self.realised.mean, low)
        ax.plot(promised, mean, color=LIGHT["nonmember"], marker="o", markersize=3.5, label="on average")
        ax.plot([left, 1], [left, 1], color=LIGHT["ink"], linewidth=0.7, linestyle="--", label="as promised")
        if self.control is not None:
            rate = self.control.rate
            value, least = max(rate.value, low), max(rate.low, low)
            ax.errorbar(
                [self.control.requested],
                [value],
                yerr=[[value - least], [max(0.0, rate.high - value)]],
                color=LIGHT["member"],
                marker="D",
                markersize=5,
                capsize=3,
                linestyle="none",
                label="sealed non-members",
            )
        here = f"of this audit: {percent(self.fpr)}"
        ax.axvline(self.fpr, color=LIGHT["threshold"], linestyle=":", linewidth=0.9, label=here)
        ax.set_xlabel("promised false positive rate")
        ax.set_ylabel("realised false positive rate")
        ax.legend(loc="lower right")
        ax.set_title(self.note)


def false_positives_display(audited: Audited) -> Display:
    """The realised rates of an audit."""
    audit = audited.audit
    realised = realised_rates(audit.calibration)
    if realised is None:
        return Undrawable(NAME, words.TITLES[NAME], words.FEW_FOR_HALVES)
    description = words.false_positives_words(audit, realised)
    return FalsePositivesDisplay(realised, audit.control, audit.calibration.fpr, words.note_of(audit), description)
