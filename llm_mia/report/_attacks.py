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
    """A row an attack: name with settings, evidence, passes, paper and what it is."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in ("attack", "needs", "passes", "paper"):
        table.add_column(column)
    table.add_column("score", ratio=1)
    for one in attacks:
        settings = ",".join(f"{key}={_value(value)}" for key, value in one.settings.items())
        name = escape(_plain(one)) + (f"[dim]:{settings}[/]" if settings else "")
        table.add_row(name, ", ".join(one.evidence), _passes(one), escape(one.paper), escape(one.summary))
    return table


def attack_details(one: Attack) -> RenderableType:
    """Everything there is to say of one attack."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("[dim]attack[/]", escape(one.name))
    table.add_row("[dim]score[/]", escape(one.summary))
    table.add_row("[dim]formula[/]", escape(one.formula))
    for key, value in one.settings.items():
        setting = f"{key}={_value(value)}"
        table.add_row("[dim]setting[/]", f"{setting}  [dim]as in -a {escape(_plain(one))}:{setting}[/]")
    others = ", ".join(variant.name for variant in one.variants() if variant.name != one.name)
    if others:
        table.add_row("[dim]others[/]", escape(others))
    for name in one.evidence:
        table.add_row("[dim]needs[/]", f"{name}  [dim]{EVIDENCE[name].what}[/]")
    table.add_row("[dim]paper[/]", escape(one.paper))
    return table


def _passes(one: Attack) -> str:
    """How many: each rewritten text and each shadow model is one, and passes over a population are not counted."""
    passes = {
        declared.name: kind.many for kind in one.kinds for declared in kind.passes if declared.texts == "passages"
    }
    count = sum(not many for many in passes.values())
    return f"{count} + n" if any(passes.values()) else str(count)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _plain(one: Attack) -> str:
    """Its name without settings."""
    return one.name.partition(":")[0]
