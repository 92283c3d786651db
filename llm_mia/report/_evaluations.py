"""How attacks separate the known set, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..calibration import nonmembers_needed
from ..decision import AtThreshold, Comparison, Evaluation
from ..metrics import ConfidenceGap
from ..validity import Validity
from ._cells import escape, percent, share
from ._validity import blind_aurocs
from .words import at_threshold_words, comparison_words, gap_words, notes_words, too_few_words, unscored_words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["comparison_line", "evaluation_table", "threshold_lines"]


def evaluation_table(
    evaluations: Sequence[Evaluation],
    gap: ConfidenceGap | None,
    *,
    decider: str | None = None,
    validity: Validity | None = None,
) -> RenderableType:
    """A row for each attack: AUROC, TPR at each FPR, FPR at 95 % TPR, with 95 % intervals.

    Below them the AUROC of classifiers that see only the texts.
    """
    from rich.console import Group

    nonmembers = max(evaluation.n_nonmembers for evaluation in evaluations)
    too_few = {fpr for fpr in evaluations[0].tpr_at_fpr if nonmembers < nonmembers_needed(fpr)}
    table = _empty_table(evaluations)
    for evaluation in sorted(evaluations, key=lambda evaluation: evaluation.attack != decider):
        decides = evaluation.attack == decider
        name = f"{escape(evaluation.attack)} ◂ decides" if decides else escape(evaluation.attack)
        shares = ["–" if fpr in too_few else percent(figure) for fpr, figure in evaluation.tpr_at_fpr.items()]
        cells = (name, share(evaluation.auroc), *shares, percent(evaluation.fpr_at_95_tpr))
        table.add_row(*cells, style="bold" if decides else "")
    for name, figure in blind_aurocs(validity):
        table.add_row(f"[dim]{name}, without the model[/]", share(figure), *[""] * (len(table.columns) - 2))
    below = [too_few_words(fpr, nonmembers_needed(fpr)) for fpr in sorted(too_few, reverse=True)]
    below += [unscored_words(evaluation) for evaluation in evaluations if evaluation.unscored]
    if decider is None:
        below.append("If you select an attack by this table, set its threshold with non-members that are not in it.")
    return Group(table, *(f"[dim]{escape(line)}[/]" for line in below), *([] if gap is None else [_gap(gap)]))


def _empty_table(evaluations: Sequence[Evaluation]) -> Table:
    from rich import box
    from rich.table import Table

    members = max(evaluation.n_members for evaluation in evaluations)
    nonmembers = max(evaluation.n_nonmembers for evaluation in evaluations)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = f"Known set: {members:,} members, {nonmembers:,} non-members (95 % intervals)"
    table.add_column("attack", no_wrap=True)
    table.add_column("AUROC", justify="right")
    for fpr in evaluations[0].tpr_at_fpr:
        table.add_column(f"TPR, %\nat FPR {100 * fpr:g} %", justify="right")
    table.add_column("FPR, %\nat TPR 95 %", justify="right")
    return table


def _gap(gap: ConfidenceGap) -> str:
    warning = "\n[yellow]A gap above 0.1: the model is markedly more certain of the members.[/]" if gap.exposed else ""
    return escape(gap_words(gap)) + warning


def comparison_line(comparison: Comparison) -> RenderableType:
    """Which of two attacks separates better, and how certain that is."""
    return escape(comparison_words(comparison))


def threshold_lines(rates: AtThreshold) -> RenderableType:
    """What the threshold of a calibration does on this known set."""
    from rich.console import Group

    fpr = "" if rates.fpr is None else f", FPR {percent(rates.fpr)} %"
    lines = [f"At the threshold of the calibration for {escape(rates.attack)}: TPR {percent(rates.tpr)} %{fpr}"]
    epsilon = at_threshold_words(rates)
    lines += [escape(epsilon)] if epsilon else []
    return Group(*lines, *(f"[dim]{escape(note)}[/]" for note in notes_words(rates.notes)))
