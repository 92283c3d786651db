"""How the attack that decides was selected, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ._rules import Unit

__all__ = ["Selection", "Shortage", "ShortageKind", "Wanted"]


class Wanted(StrEnum):
    """What the user wanted to decide by."""

    GIVEN = "given"
    """The attack that was named."""
    AUTO = "auto"
    """The attack that separates the fit part of the known set best."""
    STACK = "stack"
    """A score that is learned from all attacks on the fit part."""
    DEFAULT = "default"
    """The stack if the known set is large enough, else a fixed attack."""


class ShortageKind(StrEnum):
    """Which part of the known set is too small."""

    NO_MEMBERS = "no_members"
    NO_SPLIT = "no_split"
    """A class has fewer than two documents, so it cannot be split."""
    FIT_PART = "fit_part"
    CALIBRATION_PART = "calibration_part"


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why the known set is too small to select an attack or to fit a stack; as a string, in words."""

    kind: ShortageKind
    unit: Unit = Unit.DOCUMENTS
    """What the counts below count."""
    members: int = 0
    """In the fit part; of `NO_SPLIT` in the whole known set."""
    nonmembers: int = 0
    """In the fit part; of `NO_SPLIT` in the whole known set; of `CALIBRATION_PART` those left to calibrate on."""
    needed: int = 0
    """How many of each would be enough."""
    more_members: int = 0
    """How many the known set would need in addition."""
    more_nonmembers: int = 0

    def __str__(self) -> str:
        if self.kind is ShortageKind.NO_MEMBERS:
            return "no members are known"
        if self.kind is ShortageKind.NO_SPLIT:
            n, kind = (self.members, "members") if self.members < 2 else (self.nonmembers, "non-members")
            documents = "1 document" if n == 1 else f"{n} documents"
            if n == 0:
                parameter = kind.replace("-", "")
                return f"no {kind} are known, and each part of the split needs at least 1 document: give `{parameter}`"
            return f"the {kind} come from {documents}, and each part of the split needs at least 1: add documents"
        if self.kind is ShortageKind.FIT_PART:
            here = f"the fit part has {_counted(self.members, self.unit, 'members')}"
            both = f"{here} and {self.nonmembers} of non-members"
            return f"{both}, and {self.needed} of each are needed: add {self._missing}"
        left = f"only {_counted(self.nonmembers, self.unit, 'non-members')} would be left to set the threshold"
        return f"{left}, and {self.needed} are needed: add {self._missing}"

    @property
    def _missing(self) -> str:
        missing = ((self.more_members, "members"), (self.more_nonmembers, "non-members"))
        parts = [f"{_counted(n, self.unit, kind)}" for n, kind in missing if n]
        return f"{' and '.join(parts)} to the known set"


@dataclass(frozen=True, slots=True)
class Selection:
    """How the attack that decides was selected."""

    wanted: Wanted = Wanted.GIVEN
    aurocs: Mapping[str, float] = field(default_factory=dict)
    """Of each attack on the fit part, where the best of them decides."""
    shortage: Shortage | None = None
    """Why a fixed attack decides instead of what was wanted."""


def _counted(n: int, unit: Unit, kind: str) -> str:
    units = unit.value if n != 1 else unit.value.removesuffix("s")
    return f"{n} {units} of {kind}"
