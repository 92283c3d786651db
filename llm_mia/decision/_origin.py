"""Which model, precision, tokenizer and window rule made a column of scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..attacks import parse_attack, passes_needed
from ..errors import AttackError, CalibrationError
from ..scores import ScoreTable
from ..store import differences
from ._calibration import Calibration
from ._stack import Stack

__all__ = ["categories_of", "check_origin", "first_ids", "made_by"]

NAMED = 5


def made_by(table: ScoreTable, attack: str, columns: Sequence[str] = ()) -> dict[str, Any]:
    """The formulas and passes behind one column, or behind the *columns* of a stack, from the record of the table."""
    if table.record is None:
        return {}
    try:
        parsed = {name: parse_attack(name) for name in columns or (attack,)}
    except AttackError:  # somebody else's column beside ours
        return {}
    evidence = dict.fromkeys(name for one in parsed.values() for name in one.evidence)
    needed = dict.fromkeys([*passes_needed(parsed.values()), *evidence])
    # As JSON has them: they are compared with what was read from calibration.json.
    made = {name: json.loads(json.dumps(asdict(one))) for name, one in table.record.passes.items()}
    made = {name: {key: value for key, value in one.items() if key != "files"} for name, one in made.items()}
    made |= table.record.shared
    passes = {name: made[name] for name in needed if name in made}
    records = {name: one.record for name, one in parsed.items()} | {one.name: one for one in table.record.attacks}
    formulas = {name: {"formula": records[name].revision, "settings": dict(records[name].settings)} for name in parsed}
    return {"attacks": formulas, **passes}


def check_origin(table: ScoreTable, calibration: Calibration) -> list[str]:
    """Refuse scores of another making than those calibrated on; a note where nobody can tell."""
    columns = [column.name for column in Stack.read(calibration.stack).columns] if calibration.stack else []
    here = made_by(table, calibration.attack, columns)
    if not here or not calibration.calibrated_on:
        return ["one of scores and calibration does not say which model made it, so that they match is taken on trust"]
    what = "; ".join(differences(calibration.calibrated_on, here))
    if what:
        raise CalibrationError(
            f"calibrated on other scores than {table.name} ({what}): calibrate on the same model and rule"
        )
    return []


def categories_of(table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp]) -> list[str] | None:
    """The categories of *rows*, None without any; refused where the table was read by others than those calibrated."""
    if table.by != calibration.by:
        asked = f"by {calibration.by!r}" if calibration.by else "without categories"
        here = f"by {table.by!r}" if table.by else "without"
        raise CalibrationError(f"calibrated {asked}, but {table.name} was read {here}: read it as it was calibrated")
    return [table.categories[row] for row in rows] if table.by else None


def first_ids(ids: Iterable[str]) -> str:
    """The first few of *ids*, for a message of one line.

    >>> first_ids("abcdefg")
    "'a', 'b', 'c', 'd', 'e' and 2 more"
    """
    named = list(ids)
    more = len(named) - NAMED
    return ", ".join(map(repr, named[:NAMED])) + (f" and {more} more" if more > 0 else "")
