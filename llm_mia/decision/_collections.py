"""A single decision on all candidates together, as a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..documents import CollectionTest, PowerTable, collection_test, power_table, vanishing_difference
from ..errors import ScoresError, UsageError
from ..records import Note, Standing
from ..scores import ScoreTable, taken
from ._collection_others import OtherModel, compare_with_others
from ._equal_scores import join_equal_scores
from ._flags import joint_standing
from ._notes import NoteKind, first_ids
from ._score_checks import order_notes, refuse_non_scores, validation_notes
from ._selecting import DEFAULT_ATTACKS

__all__ = ["CollectionResult", "collection_attacks", "judge_collection"]

Side: TypeAlias = tuple[ArrayLike, Sequence[str]]
"""Scores of passages, and the document of each."""


@dataclass(frozen=True, slots=True)
class CollectionResult:
    """What the candidates' documents show together, compared with those of the known non-members."""

    attacks: tuple[str, ...]
    test: CollectionTest
    """Candidates against non-members, by the target alone."""
    others: tuple[OtherModel, ...]
    """The same, given the scores of each other model; empty where no other model has scored."""
    level: float
    """What the p-value is compared with."""
    vanishing: float | None
    """The AUROC of the least difference between candidates and non-members at which no finding would be left
    (`llm_mia.documents.vanishing_difference`); None where the test is not significant."""
    power: PowerTable | None
    """Documents that would be needed; None where the test of the target is significant or has nothing to plan with."""
    notes: tuple[Note, ...]
    known_set: Standing | None
    """Whether the known set may carry a verdict."""
    number: int = 1
    """Which of the decisions of its kind on the same candidates this is; `llm_mia.history` counts them."""
    level_share: float = 1.0
    """The share of `level` that this decision has; all decisions of its kind on the same candidates have at most 1."""

    @property
    def allowed(self) -> float:
        """The largest p-value with which this decision is a finding: its share of the level."""
        return self.level * self.level_share

    @property
    def p_value(self) -> float:
        """The largest p-value, of the test of the target and of those given another model's scores.

        A finding needs all of them, so its error rate is at most that of each test whose assumptions hold.
        """
        return _largest(self.test, self.others)

    @property
    def significant(self) -> bool:
        """Whether the p-value is at most what this decision is allowed."""
        return self.p_value <= self.allowed

    @property
    def resists(self) -> bool | None:
        """Whether each other model excludes, by its interval, the difference at which the finding would vanish.

        A difference in either direction counts, since texts that raise a model's scores may lower those of another.
        None where there is no finding, or no other model.
        """
        if self.vanishing is None or not self.others:
            return None
        return all(max(each.test.other.high, 1 - each.test.other.low) < self.vanishing for each in self.others)

    @property
    def standing(self) -> Standing | None:
        """Of the finding: that of the known set, but at best not checked without other models, or doubtful.

        It is doubtful where the finding does not resist. None where nothing was checked.
        """
        if self.resists is False and self.known_set in (None, Standing.SOUND, Standing.NOT_CHECKED):
            return Standing.DOUBTFUL
        if not self.others and self.known_set is Standing.SOUND:
            return Standing.NOT_CHECKED
        return self.known_set

    @property
    def withheld(self) -> bool:
        """Whether the test is computed but supports no finding, because the known set is void or untestable."""
        return self.known_set is not None and self.known_set.withholds


