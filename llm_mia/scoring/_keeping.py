"""How much of the signals a run keeps on disk: all, what its attacks read, or nothing once the scores are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..attacks import Attack, parse_attack
from ..errors import RunDirectoryError, UsageError
from ..records import KeptSignals, RunRecord
from ..scores import is_other_role
from ..signals import Inputs, PlannedPass, Progress, current_sharing, report_activity, scores_are_of
from ..store import ALL_FIELDS, RunDirectory, not_kept
from ._others import REFERENCE, TARGET, OtherColumn, registered
from ._score_columns import SCORES, ScoreColumns, column_names

__all__ = ["Keeping", "kept_signals", "refuse_unreadable"]

ALWAYS = "logprob"
"""The array that is kept in every case, because the perplexities of every run are computed from it."""


def kept_signals(given: KeptSignals | str | None) -> KeptSignals | None:
    """What the user gave as `keep_signals`; None where nothing is given.

    Raises `UsageError` where it is none of the words.
    """
    try:
        return None if given is None else KeptSignals(given)
    except ValueError:
        words = ", ".join(KeptSignals)
        raise UsageError(f"`keep_signals` is {given!r}: it must be one of {words}") from None


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a call keeps of the signals."""

    planned: list[PlannedPass]
    """Its passes, each with the arrays that it keeps."""
    wanted: KeptSignals | None
    """What the user asked for; None: nothing is removed."""

    @classmethod
    def of(
        cls,
        run: RunDirectory,
        inputs: Inputs,
        chosen: Sequence[Attack],
        planned: Sequence[PlannedPass],
        wanted: KeptSignals | None,
    ) -> Keeping:
        """What a call for the attacks *chosen* keeps; where nothing is *wanted*, as much as the run kept before.

        Raises:
            RunDirectoryError: the run keeps less than is wanted, or less than the attacks read.
        """
        _refuse_more(run.path, run.record, wanted)
        same = scores_are_of(run.record, inputs, [each.name for each in planned])
        again = _computed_again(run, chosen, same=same)
        refuse_unreadable(run, _needs(again, (), planned), _reason(run, same=same))
        attacks = [*chosen, *registered(run.record.attacks)]
        reduced = (wanted or run.record.kept_signals) is not KeptSignals.FULL
        fields = _fields(planned, attacks) if reduced else {}
        return cls([replace(each, keeps=fields.get(each.name), reads=()) for each in planned], wanted)

    def refuse_unreadable(self, run: RunDirectory, columns: ScoreColumns) -> None:
        """Raise `RunDirectoryError` where *run* does not keep what new *columns* read."""
        refuse_unreadable(run, _needs(columns.new, columns.new_others, self.planned))

    def finish(self, run: RunDirectory, progress: Progress | None) -> tuple[str, ...]:
        """Remove from the disk what is not to be kept, when the scores are written; returns notes on what stays."""
        shared = current_sharing()
        if self.wanted in (None, KeptSignals.FULL) or (shared is not None and not shared.leads):
            return ()
        nothing = self.wanted is KeptSignals.NONE
        here = [each for each in self.planned if each.name in run.record.passes and (nothing or each.keeps is not None)]
        if nothing:
            report_activity(progress, "removing the signals")
        run.keep_less({each.name: () if nothing or each.keeps is None else each.keeps for each in here})
        kept = [name for name, made_by in run.record.passes.items() if made_by.kept_fields != ()]
        if not nothing or not kept:
            return ()
        return (f"the signals of {', '.join(kept)} stay: they are of passes that no attack of this call reads",)


def _refuse_more(path: Path, record: RunRecord, wanted: KeptSignals | None) -> None:
    """Refuse to keep more than the run has kept: what is gone does not come back."""
    kept = [made_by.kept_fields for made_by in record.passes.values()]
    gone = {KeptSignals.FULL: any(fields is not None for fields in kept), KeptSignals.SCORES: () in kept}
    if wanted is not None and gone.get(wanted, False):
        raise RunDirectoryError(
            f"{path}: holds less of the signals (`keep_signals`: {record.kept_signals}) than {wanted}, and the rest is "
            "gone; name another folder, or leave out `keep_signals`"
        )


