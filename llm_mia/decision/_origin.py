"""The origin of a column of scores: models, precision, tokenizer, window rule, formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..attacks import EVIDENCE, parse_attack
from ..errors import AttackError, CalibrationError
from ..records import AttackRecord, Note, PassRecord
from ..scores import ScoreTable
from ..store import differences
from ._notes import NoteKind

if TYPE_CHECKING:
    from ._calibration import Calibration

__all__ = ["Origin", "categories_of", "check_origin", "origin_of"]


@dataclass(frozen=True, slots=True)
class Origin:
    """What the scores of an attack, or of all attacks of a stack, depend on."""

    passes: Mapping[str, PassRecord] = field(default_factory=dict)
    """By name."""
    attacks: tuple[AttackRecord, ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    """JSON values, by kind of evidence: what the scores depend on in addition to the passes."""


def origin_of(table: ScoreTable, columns: Iterable[str]) -> Origin | None:
    """The origin of these *columns* of a table; None where the table does not record it."""
    if table.record is None:
        return None
    recorded = {attack.name: attack for attack in table.record.attacks}
    names = sorted({column.removeprefix("-") for column in columns})
    if not set(names) <= recorded.keys():  # a column that somebody has added to the run's columns
        return None
    try:
        evidence = {kind for name in names for kind in parse_attack(name).evidence}
    except AttackError:  # it is of a notebook, or of a package that is not installed here
        evidence = {kind for name in names for kind in recorded[name].evidence}
        if not evidence <= EVIDENCE.keys():  # which passes another kind takes is not known
            return None
    needed = evidence | {declared.name for kind in evidence for declared in EVIDENCE[kind].passes}
    return Origin(
        passes={name: record for name, record in table.record.passes.items() if name in needed},
        attacks=tuple(recorded[name] for name in names),
        shared={kind: value for kind, value in table.record.shared.items() if kind in needed},
    )


def check_origin(table: ScoreTable, calibration: Calibration) -> list[Note]:
    """Refuse scores of another origin than the calibration's; a note where the table or the calibration records none.

    Raises:
        CalibrationError: another model, precision, tokenizer, window rule, formula, or other shared evidence.
    """
    columns = [column.name for column in calibration.stack.columns] if calibration.stack else [calibration.attack]
    here = origin_of(table, columns)
    if here is None or calibration.origin is None:
        return [Note(NoteKind.ORIGIN_UNKNOWN, {})]
    what = "; ".join(_differences(calibration.origin, here))
    if what:
        raise CalibrationError(
            f"{table.name}: its scores were not computed like the scores of the calibration ({what}): calibrate scores "
            "of the same models, window rule and attacks"
        )
    return []


def _differences(calibrated: Origin, here: Origin) -> Iterator[str]:
    """What differs between two origins, a phrase each."""
    yield from differences(_plain(calibrated), _plain(here))


def _plain(origin: Origin) -> dict[str, Any]:
    """An origin as nested mappings; the files of a model are left out, because its weights are compared.

    The revision of a formula is called ``formula`` here, because `differences` does not compare a ``revision``, which
    is the commit of a model.
    """
    passes = {name: asdict(replace(record, files=None)) for name, record in origin.passes.items()}
    attacks = {f"attack {attack.name}": {"formula": attack.revision, **_settings(attack)} for attack in origin.attacks}
    return {**passes, **attacks, **origin.shared}


def _settings(attack: AttackRecord) -> dict[str, float | str]:
    """The settings under names that `differences` compares, whatever they are called: ``block`` is one it does not."""
    return {f"setting {name}": value for name, value in attack.settings.items()}


def categories_of(table: ScoreTable, calibration: Calibration, rows: NDArray[np.intp]) -> Sequence[str] | None:
    """The categories of *rows*; None where the calibration has none.

    Raises:
        CalibrationError: the table was read with other categories than the calibration has.
    """
    if table.by != calibration.by:
        calibrated = f"by {calibration.by!r}" if calibration.by else "without categories"
        here = f"by {table.by!r}" if table.by else "without categories"
        raise CalibrationError(
            f"the calibration was computed {calibrated}, but {table.name} was read {here}: give the same `by` to both"
        )
    return [table.categories[row] for row in rows] if table.by else None
