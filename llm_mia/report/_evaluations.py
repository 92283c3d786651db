"""How attacks separate the known set, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..calibration import nonmembers_needed
from ..decision import AtThreshold, Comparison, Evaluation, first_ids
from ..metrics import ConfidenceGap
from ..validity import Validity
from ._cells import escape, percent, share
from ._validity import blind_aurocs

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["comparison_line", "evaluation_table", "threshold_lines"]


def evaluation_table(
    evaluations: Sequence[Evaluation],
    gap: ConfidenceGap | None,
    *,
    decider: str | None = None,
    validity: Validity | None = None,
) -> RenderableType:
    """A row an attack: AUROC, TPR at each FPR, FPR at 95 % TPR, with 95 % intervals; last what the texts alone tell."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    members, nonmembers = (max(getattr(one, n) for one in evaluations) for n in ("n_members", "n_nonmembers"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = f"Known set: {members:,} members, {nonmembers:,} non-members (95 % intervals)"
    table.add_column("attack", no_wrap=True)
    table.add_column("AUROC", justify="right")
    for fpr in evaluations[0].tpr_at_fpr:
        table.add_column(f"TPR, %\nat FPR {100 * fpr:g} %", justify="right")
    table.add_column("FPR, %\nat TPR 95 %", justify="right")
    too_few = {fpr for fpr in evaluations[0].tpr_at_fpr if nonmembers < nonmembers_needed(fpr)}
    for one in sorted(evaluations, key=lambda one: one.attack != decider):
        style = "bold" if one.attack == decider else ""
        name = f"{escape(one.attack)} ◂ decides" if one.attack == decider else escape(one.attack)
        shares = ["–" if fpr in too_few else percent(figure) for fpr, figure in one.tpr_at_fpr.items()]
        table.add_row(name, share(one.auroc), *shares, percent(one.fpr_at_95_tpr), style=style)
    for name, figure in blind_aurocs(validity):
        table.add_row(f"[dim]{name}, without the model[/]", share(figure), *[""] * (len(table.columns) - 2))
    below = [
        f"[dim]–: FPR {100 * fpr:g} % can't be seen with fewer than {nonmembers_needed(fpr):,} non-members[/]"
        for fpr in sorted(too_few, reverse=True)
    ]
    below += [
        f"[dim]{escape(one.attack)}: {one.unscored:,} known passages have no score and count in no figure "
        f"({escape(first_ids(one.unscored_ids))})[/]"
        for one in evaluations
        if one.unscored
    ]
    if decider is None:
        below.append("[dim]To choose an attack by this table, calibrate on non-members that it has not seen.[/]")
    return Group(table, *below, *([] if gap is None else [_gap(gap)]))


def _gap(gap: ConfidenceGap) -> str:
    text = (
        f"Confidence gap {gap.gap.value:.3f} [{gap.gap.low:.3f}, {gap.gap.high:.3f}]: members {gap.member_mean:.3f}, "
        f"non-members {gap.nonmember_mean:.3f}, midpoint {gap.midpoint:.3f}"
    )
    warning = "\n[yellow]Above 0.1: the model is markedly surer of the members.[/]" if gap.exposed else ""
    return escape(text) + warning


def comparison_line(found: Comparison) -> RenderableType:
    """Which of two attacks separates better, and how sure that is."""
    difference = found.paired.difference
    p_value = "p < 0.001" if found.paired.p_value < 0.001 else f"p = {found.paired.p_value:.3f}"
    return escape(
        f"AUROC of {found.first} less that of {found.second}: {difference.value:+.3f} "
        f"[{difference.low:+.3f}, {difference.high:+.3f}], {p_value}, both on {found.n:,} passages"
    )


def threshold_lines(found: AtThreshold) -> RenderableType:
    """What the threshold of a calibration does here."""
    from rich.console import Group

    lines = [f"At the threshold of the calibration, {escape(found.attack)}: TPR {percent(found.tpr)} %"]
    if found.fpr is not None:
        lines[0] += f", FPR {percent(found.fpr)} %"
    if found.epsilon is not None:
        lines.append(
            f"with {100 * found.confidence:g} % confidence no (ε, 0)-private training has an ε below "
            f"{found.epsilon:.2f} [dim](each passage an independent trial)[/]"
        )
    return Group(*lines, *(f"[dim]{escape(note)}[/]" for note in found.notes))