def _computed_again(run: RunDirectory, chosen: Sequence[Attack], *, same: bool) -> list[Attack]:
    """Those of the attacks *chosen* whose columns a run that does not keep everything has to compute."""
    record = run.record
    if record.kept_signals is KeptSignals.FULL:
        return []
    there = {each.name: each for each in record.attacks} if same else {}
    columns = column_names(run.path / SCORES)
    return [
        attack
        for attack in chosen
        if there.get(attack.name) != attack.record
        or attack.name not in columns
        or attack.function.__module__ == "__main__"
    ]


def _reason(run: RunDirectory, *, same: bool) -> str:
    """Why columns that were there are computed again; *same*: not because the passages are others."""
    if run.record.attacks and not same:
        return "its scores are of another input, and "
    if run.record.attacks and not column_names(run.path / SCORES):
        return f"its {SCORES} is missing or damaged, and "
    return ""


Needs = Iterator[tuple[str, str, frozenset[str]]]
"""The name of a column, the name of a pass, and the arrays that the column reads of it."""


def _needs(attacks: Iterable[Attack], others: Iterable[OtherColumn], planned: Sequence[PlannedPass]) -> Needs:
    for attack in attacks:
        yield from ((attack.name, each.name, attack.reads(each.declaration)) for each in planned)
    for column in others:
        yield column.name, column.role, column.attack.reads(column.replaces)
        rest = (each for each in planned if each.declaration != column.replaces)
        yield from ((column.name, each.name, column.attack.reads(each.declaration)) for each in rest)


def refuse_unreadable(run: RunDirectory, needs: Needs, reason: str = "") -> None:
    """Raise `RunDirectoryError` where a pass does not keep what a column needs; *reason* says why it is computed."""
    passes = run.record.passes
    lacking = [each for each in needs if each[1] in passes and passes[each[1]].lacks(each[2])]
    if lacking:
        _, name, fields = lacking[0]
        wanted_by = ", ".join(dict.fromkeys(column for column, of_pass, _ in lacking if of_pass == name))
        problem = not_kept(name, passes[name], [each for each in ALL_FIELDS if each in fields] or [*fields], wanted_by)
        raise RunDirectoryError(f"{run.path}: {reason}{problem}")


def _fields(planned: Sequence[PlannedPass], attacks: Sequence[Attack]) -> dict[str, tuple[str, ...] | None]:
    """By pass: the arrays of `TokenSignals` that the columns of *attacks* read; None: all, or continuations."""
    fields = {each.name: {ALWAYS}.union(*(attack.reads(each.declaration) for attack in attacks)) for each in planned}
    for each in planned:
        if each.name == each.role and is_other_role(each.role):
            fields[each.name] |= _of_other(each.role, attacks)
    for each in planned:  # a text that a rewrite does not change is not computed again
        if each.rewrite is not None and each.role in fields:
            fields[each.role] |= fields[each.name]
    return {each.name: None if each.samples is not None else _ordered(fields[each.name]) for each in planned}


def _of_other(role: str, attacks: Sequence[Attack]) -> frozenset[str]:
    """What the columns read of another model, which takes the place of the target, or of the first reference."""
    alone = [each for each in (*attacks, parse_attack("loss")) if {TARGET, "text"}.issuperset(each.evidence)]
    in_place = [] if role == REFERENCE else [each.reads(REFERENCE) for each in attacks]
    return frozenset[str]().union(*(each.reads(TARGET) for each in alone), *in_place)


def _ordered(fields: Iterable[str]) -> tuple[str, ...] | None:
    wanted = {*fields}
    ordered = tuple(name for name in ALL_FIELDS if name in wanted)
    return None if ordered == ALL_FIELDS else ordered
