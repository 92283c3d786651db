"""How attacks separate the known set, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..calibration import nonmembers_needed
from ..decision import AtThreshold, Comparison, Evaluation
from ..metrics import ConfidenceGap
from ..validity import Validity
from ._cells import escape, percent, share
from ._first_screen import AGAIN, first_screen
from ._layout import Column, Listing, Prose
from ._validity import blind_aurocs
from .words import (
    at_threshold_words,
    comparison_words,
    counted,
    evaluation_answer,
    gap_meaning,
    gap_words,
    known_set_words,
    notes_words,
    too_few_words,
    unscored_words,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["comparison_line", "evaluation_screen", "evaluation_table", "threshold_lines"]


MOST_ROWS = 10
"""Attacks that a table shows unless all are wanted."""
BEST_OF_SEVERAL = (
    "The best of several attacks is known only with hindsight: a decision by another attack is a further decision on "
    "these candidates, and needs a smaller p-value."
)


def evaluation_screen(evaluations: Sequence[Evaluation]) -> RenderableType:
    """Which attacks separate best, on a single screen."""
    return first_screen(evaluation_answer(evaluations), [AGAIN])


def evaluation_table(
    evaluations: Sequence[Evaluation],
    gap: ConfidenceGap | None,
    spell: Callable[[str], str] = str,
    *,
    decider: str | None = None,
    validity: Validity | None = None,
    most: int | None = None,
) -> RenderableType:
    """A row for each attack: AUROC, TPR at each FPR, FPR at 95 % TPR, with 95 % intervals.

    Below them the AUROC of classifiers that see only the texts.

    Args:
        evaluations: of each attack.
        gap: the gap in confidence, which is shown below the table.
        spell: rewrites the parameters that sentences name between backticks.
        decider: the attack that decides, whose row is the first.
        validity: the checks of the known set.
        most: rows at most; attacks with settings are left out first. None: all attacks.
    """
    from rich.console import Group

    nonmembers = max(evaluation.n_nonmembers for evaluation in evaluations)
    too_few = {fpr for fpr in evaluations[0].tpr_at_fpr if nonmembers < nonmembers_needed(fpr)}
    listing = _empty_listing(evaluations)
    shown = sorted(evaluations, key=lambda each: (each.attack != decider, ":" in each.attack))[:most]
    for evaluation in shown:
        decides = evaluation.attack == decider
        name = f"{escape(evaluation.attack)} ◂ decides" if decides else escape(evaluation.attack)
        shares = ["–" if fpr in too_few else percent(figure) for fpr, figure in evaluation.tpr_at_fpr.items()]
        figures = [share(evaluation.auroc), *shares, percent(evaluation.fpr_at_95_tpr)]
        listing.add(name, *figures, style="bold" if decides else "")
    for name, figure in blind_aurocs(validity):
        listing.add(f"[dim]{name}, without the model[/]", share(figure), *[""] * (len(listing.columns) - 2))
    below = [too_few_words(fpr, nonmembers_needed(fpr)) for fpr in sorted(too_few, reverse=True)]
    below += [unscored_words(evaluation) for evaluation in evaluations if evaluation.unscored]
    if len(shown) < len(evaluations):
        below.append(spell(f"{counted(len(evaluations) - len(shown), 'further attack')}: shown with `all_attacks`."))
    if decider is None:
        below.append("If you select an attack by this table, set its threshold with non-members that are not in it.")
    elif len(evaluations) > 1:
        below.append(BEST_OF_SEVERAL)
    return Group(listing, *(Prose(f"[dim]{escape(line)}[/]") for line in below), *([] if gap is None else _gap(gap)))


def _empty_listing(evaluations: Sequence[Evaluation]) -> Listing:
    """The listing without rows."""
    members = max(evaluation.n_members for evaluation in evaluations)
    nonmembers = max(evaluation.n_nonmembers for evaluation in evaluations)
    rates = [("TPR", "FPR", f"{100 * fpr:g} %") for fpr in evaluations[0].tpr_at_fpr] + [("FPR", "TPR", "95 %")]
    return Listing(
        [
            Column("attack", "names"),
            Column("AUROC"),
            *(
                Column(f"{rate}, %\nat {other} {level}", narrow_title=f"{rate}, %\nat {other}\n{level}")
                for rate, other, level in rates
            ),
        ],
        f"{known_set_words(members, nonmembers, by_shadows=evaluations[0].by_shadows)} (95 % intervals)",
    )


def _gap(gap: ConfidenceGap) -> list[Prose]:
    style = "yellow" if gap.exposed else "dim"
    return [Prose(escape(gap_words(gap))), Prose(f"[{style}]{escape(gap_meaning(gap))}[/]")]


def comparison_line(comparison: Comparison) -> RenderableType:
    """Which of two attacks separates better, and how certain that is."""
    return escape(comparison_words(comparison))


def threshold_lines(rates: AtThreshold, spell: Callable[[str], str] = str) -> RenderableType:
    """What the threshold of a calibration does on this known set; *spell* rewrites parameters that notes name."""
    from rich.console import Group

    fpr = "" if rates.fpr is None else f", FPR {percent(rates.fpr)} %"
    lines = [f"At the threshold of the calibration for {escape(rates.attack)}: TPR {percent(rates.tpr)} %{fpr}"]
    epsilon = at_threshold_words(rates)
    lines += [escape(epsilon)] if epsilon else []
    return Group(*lines, *(f"[dim]{escape(spell(note))}[/]" for note in notes_words(rates.notes)))
