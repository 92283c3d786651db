"""The catalogue of attacks, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..attacks import EVIDENCE, Attack
from ._cells import escape
from ._layout import Column, Facts, Listing

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["attack_details", "attacks_table"]


def attacks_table(attacks: Iterable[Attack]) -> RenderableType:
    """A row for each attack: name with settings, evidence, passes, paper and what it is."""
    names = [Column(title, "names") for title in ("attack", "needs", "passes", "paper")]
    table = Listing([*names, Column("score", "sentences")])
    for attack in attacks:
        settings = ",".join(f"{key}={_value(value)}" for key, value in attack.settings.items())
        name = escape(_plain(attack)) + (f"[dim]:{settings}[/]" if settings else "")
        table.add(name, ", ".join(attack.evidence), _passes(attack), escape(attack.paper), escape(attack.summary))
    return table


def attack_details(attack: Attack, spell: Callable[[str], str] = str) -> RenderableType:
    """All about an attack: formula, settings, evidence and paper; *spell* rewrites parameters between backticks."""
    plain = escape(_plain(attack))
    rows = [("attack", escape(attack.name)), ("score", escape(attack.summary)), ("formula", escape(attack.formula))]
    for key, value in attack.settings.items():
        setting = f"{key}={_value(value)}"
        rows.append(("setting", f"{setting}  [dim]as in -a {plain}:{setting}[/]"))
    others = ", ".join(variant.name for variant in attack.variants() if variant.name != attack.name)
    rows += [("others", escape(others))] if others else []
    rows += [("needs", f"{name}  [dim]{escape(spell(EVIDENCE[name].description))}[/]") for name in attack.evidence]
    return Facts([*rows, ("paper", escape(attack.paper))])


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
