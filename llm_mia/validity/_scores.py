"""Checks of the scores: whether all passages have a score, and whether scores separate sets that should not differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..records import Note
from ._judging import auroc_check, few_arrangements, few_documents, permutations_for
from ._sets import CANDIDATE, MEMBER, NON_MEMBER, ROLES, Contrast, KnownScores, PassageSets
from ._verdicts import Check, Verdict
from ._wording import first_ids
from .permutation import exchange_labels, given_test

__all__ = [
    "Column",
    "in_check_name",
    "missing_scores_check",
    "placebo_score_checks",
    "score_columns",
    "separation_checks",
]

Floats = NDArray[np.float64]

_MOST_MISSING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Scores of an attack, with the target or with another model in its place."""

    values: Floats
    """Shape (passages,): NaN where a passage has none."""
    roles: tuple[int, ...]
    """The sets for which scores were given."""


def score_columns(scores: KnownScores, sets: PassageSets, model: str = "attack") -> dict[str, Column]:
    """A column by attack, over all sets; `UsageError` where an array is not as long as its set."""
    columns: dict[str, Column] = {}
    for role, by_attack in ((NON_MEMBER, scores.nonmembers), (MEMBER, scores.members), (CANDIDATE, scores.candidates)):
        rows = sets.rows(role)
        for name, array in by_attack.items():
            values = np.asarray(array, dtype=np.float64).ravel()
            if len(values) != len(rows):
                sizes = f"{len(values)} scores for {len(rows)} {ROLES[role]}"
                raise UsageError(f"{model} {name}: {sizes}: give a score for each, in their order")
            column = columns.get(name, Column(np.full(len(sets.passages), np.nan), ()))
            column.values[rows] = values
            columns[name] = Column(column.values, (*column.roles, role))
    return columns


def missing_scores_check(name: str, column: Column, sets: PassageSets) -> Check:
    """The share of scores that are NaN or infinite, with their ids, and whether all are equal."""
    rows = sets.rows(*column.roles)
    values = column.values[rows]
    bad = rows[~np.isfinite(values)]
    share = len(bad) / max(1, len(rows))
    notes = (Note("not_finite", first_ids(sets.ids(bad))),) if len(bad) else ()
    equal = not len(bad) and len(values) > 1 and values.min() == values.max()
    if equal:
        notes = (Note("all_equal", {"count": len(values), "value": float(values[0])}),)
    verdict = Verdict.DOUBTFUL if equal or share > _MOST_MISSING else Verdict.SOUND
    return Check(name, share, verdict, notes=notes)


def placebo_score_checks(
    columns: Mapping[str, Column], halves: Contrast, sets: PassageSets, level: float, rng: np.random.Generator
) -> list[Check]:
    """The AUROC of each attack between two halves of the non-members.

    A passage without a score ranks below all others, because it is never flagged.
    """
    named = {f"placebo_attack_{in_check_name(attack)}_auroc": column for attack, column in columns.items()}
    given = {name: column for name, column in named.items() if NON_MEMBER in column.roles}
    missing = halves.rows[[any(np.isnan(each.values[row]) for each in given.values()) for row in halves.rows]]
    notes = (Note("not_finite_lowest", first_ids(sets.ids(missing))),) if len(missing) else ()
    lowest = {
        name: Column(np.where(np.isnan(each.values), -np.inf, each.values), each.roles) for name, each in given.items()
    }
    checks = {check.name: check for check in separation_checks(lowest, halves, level, rng, notes)}
    not_given = (Note("not_given", {"sets": [ROLES[NON_MEMBER]]}),)
    return [checks.get(name) or Check(name, None, Verdict.SKIPPED, notes=not_given) for name in named]


def separation_checks(
    columns: Mapping[str, Column],
    contrast: Contrast,
    level: float,
    rng: np.random.Generator,
    notes: tuple[Note, ...] = (),
) -> list[Check]:
    """The AUROC of each column, by the name of its check, between the two sets of *contrast*.

    If the sets do not differ, all checks are ``sound`` with probability at least 1 − *level*, exactly (`given_test`).
    A check is skipped where no figure could be significant, and where all scores are equal.
    """
    if not columns:
        return []
    labels = exchange_labels(contrast.labels, contrast.documents)
    if min(map(contrast.count_documents, (True, False))) < 1 or few_arrangements(labels, level, two_sided=True):
        few = few_documents(contrast, level)
        return [Check(name, None, Verdict.SKIPPED, notes=(few,)) for name in columns]
    scores = np.column_stack([column.values[contrast.rows] for column in columns.values()])
    results = given_test(scores, labels, level=level, permutations=permutations_for(level), rng=rng)
    checks = []
    for name, values, result in zip(columns, scores.T, results, strict=True):
        check = auroc_check(name, values, contrast, result, level, notes=notes, two_sided=True)
        if values.min() == values.max():
            equal = Note("all_equal", {"count": len(values), "value": float(values[0])})
            check = replace(check, verdict=Verdict.SKIPPED, detectable=None, notes=(*notes, equal))
        checks.append(check)
    return checks


def in_check_name(attack: str) -> str:
    """The name of an *attack* as a part of the name of a check."""
    return attack.replace(" ", "_")
