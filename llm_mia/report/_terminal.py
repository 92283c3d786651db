"""Whole audits for people: renderables for a terminal, which the command line prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..auditing import Audit
from ..demo import Demo
from ._cells import escape, percent
from ._decisions import flags_table
from ._evaluations import evaluation_table
from ._validity import validity_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["audit_table", "demo_table"]


def audit_table(audit: Audit) -> RenderableType:
    """What was audited, how the attacks separate the known set, what was flagged, and what to bear in mind."""
    from rich.console import Group
    from rich.padding import Padding

    parts: list[RenderableType] = [_models(audit), "", validity_lines(audit.validity, audit.verdict)]
    if audit.evaluations:
        gap = None if audit.withheld else audit.confidence_gap
        parts += ["", evaluation_table(audit.evaluations, gap, decider=audit.decider, validity=audit.validity)]
        if audit.withheld:
            parts.append("[red]What separates these classes need not be membership: the known set is void.[/]")
    parts += ["", flags_table(audit.flags)]
    if audit.power is not None and not audit.withheld:
        parts.append(f"power: {percent(audit.power)} % of the known members stand above it (independent passages)")
    parts += ["", "[dim]Bear in mind[/]"]
    parts += [Padding(f"[dim]• {escape(note)}[/]", (0, 0, 0, 2)) for note in audit.notes]
    parts += ["", f"[dim]run directory[/]  {escape(str(audit.path))}"]
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
                f"{escape(model['id'])}  [dim]{model['dtype']}, windows of {window['tokens']} tokens[/]",
            )
    for source, role in zip(reversed(audit.inputs.sources), ("candidates", "non-members", "members"), strict=False):
        table.add_row(
            f"[dim]{role}[/]",
            f"{source.passages:,} passages, {source.documents:,} documents  [dim]{escape(source.name)}[/]",
        )
    return table


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
        table.add_row(name, f"{hits}", f"{len(ids) - hits}", f"{percent(share)} %")
    asked = demo.audit.calibration.fpr
    cost = f"{demo.seconds:.0f} s, {demo.peak_bytes / 1e9:.1f} GB of memory at most"
    line = f"False positive rate asked for: {100 * asked:g} %, realised: {100 * demo.false_positive_rate.value:.1f} %"
    return Group("", table, line, f"[dim]{cost}[/]")
