"""The candidates as a collection, compared by what other models' scores lead to expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..attacks import parse_attack
from ..documents import DifferenceTest, Pairs, difference_test, documents_needed
from ..errors import AttackError
from ..records import Note
from ..scores import ScoreTable
from ._notes import NoteKind

__all__ = ["OtherModel", "compare_with_others", "takes_other_model"]

Columns = Mapping[str, NDArray[np.float64]]
LIKELIHOOD = "loss"


@dataclass(frozen=True, slots=True)
class OtherModel:
    """What the test of the collection gives when another model's scores are known."""

    role: str
    """The role of the other model: ``reference``, ``reference-2``, ``stand-in``."""
    attacks: tuple[str, ...]
    """The attacks by which the other model scored: those of the test, or ``loss``."""
    test: DifferenceTest


def compare_with_others(
    table: ScoreTable, names: Sequence[str], *, level: float, seed: int
) -> tuple[tuple[OtherModel, ...], tuple[Pairs, ...], list[Note]]:
    """For each other model of *table*: the test given its scores, and the evidence; notes where there is no test.

    An attack of the target alone is compared with the same attack by the other model. Where an attack takes other
    evidence too, such as a reference model, the other model's ``loss`` is a covariate. For the second reference such an
    attack is the column that compares the target with the second reference.
    """
    tests, pairs, notes = [], [], []
    for role, columns in table.others.items():
        target, other, attacks, same = _columns(table, names, columns)
        unscored = np.isnan(np.column_stack([*target, *other]))
        if any(unscored[table.rows(label)].any(axis=1).all() for label in (None, 0)):
            notes.append(Note(NoteKind.OTHER_UNSCORED, {"role": role}))
            continue
        groups = table.groups()
        sides = [
            (
                np.column_stack([scores[rows] for scores in target]),
                np.column_stack([scores[rows] for scores in other]),
                [groups[row] for row in rows],
            )
            for rows in (table.rows(None), table.rows(0))
        ]
        test, evidence = difference_test(*sides, same_attack=same, level=level, seed=seed)
        if test.smallest_p > level:
            candidates, nonmembers = test.n_documents
            figures = {"candidates": candidates, "nonmembers": nonmembers, "smallest_p": test.smallest_p}
            needed = documents_needed(level)
            notes.append(
                Note(NoteKind.OTHER_FEW_DOCUMENTS, {"role": role, **figures, "level": level, "needed": needed})
            )
        tests.append(OtherModel(role, attacks, test))
        pairs.append(evidence)
    return tuple(tests), tuple(pairs), notes


def _columns(
    table: ScoreTable, names: Sequence[str], columns: Columns
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]], tuple[str, ...], bool]:
    """Scores of the target, scores of the other model, its attacks, and whether these are the same attacks."""
    alone = [name for name in names if name in columns and not takes_other_model(name)]
    if len(alone) == len(names):
        return [table.column(name) for name in names], [columns[name] for name in names], tuple(names), True
    target = [columns[name] if name in columns and name not in alone else table.column(name) for name in names]
    return target, [columns[LIKELIHOOD]] * len(names), (LIKELIHOOD,), False


def takes_other_model(name: str) -> bool:
    """Whether the attack itself takes another model than the target; False for scores of other software."""
    try:
        kinds = parse_attack(name).kinds
    except AttackError:
        return False
    return any(not declared.matches("target") for kind in kinds for declared in kind.passes)
