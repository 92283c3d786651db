"""Columns of scores by another model than the target: ``min_k@stand-in`` is ``min_k`` of the stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..records import STAND_IN
from ._arrays import floats, refuse_other_length

__all__ = ["is_other_role", "other_column", "scores_of_role", "split_other"]

MARK = "@"
_ROLE = re.compile(rf"reference(-[2-9]|-[1-9]\d+)?|{STAND_IN}")


def is_other_role(role: str) -> bool:
    """Whether a model in this *role* cannot know the passages: a reference model, or the stand-in.

    >>> [is_other_role(role) for role in ("reference", "reference-2", "stand-in", "target", "shadow-00")]
    [True, True, True, False, False]
    """
    return _ROLE.fullmatch(role) is not None


def other_column(attack: str, role: str) -> str:
    """The name of the column of *attack* with the model of *role* in the place of another.

    >>> other_column("min_k:k=0.1", "reference-2")
    'min_k:k=0.1@reference-2'
    """
    return f"{attack}{MARK}{role}"


def split_other(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Those of the *names* of columns that are of another model: each with the attack and the role.

    >>> split_other(["min_k", "min_k@stand-in", "precision@k", "@reference"])
    {'min_k@stand-in': ('min_k', 'stand-in')}
    """
    parts = ((name, name.rpartition(MARK)) for name in names)
    return {name: (attack, role) for name, (attack, _, role) in parts if attack and is_other_role(role)}


def scores_of_role(role: str, given: Mapping[str, ArrayLike], n: int, name: str) -> dict[str, NDArray[np.float64]]:
    """Scores by the model of *role* that are in memory, by attack, each of shape (n,).

    Raises:
        UsageError: no other model has this role, or the scores are of another length or no numbers; names the table.
    """
    if not is_other_role(role):
        raise UsageError(
            f"{name}: `others` has the role {role!r}: it must be 'reference', 'reference-2', 'reference-3' …, or "
            "'stand-in'"
        )
    columns = {}
    for attack, values in given.items():
        what = f"others[{role!r}][{attack!r}]"
        columns[str(attack)] = floats(what, values, name)
        refuse_other_length(what, columns[str(attack)], n, name)
    return columns
