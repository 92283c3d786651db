"""Scores put beside the texts: whether all are there, and whether they separate sets that are alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ._judging import Rule, auroc_check, times
from ._material import CANDIDATE, MEMBER, NON_MEMBER, ROLES, Contrast, KnownScores, Material, listed
from ._permutation import exchange, given_test
from ._verdicts import Check, Verdict

__all__ = ["REFERENCE", "Column", "columns", "given_check", "ordered", "scores_checks"]

Floats = NDArray[np.float64]

REFERENCE = "reference"
"""Name of the column of the reference model's own scores; those of the target are ``attack …``."""
_MOST_MISSING = 0.01
_WHY = "A passage without a finite score can't be calibrated on, and to leave it out would choose the sample."
_MEND = "Find what made the scores (a passage without a scored token, an overflow), and score again."


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Scores of one kind."""

    values: Floats
    """Shape (passages,): NaN where a passage has none."""
    roles: tuple[int, ...]
    """The sets that it was given for."""


def columns(scores: KnownScores, material: Material) -> dict[str, Column]:
    """By name, one column for all sets; `UsageError` where an array is not as long as its set."""
    found: dict[str, Column] = {}
    for name, role, array in _arrays(scores):
        rows, values = material.rows(role), np.asarray(array, dtype=np.float64).ravel()
        if len(values) != len(rows):
            what = f"{len(values)} scores for {len(rows)} {ROLES[role]}"
            raise UsageError(f"{name}: {what}: give one for each, in their order")
        earlier = found.get(name, Column(np.full(len(material.passages), np.nan), ()))
        earlier.values[rows] = values
        found[name] = Column(earlier.values, (*earlier.roles, role))
    return found


def _arrays(scores: KnownScores) -> Iterator[tuple[str, int, ArrayLike]]:
    for role, by_attack, reference in (
        (NON_MEMBER, scores.nonmembers, scores.reference_nonmembers),
        (MEMBER, scores.members, scores.reference_members),
        (CANDIDATE, scores.candidates, scores.reference_candidates),
    ):
        yield from ((f"attack {name}", role, values) for name, values in by_attack.items())
        if reference is not None:
            yield REFERENCE, role, reference


def scores_checks(table: dict[str, Column], material: Material) -> list[Check]:
    """For each column the share of scores that are NaN or infinite, with their ids, and whether all are equal."""
    found = []
    for name, column in table.items():
        rows = material.rows(*column.roles)
        values = column.values[rows]
        bad = rows[~np.isfinite(values)]
        share = len(bad) / max(1, len(rows))
        equal = not len(bad) and len(values) > 1 and values.min() == values.max()
        seen = f"{len(bad)} NaN or infinite: {listed(material.ids(bad))}" if len(bad) else ""
        if equal:
            seen = f"all {len(values)} scores equal {values[0]:g}: they say nothing"
        verdict: Verdict = "doubtful" if equal or share > _MOST_MISSING else "sound"
        found.append(Check(f"scores_{name.replace(' ', '_')}", share, verdict, _WHY, _MEND, None, seen))
    return found


def ordered(values: Floats) -> Floats:
    """A passage without a score can never be flagged, so it stands below all others: NaN becomes −∞."""
    return np.where(np.isnan(values), -np.inf, values)


def given_check(
    name: str, column: Column, contrast: Contrast, material: Material, rule: Rule, rng: np.random.Generator
) -> Check:
    """AUROC of given scores between the two sets of *contrast*; skipped where they weren't given for both.

    Where the sets are alike: ``sound`` with probability at least 1 − level, exactly (`given_test`).
    """
    missing = [role for role in np.unique(material.roles[contrast.rows]).tolist() if role not in column.roles]
    if missing:
        seen = f"no scores of {' and '.join(ROLES[role] for role in missing)} were given"
        return Check(name, None, "skipped", rule.why, rule.mend, None, seen)
    values = ordered(column.values[contrast.rows])
    bad = contrast.rows[~np.isfinite(values)]
    seen = f"{len(bad)} NaN (taken as lowest) or infinite: {listed(material.ids(bad))}" if len(bad) else ""
    labels = exchange(contrast.labels, contrast.documents)
    tested = given_test(values[:, None], labels, level=rule.level, times=times(rule.level), rng=rng)[0]
    return auroc_check(name, values, contrast, labels, tested, rule, found=seen, two_sided=True)
