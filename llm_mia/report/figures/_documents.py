"""The documents of the candidates, ranked by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...documents import document_scores
from ...records import SharedNames, count_each, number_names
from ..words import figures as words
from ._audited import Audited
from ._display import Display, Rows, Undrawable
from ._style import LIGHT, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DocumentsDisplay", "documents_display"]

NAME, MOST, LISTED, LONGEST = "documents", 25, 39, 28


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document and the scores of its passages."""

    name: str
    mean: float
    low: float
    high: float
    passages: int
    """With a score."""
    flagged: int


@dataclass(frozen=True, slots=True, eq=False)
class DocumentsDisplay:
    """The documents with the highest mean scores."""

    ranked: Sequence[Ranked]
    """The first `LISTED` of them, the highest first."""
    thresholds: Sequence[float]
    attack: str
    note: str
    description: str
    name: str = NAME
    title: str = words.TITLES[NAME]

    @property
    def height(self) -> float:
        """In inches, by the number of documents that are drawn."""
        return 0.9 + 0.17 * max(4, min(MOST, len(self.ranked)))

    @property
    def table(self) -> Rows:
        """The documents of the highest mean scores."""
        header = ("Document", "Mean score", "Lowest", "Highest", "Passages", "Flagged")
        rows = [
            (
                each.name,
                *(f"{value:.4g}" for value in (each.mean, each.low, each.high)),
                f"{each.passages:,}",
                f"{each.flagged:,}",
            )
            for each in self.ranked
        ]
        return (header, *rows)

    def draw(self, ax: Axes) -> None:
        """Draw a row for each document: the mean score, and the range of the scores of its passages."""
        drawn = self.ranked[:MOST]
        places = range(len(drawn))
        lows, highs = [each.low for each in drawn], [each.high for each in drawn]
        ax.hlines(places, lows, highs, color=LIGHT["candidate"], alpha=0.5)
        for some, face in ((True, LIGHT["candidate"]), (False, LIGHT["paper"])):
            chosen = [place for place in places if bool(drawn[place].flagged) is some]
            label = "some passages flagged" if some else "no passage flagged"
            ax.plot(
                [drawn[place].mean for place in chosen],
                chosen,
                linestyle="none",
                marker="o" if some else "s",
                markersize=4,
                color=LIGHT["candidate"],
                markerfacecolor=face,
                label=label,
            )
        for number, threshold in enumerate(self.thresholds[:8]):
            label = "" if number else "threshold of a passage"
            ax.axvline(threshold, color=LIGHT["threshold"], linestyle="--", linewidth=1.0, label=label)
        ax.set_yticks(list(places), [_shortened(each.name) for each in drawn], parse_math=False, fontsize=7)
        ax.set_ylim(len(drawn) - 0.5, -0.5)
        right = ax.secondary_yaxis("right")
        right.set_yticks(list(places), [f"{each.flagged}/{each.passages}" for each in drawn], fontsize=7)
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
        ax.set_xlabel(f"score by {self.attack}", parse_math=False)
        ax.figure.legend(loc="outside upper center", ncols=3, fontsize=7, frameon=False)
        ax.set_title(self.note)


def documents_display(audited: Audited) -> Display:
    """The documents of an audit's candidates."""
    audit, candidates = audited.audit, audited.candidates
    scores, flagged = candidates.scores, candidates.flagged
    if not len(scores):
        return Undrawable(NAME, words.TITLES[NAME], words.NO_CANDIDATES)
    rows = audit.flags.rows_by_column
    documents = SharedNames.of(rows.documents)
    names, numbers = number_names(documents.take(np.isfinite(rows.scores)) if candidates.missing else documents)
    means = document_scores(scores, SharedNames(names, numbers)).values
    passages, flags = (count_each(each, len(names)) for each in (numbers, numbers[flagged]))
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(lowest, numbers, scores)
    np.maximum.at(highest, numbers, scores)
    least = np.partition(means, -min(LISTED, len(means)))[-min(LISTED, len(means))]
    columns = (means, lowest, highest, passages, flags)
    highest_means = [
        Ranked(names[at], *(column[at].item() for column in columns)) for at in np.flatnonzero(means >= least).tolist()
    ]
    ranked = sorted(highest_means, key=lambda each: (-each.mean, each.name))[:LISTED]
    top = ranked[0]
    some = int((flags > 0).sum())
    description = words.documents_words(audit, len(names), some, (top.name, top.flagged, top.passages), MOST)
    return DocumentsDisplay(ranked, audited.thresholds, audit.decider, words.note_of(audit), description)


def _shortened(name: str) -> str:
    """The name, cut in the middle where it is long.

    >>> _shortened("x" * 20 + "y" * 20)
    'xxxxxxxxxxxxxx…yyyyyyyyyyyyy'
    """
    name = " ".join(drawable(name).split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-(LONGEST // 2 - 1) :]}"
