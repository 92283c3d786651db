"""A check of a known set, and the verdict of all checks together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from ..metrics import RocPoints
from ..records import SCHEMA_VERSION, Interval, Note, Standing
from ._wording import details, remedy, why

__all__ = ["Check", "Validity", "Verdict"]


class Verdict(StrEnum):
    """The result of a check."""

    SKIPPED = "skipped"
    """The check was not possible; it counts neither for nor against the known set."""
    SOUND = "sound"
    """No fault was detected."""
    DOUBTFUL = "doubtful"
    """A finding may be stated; it has to be read together with this check."""
    UNTESTABLE = "untestable"
    """No finding may be stated, because there are too few documents to detect any fault."""
    VOID = "void"
    """No finding may be stated."""


_FROM_BEST = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Check:
    """A check of the known set, and its result."""

    name: str
    """Stable: ``blind_words_auroc``, ``leak_latest_year`` …"""
    figure: Interval | float | None
    """The measured value; None where it could not be measured."""
    verdict: Verdict
    p_value: float | None = None
    """Of the permutation test over documents that the verdict is based on; None where there is none.

    It is adjusted for the other checks that the same test makes."""
    notes: tuple[Note, ...] = ()
    """Details: ids of passages or documents, the limits of the figure, the reason why the check was skipped."""
    detectable: float | None = None
    """The AUROC that would have been significant with a probability of 0.8; None for checks of other figures."""
    roc: RocPoints | None = None
    """Of the scores behind the figure, for members against non-members: the blind baselines; None for other checks."""

    @property
    def is_fault(self) -> bool:
        """Whether a finding is withheld because of this check, or has to be read together with it."""
        return self.verdict not in (Verdict.SKIPPED, Verdict.SOUND)

    @property
    def why(self) -> str:
        """Why the check matters, in a sentence."""
        return why(self.name)

    @property
    def remedy(self) -> str:
        """What removes the fault, in a sentence."""
        return remedy(self.name, self.notes)

    @property
    def details(self) -> str:
        """What the check could have detected, and the notes in words; empty where there is nothing to say."""
        return details(self.notes, self.detectable)

    @property
    def ids(self) -> list[str]:
        """The passages or documents that the check names; empty where its notes keep only the first of them."""
        named = [note.figures for note in self.notes if "ids" in note.figures]
        return [name for figures in named if len(figures["ids"]) == figures["count"] for name in figures["ids"]]


@dataclass(frozen=True, slots=True)
class Validity:
    """Whether a known set may carry a verdict: the checks, and what follows from all of them."""

    standing: Standing | None
    """None where every check was skipped."""
    checks: tuple[Check, ...]
    """In a fixed order; no name occurs twice."""

    @classmethod
    def of(cls, checks: Iterable[Check], *, compared: bool) -> Validity:
        """The checks, with the worst of their verdicts as the standing.

        Where no check shows a fault, the standing is ``sound`` only if another model was *compared*, too.

        >>> checks = [Check("near_duplicates", 0.5, verdict) for verdict in (Verdict.SOUND, Verdict.VOID)]
        >>> str(Validity.of(checks, compared=True).standing), str(Validity.of(checks[:1], compared=False).standing)
        ('void', 'not_checked')
        """
        kept = tuple(checks)
        worst = max((check.verdict for check in kept), key=_FROM_BEST.index, default=Verdict.SKIPPED)
        if worst is Verdict.SKIPPED:
            return cls(None, kept)
        standing = Standing(worst.value)
        return cls(Standing.NOT_CHECKED if standing is Standing.SOUND and not compared else standing, kept)

    def __getitem__(self, name: str) -> Check:
        """The check of that name; `KeyError` where there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def without_ids(self) -> Validity:
        """The same checks, without the ids of the passages and documents that they name."""
        checks = (replace(check, notes=tuple(map(_without_ids, check.notes))) for check in self.checks)
        return replace(self, checks=tuple(checks))

    def to_json(self) -> str:
        """The text of ``validity.json``: numbers stay numbers, a figure that could not be measured is null."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "standing": self.standing,
            "checks": [_check_document(check) for check in self.checks],
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _without_ids(note: Note) -> Note:
    return Note(note.kind, {**note.figures, "ids": []}) if "ids" in note.figures else note


def _check_document(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "figure": _plain(check.figure),
        "verdict": check.verdict,
        "why": check.why,
        "remedy": check.remedy,
        "p_value": check.p_value,
        "detectable": check.detectable,
        "details": check.details,
        "ids": check.ids,
    }


def _plain(figure: Interval | float | None) -> Any:
    if isinstance(figure, Interval):
        return asdict(figure)
    return None if figure is None or math.isnan(figure) else float(figure)
