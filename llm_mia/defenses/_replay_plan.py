"""Which attacks can be computed on what a defence of the outputs shows, and what each of the others lacks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from ..attacks import Attack, LoadedSupplies
from ..errors import UsageError
from ..records import FIELDS
from ..signals import Inputs, PlannedPass, plan_passes
from ._client import Client
from ._output_defense import OutputDefense
from ._replaying import Replaying
from ._stored import StoredPasses

__all__ = ["TARGET", "plan_replay"]

TARGET = "target"


def plan_replay(
    attacks: Sequence[Attack],
    supplies: LoadedSupplies,
    defense: OutputDefense,
    inputs: Inputs,
    first: StoredPasses,
    second: StoredPasses,
    *,
    most: int | None = None,
) -> Replaying:
    """The replay of *attacks* on what *defense* shows; for those that cannot be computed, the reason.

    Args:
        attacks: see above.
        supplies: what they have.
        defense: what is shown.
        inputs: all passages of the runs.
        first: the passes at temperature 1.
        second: those at the temperature of the defence; *first* where that is 1.
        most: how many passages are replayed, from the first; None: all.

    Raises:
        UsageError: the signals of the target lack what the defence reads.
    """
    reasons, planned = dict[str, str](), {TARGET: PlannedPass(TARGET, TARGET, TARGET, inputs)}
    for attack in attacks:
        of_attack = [] if attack.missing(supplies) else plan_passes([attack], supplies, inputs)
        reason = _not_computable(attack, supplies, defense, of_attack, first, second)
        if reason:
            reasons[attack.name] = reason
        else:
            planned |= {each.name: planned.get(each.name, each) for each in of_attack}
    computable = [attack for attack in attacks if attack.name not in reasons]
    client = Client(defense.hides)
    return Replaying(first, second, inputs, defense, computable, planned, supplies, reasons, client, most)


def _not_computable(
    attack: Attack,
    supplies: LoadedSupplies,
    defense: OutputDefense,
    planned: Collection[PlannedPass],
    first: StoredPasses,
    second: StoredPasses,
) -> str:
    """Why *attack* has no score on what *defense* shows; empty where it has.

    Raises `UsageError` where the signals of the target lack what the defence reads.
    """
    if missing := attack.missing(supplies):
        return f"needs {missing}"
    target = first.model(TARGET)
    if lacking := defense.reads - set(target.offers):
        raise UsageError(f"defence {defense.name!r} reads {', '.join(sorted(lacking))}, which the target does not give")
    for each in planned:
        for passes in (first, second) if each.role == TARGET else (first,):
            if not passes.holds(each):
                return f"{passes.run.path} lacks signals of the pass {each.name!r}"
        shown = defense.offers if each.role == TARGET else frozenset(FIELDS)
        needed = {name for role, read in attack.fields.items() if fnmatchcase(each.role, role) for name in read}
        if hidden := [name for name in FIELDS if name in needed and name not in shown]:
            return f"reads {', '.join(hidden)} of each token, which {defense.name} does not show"
        model = first.model(each.name)
        if absent := [name for name in FIELDS if name in needed and name not in model.offers]:
            return f"reads {', '.join(absent)} of each token, which the {each.role} model does not give"
        if attack.compares_tokens_of(each.role) and model.tokenizer != target.tokenizer:
            return f"compares tokens, and target and {each.role} have different tokenizers"
    return ""
