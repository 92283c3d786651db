"""The catalogue of attacks, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..attacks import EVIDENCE, Attack
from ._cells import escape

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["attack_details", "attacks_table"]


def attacks_table(attacks: Iterable[Attack]) -> RenderableType:
    """A row for each attack: name with settings, evidence, passes, paper and what it is."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in ("attack", "needs", "passes", "paper"):
        table.add_column(column, overflow="fold")
    table.add_column("score", ratio=1, overflow="fold")
    for attack in attacks:
        settings = ",".join(f"{key}={_value(value)}" for key, value in attack.settings.items())
        name = escape(_plain(attack)) + (f"[dim]:{settings}[/]" if settings else "")
        table.add_row(name, ", ".join(attack.evidence), _passes(attack), escape(attack.paper), escape(attack.summary))
    return table


def attack_details(attack: Attack, spell: Callable[[str], str] = str) -> RenderableType:
    """All about an attack: formula, settings, evidence and paper; *spell* rewrites parameters between backticks."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("[dim]attack[/]", escape(attack.name))
    table.add_row("[dim]score[/]", escape(attack.summary))
    table.add_row("[dim]formula[/]", escape(attack.formula))
    for key, value in attack.settings.items():
        setting = f"{key}={_value(value)}"
        table.add_row("[dim]setting[/]", f"{setting}  [dim]as in -a {escape(_plain(attack))}:{setting}[/]")
    others = ", ".join(variant.name for variant in attack.variants() if variant.name != attack.name)
    if others:
        table.add_row("[dim]others[/]", escape(others))
    for name in attack.evidence:
        table.add_row("[dim]needs[/]", f"{name}  [dim]{escape(spell(EVIDENCE[name].description))}[/]")
    table.add_row("[dim]paper[/]", escape(attack.paper))
    return table


def _passes(attack: Attack) -> str:
    """The number of passes; n is that of rewritten versions or shadow models. A population's passes do not count."""
    passes = {
        declared.name: kind.pass_count_varies
        for kind in attack.kinds
        for declared in kind.passes
        if declared.texts == "passages"
    }
    count = sum(not many for many in passes.values())
    return f"{count} + n" if any(passes.values()) else str(count)


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _plain(attack: Attack) -> str:
    """Its name without settings."""
    return attack.name.partition(":")[0]
