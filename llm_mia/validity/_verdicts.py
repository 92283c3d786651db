"""What a check says, and what all of them say together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from ..records import SCHEMA_VERSION, Interval

__all__ = ["Check", "Validity", "Verdict"]

Verdict: TypeAlias = Literal["sound", "doubtful", "void", "skipped"]
_FROM_BEST: tuple[Verdict, ...] = ("skipped", "sound", "doubtful", "void")


@dataclass(frozen=True, slots=True)
class Check:
    """One question put to the known set, and its answer."""

    name: str
    """Stable: ``blind_words_auroc``, ``leak_latest_year`` …"""
    figure: Interval | float | None
    """What was measured; None where nothing could be."""
    verdict: Verdict
    """``skipped`` says nothing, for or against."""
    why: str
    """Why it matters, one sentence."""
    mend: str
    """What would mend it, one sentence."""
    p_value: float | None = None
    """Of the permutation test over documents that the verdict rests on; None where there is none."""
    found: str = ""
    """What was seen, in words: the passages' ids, the limits of the figure, why it was skipped."""


@dataclass(frozen=True, slots=True)
class Validity:
    """May this known set carry a verdict? ``sound``: nothing was found against it. ``void``: none may be given."""

    verdict: Verdict
    """The worst of the checks; ``skipped`` ones count only where there are no others."""
    checks: tuple[Check, ...]
    """In a fixed order, each name once."""

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Validity:
        """The checks under the worst of their verdicts.

        >>> def check(verdict): return Check("one", 0.5, verdict, "", "")
        >>> Validity.of([check("sound"), check("void"), check("skipped")]).verdict
        'void'
        """
        kept = tuple(checks)
        return cls(max((check.verdict for check in kept), key=_FROM_BEST.index, default="skipped"), kept)

    def __getitem__(self, name: str) -> Check:
        """The check of that name; `KeyError` where there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def to_json(self) -> str:
        """The text of ``validity.json``: numbers stay numbers, a figure that could not be had is null."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict,
            "checks": [{**asdict(check), "figure": _plain(check.figure)} for check in self.checks],
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(figure: Interval | float | None) -> Any:
    if isinstance(figure, Interval):
        return asdict(figure)
    return None if figure is None or math.isnan(figure) else float(figure)
