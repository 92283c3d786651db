"""The ROC of the attack that decides, with its band, and those of the blind baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...decision import labelled_scores
from ...errors import ScoresError
from ...metrics import RocPoints, roc_points, tpr_at_fprs
from ...records import Interval
from ..words import figures as words
from ._audited import Audited, Floats
from ._display import Display, Rows, Undrawable
from ._style import LIGHT
from ._ticks import log_rates, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RocDisplay", "roc_display"]

NAME = "roc"
POINTS = 36
STYLES = {"blind_words_auroc": (":", "words"), "blind_counts_auroc": ("-.", "counts")}


@dataclass(frozen=True, slots=True, eq=False)
class RocDisplay:
    """The curves, on logarithmic axes."""

    attack: str
    points: RocPoints
    rates: Floats
    band: list[Interval]
    baselines: Mapping[str, RocPoints]
    """By name of the check."""
    fpr: float
    used: tuple[float, float] | None
    """Shares of non-members and members above the threshold that decides; None where there is no single threshold."""
    left: float
    low: float
    note: str
    description: str
    name: str = NAME
    title: str = words.TITLES[NAME]
    height: float = 3.5

    @property
    def table(self) -> Rows:
        """The share of members above the threshold at each rate."""
        header = ("False positive rate", "Members above", "95\u00a0% from", "to")
        blind = [STYLES[name][1] for name in self.baselines]
        rows = [(*header, *(f"Without the model ({which})" for which in blind))]
        for rate, at in zip(self.rates.tolist(), self.band, strict=True):
            others = [_height(points, rate) for points in self.baselines.values()]
            rows.append((percent(rate), *(percent(each) for each in (at.value, at.low, at.high, *others))))
        return tuple(rows)

    def draw(self, ax: Axes) -> None:
        """Draw the curves; rates below the left or the lower end lie on it."""
        log_rates(ax, self.left, self.low)
        bottom, top = (np.maximum([getattr(at, end) for at in self.band], self.low) for end in ("low", "high"))
        ax.fill_between(self.rates, bottom, top, color=LIGHT["candidate"], alpha=0.2, linewidth=0)
        ax.plot(*self._shown(self.points), color=LIGHT["candidate"], label=self.attack)
        for name, points in self.baselines.items():
            style, which = STYLES[name]
            ax.plot(*self._shown(points), color=LIGHT["baseline"], linestyle=style, label=f"no model: {which}")
        ends = max(self.left, self.low), 1.0
        ax.plot(ends, ends, color=LIGHT["ink"], linestyle="-", linewidth=0.6, label="chance")
        promised = f"promised: {percent(self.fpr)}"
        ax.axvline(self.fpr, color=LIGHT["threshold"], linestyle="--", linewidth=0.9, label=promised)
        if self.used is not None:
            places = [max(self.used[0], self.left)], [max(self.used[1], self.low)]
            look: Any = {"color": LIGHT["threshold"], "marker": "D", "markersize": 5, "linestyle": "none", "zorder": 5}
            ax.plot(*places, clip_on=False, label="threshold in use", **look)
        ax.set_xlabel("non-members above the threshold")
        ax.set_ylabel("members above the threshold")
        legend = ax.legend(loc="lower right")
        for text in legend.get_texts():
            text.set_parse_math(False)
        ax.set_title(self.note)

    def _shown(self, points: RocPoints) -> tuple[Floats, Floats]:
        return np.maximum(points.fpr, self.left), np.maximum(points.tpr, self.low)


def roc_display(audited: Audited) -> Display:
    """The ROC of an audit with known members."""
    audit = audited.audit
    try:
        known = labelled_scores(audited.part, audit.decider)
    except ScoresError:
        return Undrawable(NAME, words.TITLES[NAME], words.NO_MEMBERS)
    if not np.isfinite(known.scores).all():
        return Undrawable(NAME, words.TITLES[NAME], "Some known passages have infinite scores.")
    counts = [int((known.labels == label).sum()) for label in (1, 0)]
    left, low = (min(0.1, 1 / (count + 1)) for count in reversed(counts))
    rates = np.unique(np.append(np.geomspace(left, 0.98, POINTS), audit.calibration.fpr))
    # Where each passage is a document, `documents` changes nothing and the ends are exact.
    band = tpr_at_fprs(known.scores, known.labels, rates.tolist(), documents=known.documents)
    checks = {check.name: check for check in audit.validity.checks if check.name in STYLES and check.roc}
    baselines = {name: check.roc for name, check in checks.items() if check.roc is not None}
    figures = {name: check.figure for name, check in checks.items()}
    grouped = len(set(known.documents)) < len(known.documents)
    at = band[int(np.flatnonzero(rates == audit.calibration.fpr)[0])]
    shares = [float(audited.known[label].flagged.mean()) for label in (0, 1)]
    used = (shares[0], shares[1]) if len(audited.thresholds) == 1 and not audit.calibration.categories else None
    description = words.roc_words(audit, at, used, {STYLES[name][1]: each for name, each in figures.items()}, grouped)
    points = roc_points(known.scores, known.labels)
    fpr, note = audit.calibration.fpr, words.note_of(audit)
    return RocDisplay(audit.decider, points, rates, band, baselines, fpr, used, left, low, note, description)


def _height(points: RocPoints, rate: float) -> float:
    """The largest share of members at that false positive rate."""
    return max(tpr for fpr, tpr in zip(points.fpr, points.tpr, strict=True) if fpr <= rate)
