"""Checks of the scores: whether all passages have a score, and whether scores separate sets that should not differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..records import Note
from ._judging import auroc_check, permutations_for
from ._sets import CANDIDATE, MEMBER, NON_MEMBER, ROLES, Contrast, KnownScores, PassageSets
from ._verdicts import Check, Verdict
from ._wording import first_ids
from .permutation import exchange_labels, given_test

__all__ = ["REFERENCE", "Column", "missing_as_lowest", "score_columns", "scores_checks", "separation_check"]

Floats = NDArray[np.float64]

REFERENCE = "reference"
"""Name of the column of the reference model's scores; those of the target are ``attack …``."""
_MOST_MISSING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Scores of an attack, or of the reference model."""

    values: Floats
    """Shape (passages,): NaN where a passage has none."""
    roles: tuple[int, ...]
    """The sets for which scores were given."""


def score_columns(scores: KnownScores, sets: PassageSets) -> dict[str, Column]:
    """A column by name, over all sets; `UsageError` where an array is not as long as its set."""
    columns: dict[str, Column] = {}
    for name, role, array in _arrays(scores):
        rows, values = sets.rows(role), np.asarray(array, dtype=np.float64).ravel()
        if len(values) != len(rows):
            sizes = f"{len(values)} scores for {len(rows)} {ROLES[role]}"
            raise UsageError(f"{name}: {sizes}: give a score for each, in their order")
        column = columns.get(name, Column(np.full(len(sets.passages), np.nan), ()))
        column.values[rows] = values
        columns[name] = Column(column.values, (*column.roles, role))
    return columns


def _arrays(scores: KnownScores) -> Iterator[tuple[str, int, ArrayLike]]:
    for role, by_attack, reference in (
        (NON_MEMBER, scores.nonmembers, scores.reference_nonmembers),
        (MEMBER, scores.members, scores.reference_members),
        (CANDIDATE, scores.candidates, scores.reference_candidates),
    ):
        yield from ((f"attack {name}", role, values) for name, values in by_attack.items())
        if reference is not None:
            yield REFERENCE, role, reference


def scores_checks(columns: dict[str, Column], sets: PassageSets) -> list[Check]:
    """For each column the share of scores that are NaN or infinite, with their ids, and whether all are equal."""
    checks = []
    for name, column in columns.items():
        rows = sets.rows(*column.roles)
        values = column.values[rows]
        bad = rows[~np.isfinite(values)]
        share = len(bad) / max(1, len(rows))
        equal = not len(bad) and len(values) > 1 and values.min() == values.max()
        notes = _missing_notes("not_finite", sets.ids(bad))
        if equal:
            notes = (Note("all_equal", {"count": len(values), "value": float(values[0])}),)
        verdict = Verdict.DOUBTFUL if equal or share > _MOST_MISSING else Verdict.SOUND
        checks.append(Check(f"scores_{name.replace(' ', '_')}", share, verdict, None, notes))
    return checks


def missing_as_lowest(values: Floats) -> Floats:
    """*values* with −∞ in place of NaN: a passage without a score is never flagged, so it ranks below all others."""
    return np.where(np.isnan(values), -np.inf, values)


def separation_check(
    name: str, column: Column, contrast: Contrast, sets: PassageSets, level: float, rng: np.random.Generator
) -> Check:
    """The AUROC of a column between the two sets of *contrast*; skipped where a set has no scores.

    If the sets do not differ, the check is ``sound`` with probability at least 1 − level, exactly (`given_test`).
    """
    missing = [role for role in np.unique(sets.roles[contrast.rows]).tolist() if role not in column.roles]
    if missing:
        not_given = Note("not_given", {"sets": [ROLES[role] for role in missing]})
        return Check(name, None, Verdict.SKIPPED, None, (not_given,))
    values = missing_as_lowest(column.values[contrast.rows])
    bad = contrast.rows[~np.isfinite(values)]
    notes = _missing_notes("not_finite_lowest", sets.ids(bad))
    labels = exchange_labels(contrast.labels, contrast.documents)
    result = given_test(values[:, None], labels, level=level, permutations=permutations_for(level), rng=rng)[0]
    return auroc_check(name, values, contrast, labels, result, level, notes=notes, two_sided=True)


def _missing_notes(kind: str, ids: list[str]) -> tuple[Note, ...]:
    return (Note(kind, first_ids(ids)),) if ids else ()
