"""Figures for people: renderables for a terminal, which the command line prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..attacks import EVIDENCE, Attack
from ..auditing import Audit
from ..calibration import fpr_bound, nonmembers_needed
from ..decision import Evaluation, Flags
from ..demo import Demo
from ..metrics import ConfidenceGap
from ..records import Interval

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["attack_details", "attacks_table", "audit_table", "demo_table", "evaluation_table", "flags_table"]


def audit_table(audit: Audit) -> RenderableType:
    """What was audited, how the attacks separate the known set, what was flagged, and what to bear in mind."""
    from rich.console import Group
    from rich.padding import Padding

    parts: list[RenderableType] = [_models(audit)]
    if audit.evaluations:
        parts += ["", evaluation_table(audit.evaluations, audit.confidence_gap, decider=audit.decider)]
    parts += ["", flags_table(audit.flags)]
    if audit.power is not None:
        parts.append(f"power: {_percent(audit.power)} % of the known members stand above it (independent passages)")
    parts += ["", "[dim]Bear in mind[/]"]
    parts += [Padding(f"[dim]• {_escape(note)}[/]", (0, 0, 0, 2)) for note in audit.notes]
    parts += ["", f"[dim]run directory[/]  {_escape(str(audit.path))}"]
    return Group(*parts)


def _models(audit: Audit) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name in ("target", "reference"):
        made = (audit.scores.provenance or {}).get(name)
        if made:
            model, window = made["model"], made["window"]
            table.add_row(
                f"[dim]{name}[/]",
                f"{_escape(model['id'])}  [dim]{model['dtype']}, windows of {window['tokens']} tokens[/]",
            )
    for source, role in zip(reversed(audit.inputs.sources), ("candidates", "non-members", "members"), strict=False):
        table.add_row(
            f"[dim]{role}[/]",
            f"{source.passages:,} passages, {source.documents:,} documents  [dim]{_escape(source.name)}[/]",
        )
    return table


def evaluation_table(
    evaluations: Sequence[Evaluation], gap: ConfidenceGap | None, *, decider: str | None = None
) -> RenderableType:
    """A row an attack: AUROC, TPR at each FPR and FPR at 95 % TPR, with 95 % intervals."""
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
        name = f"{_escape(one.attack)} ◂ decides" if one.attack == decider else _escape(one.attack)
        shares = ["–" if fpr in too_few else _percent(figure) for fpr, figure in one.tpr_at_fpr.items()]
        table.add_row(name, _share(one.auroc), *shares, _percent(one.fpr_at_95_tpr), style=style)
    below = [
        f"[dim]–: FPR {100 * fpr:g} % can't be seen with fewer than {nonmembers_needed(fpr):,} non-members[/]"
        for fpr in sorted(too_few, reverse=True)
    ]
    below += [
        f"[dim]{_escape(one.attack)}: {one.unscored:,} known passages have no score and count in no figure[/]"
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
    return _escape(text) + warning


def flags_table(flags: Flags) -> RenderableType:
    """The decision in two or three lines."""
    from rich.console import Group

    calibration = flags.calibration
    found = f"[bold]{flags.flagged:,} of {len(flags.rows):,} candidates flagged[/] by {_escape(calibration.attack)}"
    meaning, basis = "consistent with training on them", f"p-values from {calibration.n:,} known non-members"
    if flags.by_chance is not None:
        basis = f"threshold {calibration.threshold:.6g}, set by {calibration.n:,} known non-members"
        if flags.flagged <= flags.by_chance:
            meaning = "no more than chance alone would flag"
    elif not flags.flagged:
        meaning = "nothing found"
    lines = [f"{found} at {flags.rule}: {meaning}"]
    if flags.by_chance is not None:
        lines.append(f"were none of them trained on, {flags.by_chance:,.1f} flags at most would be expected")
        bound = fpr_bound(calibration.n, calibration.fpr)
        lines.append(
            f"[dim]The rate holds on average over calibration sets; this one realises at most {100 * bound:.1f} % "
            "(95 % confidence, independent passages).[/]"
        )
    lines.append(f"[dim]{basis}; a passage that is not flagged may still have been trained on[/]")
    return Group(*lines)


def demo_table(demo: Demo) -> RenderableType:
    """What was flagged beside what was true."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    flagged = {row.id for row in demo.audit.flags.rows if row.flagged}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="The truth, which the audit did not know")
    table.title_justify, table.title_style = "left", "bold"
    for column in ("candidates", "flagged", "not flagged", "share flagged"):
        table.add_column(column, justify="left" if column == "candidates" else "right")
    for trained, name, share in (
        (True, "trained on (power)", demo.power),
        (False, "not trained on (false positives)", demo.false_positive_rate),
    ):
        ids = [passage for passage, was in demo.truth.items() if was is trained]
        hits = len(flagged.intersection(ids))
        table.add_row(name, f"{hits}", f"{len(ids) - hits}", f"{_percent(share)} %")
    asked = demo.audit.calibration.fpr
    cost = f"{demo.seconds:.0f} s, {demo.peak_bytes / 1e9:.1f} GB of memory at most"
    line = f"False positive rate asked for: {100 * asked:g} %, realised: {100 * demo.false_positive_rate.value:.1f} %"
    return Group("", table, line, f"[dim]{cost}[/]")


def attacks_table(attacks: Iterable[Attack]) -> RenderableType:
    """A row an attack: name with hyper-parameters, evidence, passes, paper and what it is."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in ("attack", "needs", "passes", "paper"):
        table.add_column(column)
    table.add_column("score", ratio=1)
    for one in attacks:
        settings = ",".join(f"{key}={value:g}" for key, value in one.hyper_parameters.items())
        name = _escape(_plain(one)) + (f"[dim]:{settings}[/]" if settings else "")
        table.add_row(name, ", ".join(one.evidence), str(len(one.passes)), _escape(one.paper), _escape(one.summary))
    return table


def attack_details(one: Attack) -> RenderableType:
    """Everything there is to say of one attack."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("[dim]attack[/]", _escape(one.name))
    table.add_row("[dim]score[/]", _escape(one.summary))
    for key, value in one.hyper_parameters.items():
        table.add_row("[dim]setting[/]", f"{key}={value:g}  [dim]as in -a {_escape(_plain(one))}:{key}={value:g}[/]")
    for name in one.evidence:
        table.add_row("[dim]needs[/]", f"{name}  [dim]{EVIDENCE[name]}[/]")
    table.add_row("[dim]paper[/]", _escape(one.paper))
    return table


def _plain(one: Attack) -> str:
    """Its name without hyper-parameters."""
    return one.name.partition(":")[0]


def _share(figure: Interval) -> str:
    return f"{figure.value:.3f} [dim]{figure.low:.2f}–{figure.high:.2f}[/]"


def _percent(figure: Interval) -> str:
    digits = 1 if figure.high < 0.1 else 0
    return f"{100 * figure.value:.1f} [dim]{100 * figure.low:.{digits}f}–{100 * figure.high:.{digits}f}[/]"


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
