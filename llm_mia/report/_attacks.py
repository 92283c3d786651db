"""The catalogue of attacks, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..attacks import EVIDENCE, Attack
from ._cells import escape

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["attack_details", "attacks_table"]


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
        name = escape(_plain(one)) + (f"[dim]:{settings}[/]" if settings else "")
        table.add_row(name, ", ".join(one.evidence), str(len(one.passes)), escape(one.paper), escape(one.summary))
    return table


def attack_details(one: Attack) -> RenderableType:
    """Everything there is to say of one attack."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("[dim]attack[/]", escape(one.name))
    table.add_row("[dim]score[/]", escape(one.summary))
    for key, value in one.hyper_parameters.items():
        table.add_row("[dim]setting[/]", f"{key}={value:g}  [dim]as in -a {escape(_plain(one))}:{key}={value:g}[/]")
    for name in one.evidence:
        table.add_row("[dim]needs[/]", f"{name}  [dim]{EVIDENCE[name]}[/]")
    table.add_row("[dim]paper[/]", escape(one.paper))
    return table


def _plain(one: Attack) -> str:
    """Its name without hyper-parameters."""
    return one.name.partition(":")[0]
