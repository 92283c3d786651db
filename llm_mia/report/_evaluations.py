"""How attacks separate the known set, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..calibration import nonmembers_needed
from ..decision import AtThreshold, Comparison, Evaluation
from ..metrics import ConfidenceGap
from ..validity import Validity
from ._cells import escape, percent, share
from ._validity import blind_aurocs
from .words import at_threshold_words, comparison_words, gap_words, notes_words, too_few_words, unscored_words

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.measure import Measurement
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
    wide, narrow = _empty_table(evaluations, " "), _empty_table(evaluations, "\n")
    for evaluation in sorted(evaluations, key=lambda evaluation: evaluation.attack != decider):
        decides = evaluation.attack == decider
        name = f"{escape(evaluation.attack)} ◂ decides" if decides else escape(evaluation.attack)
        shares = ["–" if fpr in too_few else percent(figure) for fpr, figure in evaluation.tpr_at_fpr.items()]
        _add_row(
            wide, narrow, name, [share(evaluation.auroc), *shares, percent(evaluation.fpr_at_95_tpr)], bold=decides
        )
    for name, figure in blind_aurocs(validity):
        _add_row(wide, narrow, f"[dim]{name}, without the model[/]", [share(figure)])
    below = [too_few_words(fpr, nonmembers_needed(fpr)) for fpr in sorted(too_few, reverse=True)]
    below += [unscored_words(evaluation) for evaluation in evaluations if evaluation.unscored]
    if decider is None:
        below.append("If you select an attack by this table, set its threshold with non-members that are not in it.")
    table = WideOrNarrow(wide, narrow)
    return Group(table, *(f"[dim]{escape(line)}[/]" for line in below), *([] if gap is None else [_gap(gap)]))


@dataclass(frozen=True)
class WideOrNarrow:
    """The table *wide* in a terminal that is wide enough for it, *narrow* in another."""

    wide: Table
    narrow: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        unlimited = options.update(max_width=10_000)
        yield self.wide if console.measure(self.wide, options=unlimited).maximum <= options.max_width else self.narrow

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        narrow, wide = (console.measure(table, options=options) for table in (self.narrow, self.wide))
        return Measurement(narrow.minimum, wide.maximum)


def _empty_table(evaluations: Sequence[Evaluation], between: str) -> Table:
    """The table without rows; *between* the words of a header, where a line may end."""
    from rich import box
    from rich.table import Table

    members = max(evaluation.n_members for evaluation in evaluations)
    nonmembers = max(evaluation.n_nonmembers for evaluation in evaluations)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = f"Known set: {members:,} members, {nonmembers:,} non-members (95 % intervals)"
    table.add_column("attack", overflow="fold")
    table.add_column("AUROC", justify="right", no_wrap=True)
    for fpr in evaluations[0].tpr_at_fpr:
        table.add_column(f"TPR, %\nat FPR{between}{100 * fpr:g} %", justify="right", no_wrap=True)
    table.add_column(f"FPR, %\nat TPR{between}95 %", justify="right", no_wrap=True)
    return table


def _add_row(wide: Table, narrow: Table, name: str, cells: Sequence[str], *, bold: bool = False) -> None:
    """Add a row to both; in *narrow* an interval goes below its figure."""
    style = "bold" if bold else ""
    wide.add_row(name, *cells, style=style)
    narrow.add_row(name, *(cell.replace(" [dim]", "\n[dim]") for cell in cells), style=style)


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
