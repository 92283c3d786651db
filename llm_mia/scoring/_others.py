"""Which scores other models than the target give: what an attack would give if it tested a model that knows no passage.

A reference model and the stand-in cannot know the passages. What their scores separate is not membership.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..attacks import Attack, parse_attack
from ..errors import AttackError
from ..records import AttackRecord, ModelRecord
from ..scores import is_other_role, other_column

__all__ = ["OtherColumn", "other_columns", "registered"]

TARGET, REFERENCE = "target", "reference"


@dataclass(frozen=True, slots=True)
class OtherColumn:
    """A column of scores of an attack, with another model in the place of the target or of the reference model."""

    attack: Attack
    role: str
    """Of the other model; also the name of its pass."""
    replaces: str
    """The name of the `ModelPass` whose signals are those of the other model."""

    @property
    def name(self) -> str:
        """Of the column."""
        return other_column(self.attack.name, self.role)

    @property
    def record(self) -> AttackRecord:
        """Formula and settings."""
        return replace(self.attack.record, name=self.name)


def other_columns(attacks: Sequence[Attack], models: Mapping[str, ModelRecord]) -> list[OtherColumn]:
    """The columns that the other models among *models*, which are by role, give for *attacks*.

    Every other model takes the place of the target in the attacks that need nothing else than the target's signals and
    the text; always in ``loss``. A second and further reference model also takes the place of the first in the
    attacks that need it, but for those that need it on other texts too. A model that does not give the fields which
    the attack reads has no column; nor has a model with another tokenizer, where tokens are compared.
    """
    return [column for role in filter(is_other_role, models) for column in _columns_of(role, attacks, models)]


def _columns_of(role: str, attacks: Sequence[Attack], models: Mapping[str, ModelRecord]) -> Iterator[OtherColumn]:
    named = [attack for attack in attacks if attack.name == "loss"]
    for attack in (*(named or [parse_attack("loss")]), *(attack for attack in attacks if attack not in named)):
        if TARGET in attack.evidence and {TARGET, "text"}.issuperset(attack.evidence):
            column = OtherColumn(attack, role, TARGET)
        elif role != REFERENCE and REFERENCE in models and _takes_only_signals_of_reference(attack):
            column = OtherColumn(attack, role, REFERENCE)
        else:
            continue
        if column.replaces == REFERENCE and attack.by_token and models[role].tokenizer != models[TARGET].tokenizer:
            continue
        if attack.fields[column.replaces] <= {*models[role].offers}:
            yield column


def _takes_only_signals_of_reference(attack: Attack) -> bool:
    """Whether the attack reads the reference model's signals of the passages, and of no other texts."""
    passes = [declared for kind in attack.kinds for declared in kind.passes if declared.matches(REFERENCE)]
    return bool(passes) and all(declared.name == REFERENCE for declared in passes)


def registered(records: Iterable[AttackRecord]) -> list[Attack]:
    """The attacks of *records* that are still registered, with the same formula and settings."""
    attacks = []
    for record in records:
        try:
            attack = parse_attack(record.name)
        except AttackError:  # of a package that is no longer installed, or of a notebook
            continue
        if attack.record == record:
            attacks.append(attack)
    return attacks
