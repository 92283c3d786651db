"""AUROCs of the attacks, and of classifiers that never saw the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...records import Interval
from ..words import figures as words
from ._audited import Audited
from ._display import Display, Rows, Undrawable
from ._style import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BaselinesDisplay", "baselines_display"]

NAME, MOST, LISTED = "baselines", 10, 37
BLIND = {"blind_words_auroc": "no model: words", "blind_counts_auroc": "no model: counts"}


@dataclass(frozen=True, slots=True, eq=False)
class BaselinesDisplay:
    """Intervals below each other: the attack that decides, the other attacks, the blind baselines."""

    attacks: Sequence[tuple[str, Interval]]
    """The attack that decides first."""
    blind: Sequence[tuple[str, Interval]]
    note: str
    description: str
    name: str = NAME
    title: str = words.TITLES[NAME]

    @property
    def height(self) -> float:
        """In inches, by the number of rows."""
        return 0.9 + 0.19 * max(4, min(MOST, len(self.attacks)) + len(self.blind))

    @property
    def table(self) -> Rows:
        """The AUROCs with their intervals."""
        rows = [
            (name, *(f"{value:.3f}" for value in (auroc.value, auroc.low, auroc.high)))
            for name, auroc in [*self.attacks[:LISTED], *self.blind]
        ]
        return (("Separates members from non-members", "AUROC", "95\u00a0% from", "to"), *rows)

    def draw(self, ax: Axes) -> None:
        """Draw an interval for each row; what never saw the model has open squares and dashes."""
        attacks = self.attacks[:MOST]
        rows = [*attacks, *self.blind]
        for place, (_, auroc) in enumerate(rows):
            blind = place >= len(attacks)
            colour = LIGHT["baseline"] if blind else LIGHT["member"]
            ax.plot([auroc.low, auroc.high], [place] * 2, color=colour, linestyle="--" if blind else "-")
            ax.plot(
                [auroc.value],
                [place],
                color=colour,
                marker="s" if blind else "D" if place == 0 else "o",
                markersize=6 if place == 0 else 4.5,
                markerfacecolor=LIGHT["paper"] if blind else colour,
            )
        if self.blind:
            ax.axhline(len(attacks) - 0.5, color=LIGHT["ink"], linewidth=0.6)
        ax.axvline(0.5, color=LIGHT["threshold"], linestyle=":", linewidth=1.1)
        names = [f"{name} (decides)" if place == 0 else name for place, (name, _) in enumerate(rows)]
        ax.set_yticks(range(len(rows)), names, parse_math=False)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xlim(min(0.4, *(auroc.low for _, auroc in rows)) - 0.02, 1.02)
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("AUROC with its 95\u00a0% interval; 0.5 is chance")
        ax.set_title(self.note)


def baselines_display(audited: Audited) -> Display:
    """The AUROCs of an audit with known members."""
    audit = audited.audit
    if not audit.evaluations:
        return Undrawable(NAME, words.TITLES[NAME], words.NO_MEMBERS)
    aurocs = {each.attack: each.auroc for each in audit.evaluations}
    first = [(name, auroc) for name, auroc in aurocs.items() if name == audit.decider]
    others = sorted(((name, auroc) for name, auroc in aurocs.items() if name != audit.decider), key=_by_value)
    figures = {check.name: check.figure for check in audit.validity.checks if check.name in BLIND}
    blind = [(BLIND[name], figure) for name, figure in figures.items() if isinstance(figure, Interval)]
    attacks = [*first, *others]
    description = words.baselines_words(audit, attacks, blind, MOST)
    return BaselinesDisplay(attacks, blind, words.note_of(audit), description)


def _by_value(named: tuple[str, Interval]) -> tuple[float, str]:
    return -named[1].value, named[0]