def judge_collection(
    table: ScoreTable,
    attacks: Sequence[str] = (),
    *,
    level: float = 0.05,
    seed: int = 0,
    accept_void: bool = False,
) -> CollectionResult:
    """Whether the candidates' documents together score higher than the non-members', and than other models predict.

    The result is significant at *level* with probability at most *level* if the candidates were not trained on and are
    exchangeable with the known non-members, document by document (`llm_mia.documents.collection_test`). Where other
    models have scored the passages, it has to be significant given the scores of each of them, too: then the error rate
    holds approximately even where the texts of the two sides differ, if the other models respond to that difference as
    the target does (`llm_mia.documents.difference_test`).

    Args:
        table: candidates and known non-members.
        attacks: columns; of several the largest difference counts, and the p-value allows for the choice. Empty:
            ``reference``, or else ``min_k``; in a table of other software, its only column.
        level: what the p-value is compared with.
        seed: of permutations and bootstrap.
        accept_void: state a finding although the known set is void.

    Raises:
        ScoresError: no candidates, no non-members, infinite scores, or a document on both sides.
        UsageError: no attack is named, and several are possible.
    """
    if table.places:
        raise ScoresError(
            f"{table.name}: scores of shadow models take the place of known non-members, and the test compares texts "
            "that the target has read: audit again with known non-members"
        )
    names = collection_attacks(table, attacks)
    refuse_non_scores(table, names)
    table, equal = join_equal_scores(table, names[0])
    for label, what in ((None, "candidates (rows without a label)"), (0, "known non-members (0)")):
        if not len(table.rows(label)):
            raise ScoresError(
                f"{table.name}: holds no {what}, and the test compares candidates with known non-members: add such rows"
            )
    candidates, nonmembers = _sides(table, names)
    test = collection_test(candidates, nonmembers, level=level, seed=seed)
    others, pairs, notes_of_others = compare_with_others(table, names, level=level, seed=seed)
    power, notes = None, [*equal, *validation_notes(table), *test.notes, *notes_of_others, *order_notes(table, names)]
    if test.p_value > level:
        power, notes_of_power = _power(candidates, nonmembers, level, several=len(names) > 1)
        notes += notes_of_power
    vanishing = None
    if _largest(test, others) <= level:
        vanishing = vanishing_difference(candidates, nonmembers, pairs, level=level, seed=seed)
    known_set = joint_standing(table.standing, accept_void=accept_void)
    return CollectionResult(names, test, others, level, vanishing, power, tuple(notes), known_set)


def _largest(test: CollectionTest, others: Sequence[OtherModel]) -> float:
    return max([test.p_value, *(other.test.p_value for other in others)])


def _sides(table: ScoreTable, names: Sequence[str]) -> tuple[Side, Side]:
    """Scores and documents of the candidates, and of the known non-members."""
    columns = [table.column(name) for name in names]
    infinite = np.flatnonzero(np.logical_or.reduce([np.isinf(column) for column in columns]) & (table.labels < 1))
    if len(infinite):
        named = first_ids(taken(table.ids, infinite))
        raise ScoresError(
            f"{table.name}: infinite scores ({named}), and a mean needs finite scores: search for the cause, and "
            "score again"
        )
    groups = table.groups()
    candidates, nonmembers = (
        (
            np.column_stack([column[rows] for column in columns]) if len(names) > 1 else columns[0][rows],
            groups.take(rows),
        )
        for rows in (table.rows(None), table.rows(0))
    )
    return candidates, nonmembers


def _power(candidates: Side, nonmembers: Side, level: float, *, several: bool) -> tuple[PowerTable | None, list[Note]]:
    """How many documents would be needed, or a note that says why that is not known."""
    if several:
        return None, [Note(NoteKind.POWER_OF_SEVERAL)]
    try:
        return power_table(candidates, nonmembers, level=level), []
    except ScoresError as error:
        return None, [Note(NoteKind.POWER_UNKNOWN, {"problem": str(error)})]


def collection_attacks(table: ScoreTable, attacks: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns by which `judge_collection` decides: *attacks*, or else the default of *table*.

    Raises:
        UsageError: no attack is named, and several are possible.
    """
    return tuple(attacks) or (_default_attack(table),)


def _default_attack(table: ScoreTable) -> str:
    if not table.named:
        return table.all_scores("attacks")[0]
    defaults = [name for name in DEFAULT_ATTACKS if table.record is not None and name in table.columns]
    if not defaults and len(table.columns) > 1:
        raise UsageError(
            f"{table.name}: has several columns of scores: name those to test as `attacks` ({', '.join(table.columns)})"
        )
    return [*defaults, *table.columns][0]
