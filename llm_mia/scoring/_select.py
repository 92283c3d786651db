"""Which attacks run: those that are named, or those that the models and supplies of a run can serve."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..attacks import Attack, LoadedSupplies, all_attacks, parse_attack
from ..errors import AttackError
from ..records import CONTINUATIONS, FIELDS

__all__ = ["ALL", "Selection", "attacks_for"]

ALL = "all"
"""In the place of an attack: every attack that models and supplies can serve, whatever its passes cost."""
Offers = Mapping[str, Collection[str]]
"""By role: the fields of the signals that the model gives, and ``continuations``."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The attacks of a run."""

    attacks: tuple[Attack, ...]
    named: frozenset[str] = frozenset()
    """Names of the attacks that the user named; such an attack is refused where it cannot run, others are left out."""
    notes: tuple[str, ...] = ()
    """What was left out, and why, a sentence each."""

    def without(self, left_out: Collection[str], note: str) -> Selection:
        """The selection without the attacks of these names, and a note that says why."""
        kept = tuple(attack for attack in self.attacks if attack.name not in left_out)
        return Selection(kept, self.named, (*self.notes, note)) if left_out else self


def attacks_for(
    specs: Sequence[str], supplies: LoadedSupplies | None = None, offers: Mapping[str, Collection[str]] | None = None
) -> Selection:
    """The attacks that *specs* name, or by default every attack that models and supplies serve at little cost.

    An attack whose passes cost much for what they show (`EvidenceKind.by_default`) runs only where it is named, or
    where *specs* hold ``all``.

    Args:
        specs: names with settings, as ``min_k:k=0.1``, and ``all``; empty for the default.
        supplies: the roles of the models, and what the user supplies; None: a target model alone.
        offers: what the model of each role gives, as `Backend.offers`; a role that is left out gives all.

    Raises:
        AttackError: an attack that is unknown, is named twice, or needs what is not there.
    """
    supplies, offers = supplies or LoadedSupplies(), offers or {}
    named = [parse_attack(spec) for spec in specs if spec != ALL]
    names = [attack.name for attack in named]
    for attack in named:
        _refuse(attack, supplies, offers)
        if names.count(attack.name) > 1:
            raise AttackError(f"attack {attack.name!r} is named twice: remove the second")
    card = [attack for attack in _card(supplies, everything=ALL in specs) if attack.name not in names]
    if specs and ALL not in specs:
        card = []
    lacking = {attack.name: what for attack in card if (what := _lacking(attack, offers))}
    selection = Selection((*named, *card), frozenset(names))
    return selection.without(lacking, _left_out(lacking))


def _card(supplies: LoadedSupplies, *, everything: bool) -> Iterator[Attack]:
    """Every attack that *supplies* serves, with each of its forms."""
    for attack in all_attacks().values():
        if (everything or attack.by_default) and not attack.missing(supplies):
            yield from attack.variants()


def _refuse(attack: Attack, supplies: LoadedSupplies, offers: Offers) -> None:
    missing = attack.missing(supplies)
    if missing:
        raise AttackError(f"attack {attack.name!r} needs {missing}")
    lacking = _lacking(attack, offers)
    if lacking:
        raise AttackError(f"attack {attack.name!r} cannot run: {lacking}")


def _lacking(attack: Attack, offers: Offers) -> str:
    """Which fields the attack needs and a model does not give, as a clause; empty where no field is missing."""
    for role, needed in attack.fields.items():
        for of_model, offered in offers.items():
            fields = [name for name in (*FIELDS, CONTINUATIONS) if name in needed and name not in offered]
            if fields and fnmatchcase(of_model, role):
                return f"the {of_model} model gives no {', '.join(fields)}"
    return ""


def _left_out(lacking: Mapping[str, str]) -> str:
    """A sentence about the attacks that *lacking* names, each with its reason."""
    reasons = dict.fromkeys(lacking.values())
    by_reason = {reason: [name for name, why in lacking.items() if why == reason] for reason in reasons}
    return "; ".join(f"{reason}, so there is no {', '.join(names)}" for reason, names in by_reason.items())
