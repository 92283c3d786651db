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
    """The other decisions on these candidates that could have become findings, the first decision first."""
    deviation: str = ""
    """From the protocol, because of the other decisions; empty where there is none."""


def place_among(entries: Sequence[Entry], wanted: Wanted) -> Place:
    """The place of the decision *wanted* among the *entries* of a record.

    A decision that is recorded already keeps its place. The decisions that a protocol names have a place together and
    divide its share equally; each of them is taken once, so that whoever takes it with another category, seed or other
    model deviates. A decision that deviates from a protocol comes after the protocol.
    """
    others: dict[str, Entry] = {}
    for entry in entries:
        if entry.could_find and entry.kind == wanted.kind and wanted.subject.overlaps(entry.subject):
            others.setdefault(entry.identity, entry)
    same = others.pop(wanted.identity, None)
    plan, deviation = wanted.plan, ""
    if same is not None:
        if plan is not None and not plan.deviations and same.protocol == plan.sha256 and same.deviations:
            deviation = same.deviations[-1]  # its other deviations would be those of *wanted*
        return Place(same.number, same.level_share, tuple(others.values()), deviation)
    numbers = [entry.number for entry in others.values()]
    if plan is not None and not plan.deviations:
        of_plan = [entry for entry in others.values() if entry.protocol == plan.sha256 and not entry.deviations]
        if plan.decision not in [entry.planned for entry in of_plan]:
            unused = next(number for number in range(1, len(numbers) + 2) if number not in numbers)
            number = of_plan[0].number if of_plan else unused
            return Place(number, level_share(number) / plan.decisions, tuple(others.values()))
        deviation = f"decision {plan.decision} of the protocol was taken before, with other settings or other models"
    number = max([*numbers, 1 if plan is not None else 0]) + 1
    return Place(number, level_share(number), tuple(others.values()), deviation)
