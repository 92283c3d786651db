"""How several decisions of a kind on the same candidates divide a level, so that it holds over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ._entries import Entry, Wanted

__all__ = ["FIRST_SHARE", "Place", "level_share", "place_among"]

FIRST_SHARE = 0.9
"""Share of the level that the first decision has."""


def level_share(number: int) -> float:
    """The share of the level that decision k, the *number*, on the same candidates has: 0.9, then 0.1 / (k (k − 1)).

    All shares together are 1. So if decision k is a finding only where its p-value is at most its share of the level,
    the probability that any of them is a finding, where no candidate was trained on, is at most the level (the union
    bound), however the decisions depend on each other and whenever somebody stops. This assumes that each p-value is
    valid, and that nobody chose the next decision by scores of the candidates that no recorded decision has shown.

    Raises:
        UsageError: *number* is below 1.

    >>> [round(level_share(k), 4) for k in (1, 2, 3, 4)]
    [0.9, 0.05, 0.0167, 0.0083]
    """
    if number < 1:
        raise UsageError(f"`number` must be at least 1: got {number}")
    return FIRST_SHARE if number == 1 else (1 - FIRST_SHARE) / (number * (number - 1))


@dataclass(frozen=True, slots=True)
class Place:
    """The number of a decision among those of its kind on the same candidates, and its share of the level."""

    number: int
    share: float
    """Of the level."""
    others: tuple[Entry, ...]
    """The other decisions on these candidates that count, the first decision first."""
    deviation: str = ""
    """From the protocol, because of the other decisions; empty where there is none."""
    before_plan: int = 0
    """Decisions on these candidates, this one included, that were on record before any under its protocol."""


def place_among(entries: Sequence[Entry], wanted: Wanted) -> Place:
    """The place of the decision *wanted* among the *entries* of a record.

    A decision that is recorded already keeps its place. The decisions that a protocol names have a place together and
    divide its share equally; each of them is taken once, so that whoever takes it with another category, seed or other
    model deviates. A decision that deviates from a protocol comes after the protocol. A protocol comes after the
    decisions that were on record before it: it may have been written by what they gave.

    A decision that was withheld has shown its flags, too. So it counts for every other decision, except for the same
    attack and rate with a known set that is neither void nor untestable: that is the decision which it asked for.
    """
    here = [entry for entry in entries if entry.kind == wanted.kind and wanted.subject.overlaps(entry.subject)]
    decided = {entry.identity: entry for entry in reversed(here) if entry.could_find}
    others = dict[str, Entry]()
    for entry in here:
        if entry.identity in decided:
            others.setdefault(entry.identity, decided[entry.identity])
        elif entry.p_value is not None and (wanted.accepted or not _same_question(entry, wanted)):
            others.setdefault(entry.identity, entry)
    same = others.pop(wanted.identity, None)
    plan, deviation, listed = wanted.plan, "", tuple(others.values())
    before = 0 if plan is None else _before(here, plan.sha256)
    if same is not None and same.could_find:
        if plan is not None and not plan.deviations and same.protocol == plan.sha256 and same.deviations:
            deviation = same.deviations[-1]  # its other deviations would be those of *wanted*
        return Place(same.number, same.level_share, listed, deviation, before)
    numbers = [entry.number for entry in listed]
    if plan is not None and not plan.deviations:
        of_plan = [entry for entry in listed if entry.protocol == plan.sha256 and not entry.deviations]
        if plan.decision not in [entry.planned for entry in of_plan]:
            free = 1 if not before and 1 not in numbers else max(numbers, default=0) + 1
            number = of_plan[0].number if of_plan else free
            return Place(number, level_share(number) / plan.decisions, listed, before_plan=before)
        deviation = f"decision {plan.decision} of the protocol was taken before, with other settings or other models"
    number = max([*numbers, 1 if plan is not None else 0]) + 1
    return Place(number, level_share(number), listed, deviation, before)


def _same_question(entry: Entry, wanted: Wanted) -> bool:
    """Whether both decide by the same attack at the same rate, perhaps with other non-members."""
    figures = ("attack", "rate", "level", "confidence", "seed")
    return all(getattr(entry, figure) == getattr(wanted, figure) for figure in figures)


def _before(entries: Sequence[Entry], protocol: str) -> int:
    """Different decisions with a p-value that precede all under the *protocol*."""
    under = [entry.protocol == protocol for entry in entries]
    earlier = entries[: under.index(True)] if True in under else entries
    return len({entry.identity for entry in earlier if entry.p_value is not None})
