"""Score distributions of candidates, non-members and members, with the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..words import figures as words, name_sets
from ._audited import Audited, Floats, Marked
from ._display import Display, Rows, Undrawable
from ._style import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ScoresDisplay", "scores_display"]

NAME, BINS, MOST_LINES = "scores", 30, 8
OUTSIDE = 0.005
"""Share of the scores at each end that the outermost bins collect."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoresDisplay:
    """Histograms of scores above each other, with the flagged scores in full colour."""

    sets: Sequence[tuple[str, str, Marked]]
    """Its plural, its colour, its scores; from the lowest lane to the highest."""
    thresholds: Sequence[float]
    attack: str
    note: str
    description: str
    edges: Floats
    name: str = NAME
    title: str = words.TITLES[NAME]

    @property
    def height(self) -> float:
        """In inches, by the number of sets."""
        return 0.8 + 0.85 * len(self.sets)

    @property
    def table(self) -> Rows:
        """How many scores of each set lie between two edges."""
        counted = [np.histogram(_inside(marked.scores, self.edges), self.edges)[0] for *_, marked in self.sets]
        bins = zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), *map(np.ndarray.tolist, counted), strict=True)
        header = ("Score from", "to", *(name for name, *_ in self.sets))
        return (header, *((f"{low:.4g}", f"{high:.4g}", *map(str, counts)) for low, high, *counts in bins))

    def draw(self, ax: Axes) -> None:
        """Draw a lane for each set; its height is the share of the set."""
        for lane, (name, colour, marked) in enumerate(self.sets):
            _draw_lane(ax, lane, LIGHT[colour], marked, self.edges)
            count = words.share_words(int(marked.flagged.sum()), len(marked.scores))
            label = f"{name}, {count} above" if self.thresholds else name
            ax.text(0.0, lane + 0.9, label, transform=ax.get_yaxis_transform(), va="top", fontsize=8)
        for threshold in self.thresholds[:MOST_LINES]:
            ax.axvline(threshold, color=LIGHT["threshold"], linestyle="--", linewidth=1.1)
        if len(self.thresholds) == 1:
            place = (self.thresholds[0], len(self.sets) - 0.02)
            ax.annotate("threshold", place, (3, 0), textcoords="offset points", va="top", fontsize=8)
        ax.set_xlim(self.edges[0], self.edges[-1])
        ax.set_ylim(0, len(self.sets))
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.grid(visible=False, axis="y")
        ax.set_xlabel(f"score by {self.attack} (higher: more like a member)", parse_math=False)
        ax.set_title(self.note)


def scores_display(audited: Audited) -> Display:
    """The score distributions of an audit."""
    audit, attack, shadows = audited.audit, audited.audit.decider, audited.audit.shadows is not None
    named = [
        (name_sets("known members", shadows=shadows), "member", audited.known[1]),
        (name_sets("known non-members", shadows=shadows), "nonmember", audited.known[0]),
        ("candidates", "candidate", audited.candidates),
    ]
    sets = [each for each in named if len(each[2].scores)]
    if not sets:
        return Undrawable(NAME, words.TITLES[NAME], "No passage has a finite score.")
    counts = {name: (int(marked.flagged.sum()), len(marked.scores)) for name, _, marked in sets}
    missing = sum(marked.missing for *_, marked in named)
    description = words.scores_words(audit, counts, audited.thresholds, missing)
    edges = _edges(np.concatenate([marked.scores for *_, marked in sets]), audited.thresholds)
    return ScoresDisplay(sets, audited.thresholds, attack, words.note_of(audit), description, edges)


def _edges(scores: Floats, thresholds: Sequence[float]) -> Floats:
    """Ends of the bins; a single threshold is one of them, so that no bin is flagged in part."""
    low, high = np.quantile(scores, [OUTSIDE, 1 - OUTSIDE]).tolist()
    low, high = min([low, *thresholds]), max([high, *thresholds])
    if not low < high:
        low, high = low - 0.5, high + 0.5
    low, high = low - 0.02 * (high - low), high + 0.02 * (high - low)
    if len(thresholds) != 1:
        return np.linspace(low, high, BINS + 1)
    width, threshold = (high - low) / BINS, thresholds[0]
    below, above = (max(1, round(length / width)) for length in (threshold - low, high - threshold))
    return np.concatenate(
        [threshold + width * np.arange(-below, 0), [threshold], threshold + width * np.arange(1, above + 1)]
    )


def _inside(scores: Floats, edges: Floats) -> Floats:
    """The scores, with those outside moved into the outermost bins; a score on an edge belongs to the bin below."""
    return np.clip(np.nextafter(scores, -np.inf), edges[0], edges[-1])


def _draw_lane(ax: Axes, lane: int, colour: str, marked: Marked, edges: Floats) -> None:
    """The histogram of a set: in outline, with the flagged scores filled."""
    everything, _ = np.histogram(_inside(marked.scores, edges), edges)
    flagged, _ = np.histogram(_inside(marked.scores[marked.flagged], edges), edges)
    scale = 0.72 / max(1, int(everything.max()))
    ax.axhline(lane, color=LIGHT["ink"], linewidth=0.6)
    ax.stairs(lane + scale * everything, edges, baseline=lane, fill=True, color=colour, alpha=0.3, linewidth=0)
    if flagged.any():
        ax.stairs(lane + scale * flagged, edges, baseline=lane, fill=True, facecolor=colour, edgecolor=colour)
    ax.stairs(lane + scale * everything, edges, baseline=lane, color=colour, linewidth=1.0)
