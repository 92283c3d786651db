"""``calibration.json``: written with a digest, and refused on reading where its scores do not give its figures."""

from __future__ import annotations

import hashlib
import json
import textwrap
from dataclasses import fields
from itertools import count, islice
from pathlib import Path
from typing import Any

from ..errors import CalibrationError, LlmMiaError
from ..store import RecordError, from_json, to_json
from ._calibration import Calibration
from ._thresholds import CalibrationScores, assemble, basis_of

__all__ = ["calibration_from_json", "calibration_to_json", "read_calibration"]

SEAL = "sha256"


def calibration_to_json(calibration: Calibration) -> str:
    """The text of ``calibration.json``; `calibration_from_json` gives an equal calibration back.

    Its last entry, ``sha256``, is the digest of the others. It reveals an edit, not a forgery: whoever edits the file
    can compute another digest.

    Raises:
        CalibrationError: the shared evidence in its origin is not JSON.
    """
    try:
        entries = json.loads(to_json(calibration))
    except (TypeError, ValueError, RecursionError) as error:
        raise CalibrationError(f"the calibration cannot be written: {error}") from error
    entries[SEAL] = _digest(entries)
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def calibration_from_json(text: str) -> Calibration:
    """The calibration that `calibration_to_json` has written.

    Raises:
        CalibrationError: another text, another schema version, or a text that was edited.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise CalibrationError("is not JSON, so it is not a calibration: name a file that `calibrate` wrote") from None
    if not isinstance(entries, dict):
        raise CalibrationError("is not a calibration: name a file that `calibrate` wrote")
    seal = entries.pop(SEAL, None)
    try:
        written = from_json(Calibration, json.dumps(entries))
    except RecordError as error:
        raise CalibrationError(f"cannot be read as a calibration, because it {error}: calibrate again") from None
    rebuilt = _rebuilt(written)
    for each in fields(Calibration):
        if getattr(written, each.name) != getattr(rebuilt, each.name):
            raise CalibrationError(f"was edited ({_difference(each.name, written, rebuilt)}): calibrate again")
    if seal != _digest(entries):
        raise CalibrationError("was edited after it was written: calibrate again")
    return written


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in the file *path*.

    Raises:
        CalibrationError: no such file, or not what `calibrate` wrote.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CalibrationError(f"{path}: cannot be read ({reason}): name a file that `calibrate` wrote") from None
    try:
        return calibration_from_json(text)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from None


def _digest(entries: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def _rebuilt(written: Calibration) -> Calibration:
    """The calibration that the scores of *written*, and their documents, give."""
    by_size = any(category.pooled_by_size for category in written.categories.values())
    try:
        known = CalibrationScores.of(written.scores, written.documents or range(len(written.scores)))
        groups, numbers, alone = dict[str, tuple[CalibrationScores, tuple[str, ...]]](), dict[str | int, int](), count()
        for name, category in written.categories.items():
            documents = category.documents if written.documents else [*islice(alone, len(category.scores))]
            groups[name] = CalibrationScores.of(category.scores, documents, numbers), category.pooled
        return assemble(basis_of(written), known, groups, by_size=by_size)
    except LlmMiaError as error:  # whatever the scores, the rate or the confidence are refused for
        raise CalibrationError(f"was edited ({error}): calibrate again") from None


def _difference(name: str, written: Calibration, rebuilt: Calibration) -> str:
    """What an edit of *name* changed; scores are not shown."""
    if name == "scores":
        return "the scores are not those of the categories" if rebuilt.categories else "the scores are not ascending"
    if name == "categories":
        kind = next(kind for kind in rebuilt.categories if written.categories[kind] != rebuilt.categories[kind])
        return f"the figures of category {kind!r} are not those of its scores"
    return f"{name} should be {_shown(getattr(rebuilt, name))}, not {_shown(getattr(written, name))}"


def _shown(value: object) -> str:
    return textwrap.shorten(repr(value), 200, placeholder=" …")
