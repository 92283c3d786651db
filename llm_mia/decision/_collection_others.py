"""The candidates as a collection, compared with what the scores of other models predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..attacks import parse_attack
from ..documents import DifferenceTest, Pairs, difference_test, documents_needed
from ..errors import AttackError
from ..records import Note, SharedNames
from ..scores import ScoreTable
from ._notes import NoteKind

__all__ = ["OtherModel", "compare_with_others", "takes_other_model"]

Columns = Mapping[str, NDArray[np.float64]]
LIKELIHOOD = "loss"


@dataclass(frozen=True, slots=True)
class OtherModel:
    """The test of the collection, given the scores of another model."""

    role: str
    """The role of the other model: ``reference``, ``reference-2``, ``stand-in``."""
    attacks: tuple[str, ...]
    """The attacks by which the two models are compared: those of the test, or ``loss``."""
    test: DifferenceTest


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Scores of the target and of the other model, a column for each attack."""

    attacks: tuple[str, ...]
    target: Sequence[NDArray[np.float64]]
    other: Sequence[NDArray[np.float64]]
    same_attack: bool


def compare_with_others(
    table: ScoreTable, names: Sequence[str], *, level: float, seed: int
) -> tuple[tuple[OtherModel, ...], tuple[Pairs, ...], list[Note]]:
    """For each other model of *table*: the tests given its scores, and the evidence; notes where there is no test.

    An attack of the target alone is compared with the same attack by the other model. Where an attack takes more than
    the target's signals, such as a reference model, the two models are compared by ``loss``. For a second reference,
    the attack that takes it in the place of the first is tested too, with its ``loss`` as a covariate.
    """
    tests: list[OtherModel] = []
    pairs, notes = [], []
    for role, columns in table.others.items():
        for comparison in _comparisons(table, names, columns):
            unscored = np.isnan(np.column_stack([*comparison.target, *comparison.other]))
            if any(unscored[table.rows(label)].any(axis=1).all() for label in (None, 0)):
                notes.append(Note(NoteKind.OTHER_UNSCORED, {"role": role}))
                continue
            test, evidence = difference_test(
                *_sides(table, comparison), same_attack=comparison.same_attack, level=level, seed=seed
            )
            if test.smallest_p > level:
                notes.append(_few_documents(role, test, level))
            tests.append(OtherModel(role, comparison.attacks, test))
            pairs.append(evidence)
    return tuple(tests), tuple(pairs), notes


def _comparisons(table: ScoreTable, names: Sequence[str], columns: Columns) -> list[_Comparison]:
    """The ways in which another model, with scores *columns*, is compared with the target."""
    with_it = {name for name in names if name in columns and takes_other_model(name)}
    if all(name in columns for name in names) and not with_it:
        return [_Comparison(tuple(names), [table.column(name) for name in names], [columns[n] for n in names], True)]
    likelihoods = [columns[LIKELIHOOD]]
    comparisons = []
    if with_it or LIKELIHOOD not in table.columns:
        target = [columns[name] if name in with_it else table.column(name) for name in names]
        comparisons.append(_Comparison(tuple(names), target, likelihoods * len(names), False))
    if LIKELIHOOD in table.columns:
        comparisons.append(_Comparison((LIKELIHOOD,), [table.columns[LIKELIHOOD]], likelihoods, True))
    return comparisons


def _sides(
    table: ScoreTable, comparison: _Comparison
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], SharedNames]]:
    """Both models' scores and the documents, of the candidates and of the non-members."""
    groups = table.groups()
    return [
        (
            np.column_stack([scores[rows] for scores in comparison.target]),
            np.column_stack([scores[rows] for scores in comparison.other]),
            groups.take(rows),
        )
        for rows in (table.rows(None), table.rows(0))
    ]


def _few_documents(role: str, test: DifferenceTest, level: float) -> Note:
    candidates, nonmembers = test.n_documents
    figures = {"candidates": candidates, "nonmembers": nonmembers, "smallest_p": test.smallest_p, "level": level}
    return Note(NoteKind.OTHER_FEW_DOCUMENTS, {"role": role, **figures, "needed": documents_needed(level)})


def takes_other_model(name: str) -> bool:
    """Whether the attack itself takes another model than the target; False for scores of other software."""
    try:
        kinds = parse_attack(name).kinds
    except AttackError:
        return False
    return any(not declared.matches("target") for kind in kinds for declared in kind.passes)
