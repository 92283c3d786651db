"""One decision on all candidates together, as a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..documents import CollectionTest, PowerTable, collection_test, describe_note, power_table
from ..errors import ScoresError, UsageError
from ..scores import ScoreTable
from ._choosing import DEFAULTS
from ._flags import VOID, standing_words, verdict
from ._origin import first_ids

__all__ = ["CollectionResult", "judge_collection"]


@dataclass(frozen=True, slots=True)
class CollectionResult:
    """What the candidates' documents show together, beside those of the known non-members."""

    attacks: tuple[str, ...]
    test: CollectionTest
    level: float
    """What p-values are held against."""
    power: PowerTable | None
    """Documents that would be needed; None where the test found something or has nothing to plan with."""
    notes: tuple[str, ...]
    validity: str
    """What was said of the known set; ``void`` withholds the finding."""

    @property
    def found(self) -> bool:
        """Whether the p-value is at most the level."""
        return self.test.p_value <= self.level

    @property
    def withheld(self) -> bool:
        """Whether the test is computed but means nothing: the known set is void."""
        return self.validity == VOID


def judge_collection(
    table: ScoreTable,
    attacks: Sequence[str] = (),
    *,
    level: float = 0.05,
    seed: int = 0,
    accept_void: bool = False,
) -> CollectionResult:
    """Significant at *level* with probability at most *level* if the candidates were not trained on and could as well
    have been the known non-members, document by document (`llm_mia.documents.collection_test`).

    Several attacks are joined by weights that are learned on half of the documents and tested on the others; none
    named: ``reference`` or else ``min_k``, of somebody else's table its only column.

    Raises:
        ScoresError: no candidates, no non-members, infinite scores, a document on both sides, or no attack named where
            several might be meant.
    """
    names = tuple(attacks) or (_only_attack(table),)
    for label, what in ((None, "candidates (rows without a label)"), (0, "known non-members (0)")):
        if not len(table.rows(label)):
            raise ScoresError(
                f"{table.name}: no {what}: a collection is tested against documents known not to be in it"
            )
    scores = np.column_stack([table.column(name) for name in names])
    infinite = first_ids(
        table.ids[row] for row in np.flatnonzero(np.isinf(scores).any(axis=1) & (table.labels < 1)).tolist()
    )
    if infinite:
        raise ScoresError(f"{table.name}: infinite scores ({infinite}): a mean needs finite ones; see what made them")
    groups = table.groups()
    suspect, control = (
        (scores[rows] if len(names) > 1 else scores[rows, 0], [groups[row] for row in rows])
        for rows in (table.rows(None), table.rows(0))
    )
    test = collection_test(suspect, control, level=level, seed=seed)
    power, notes = None, [describe_note(note) for note in test.notes]
    if test.p_value > level:
        if len(names) > 1:
            notes.append("how many documents would do is told for a single attack: name one")
        else:
            try:
                power = power_table(suspect, control, level=level)
            except ScoresError as error:
                notes.append(f"how many documents would do cannot be told: {error}")
    validity = verdict(standing_words(table.standing), accept_void=accept_void)
    return CollectionResult(names, test, level, power, tuple(notes), validity)


def _only_attack(table: ScoreTable) -> str:
    named = [name for name in DEFAULTS if table.record is not None and name in table.columns]
    if not named and len(table.columns) > 1:
        raise UsageError(f"{table.name}: `attacks` must name one or more of its columns: {', '.join(table.columns)}")
    return [*named, *table.columns][0]
