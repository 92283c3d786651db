"""Figures for people: renderables for a terminal, which the command line prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..attacks import EVIDENCE, Attack
from ..auditing import Audit
from ..decision import Evaluation, Flags
from ..metrics import ConfidenceGap
from ..records import Interval

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["attack_details", "attacks_table", "audit_table", "evaluation_table", "flags_table"]


def audit_table(audit: Audit) -> RenderableType:
    """What was audited, how the attacks separate the known set, what was flagged, and what to bear in mind."""
    from rich.console import Group
    from rich.padding import Padding

    parts: list[RenderableType] = [_models(audit)]
    if audit.evaluations:
        parts += ["", evaluation_table(audit.evaluations, audit.confidence_gap, decider=audit.decider)]
    parts += ["", flags_table(audit.flags), "", "[dim]Bear in mind[/]"]
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

    first = evaluations[0]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title_justify="left", title_style="bold")
    table.title = f"Known set: {first.n_members:,} members, {first.n_nonmembers:,} non-members (95 % intervals)"
    table.add_column("attack", no_wrap=True)
    table.add_column("AUROC", justify="right")
    for fpr in first.tpr_at_fpr:
        table.add_column(f"TPR, %\nat FPR {100 * fpr:g} %", justify="right")
    table.add_column("FPR, %\nat TPR 95 %", justify="right")
    for one in sorted(evaluations, key=lambda one: -one.auroc.value):
        style = "bold" if one.attack == decider else ""
        name = f"{_escape(one.attack)} ◂ decides" if one.attack == decider else _escape(one.attack)
        shares = [_percent(figure) for figure in (*one.tpr_at_fpr.values(), one.fpr_at_95_tpr)]
        table.add_row(name, _share(one.auroc), *shares, style=style)
    return table if gap is None else Group(table, _gap(gap))


def _gap(gap: ConfidenceGap) -> str:
    text = (
        f"Confidence gap {gap.gap.value:.3f} [{gap.gap.low:.3f}, {gap.gap.high:.3f}]: members {gap.member_mean:.3f}, "
        f"non-members {gap.nonmember_mean:.3f}, midpoint {gap.midpoint:.3f}"
    )
    warning = "\n[yellow]Above 0.1: the model is markedly surer of what it was trained on.[/]" if gap.exposed else ""
    return _escape(text) + warning


def flags_table(flags: Flags) -> RenderableType:
    """The decision in two or three lines."""
    from rich.console import Group

    calibration = flags.calibration
    found = f"[bold]{flags.flagged:,} of {len(flags.rows):,} candidates flagged[/] by {_escape(calibration.attack)}"
    lines = [f"{found} at {flags.rule}: consistent with training on them"]
    if flags.by_chance is not None:
        lines.append(f"were none of them trained on, {flags.by_chance:.3g} flags at most would be expected")
    lines.append(
        f"[dim]threshold {calibration.threshold:.6g}, set by {calibration.n:,} known non-members; "
        "a passage that is not flagged may still have been trained on[/]"
    )
    return Group(*lines)


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
        name = f"{one.name}[dim]:{settings}[/]" if settings else one.name
        table.add_row(name, ", ".join(one.evidence), str(len(one.passes)), one.paper, _escape(one.summary))
    return table


def attack_details(one: Attack) -> RenderableType:
    """Everything there is to say of one attack."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("[dim]attack[/]", one.name)
    table.add_row("[dim]score[/]", _escape(one.summary))
    for key, value in one.hyper_parameters.items():
        table.add_row("[dim]setting[/]", f"{key}={value:g}  [dim]as in -a {one.name}:{key}={value:g}[/]")
    for name in one.evidence:
        table.add_row("[dim]needs[/]", f"{name}  [dim]{EVIDENCE[name]}[/]")
    table.add_row("[dim]paper[/]", one.paper)
    return table


def _share(figure: Interval) -> str:
    return f"{figure.value:.3f} [dim]{figure.low:.2f}–{figure.high:.2f}[/]"


def _percent(figure: Interval) -> str:
    return f"{100 * figure.value:.1f} [dim]{100 * figure.low:.0f}–{100 * figure.high:.0f}[/]"


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
