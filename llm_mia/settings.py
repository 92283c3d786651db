"""Names with settings, as a user types them: the attack ``min_k:k=0.1``, the defence ``dropout:p=0.2``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .errors import LlmMiaError

__all__ = ["Numbers", "Settings", "Value", "Words", "read_settings", "unknown_name"]

Value: TypeAlias = int | float | str
"""The value of a setting."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers that a setting may have."""

    low: float
    high: float
    whole: bool = False
    above_low: bool = False
    """Whether *low* itself is excluded."""
    below_high: bool = False
    """Whether *high* itself is excluded."""

    def parse(self, value: str) -> Value:
        """The number that *value* writes.

        Raises:
            ValueError: the message ends a sentence that begins with the value.
        """
        try:
            number: float = int(value) if self.whole else float(value)
        except ValueError:
            raise ValueError("is not a whole number" if self.whole else "is not a number") from None
        excluded = (self.above_low and number == self.low) or (self.below_high and number == self.high)
        if excluded or not self.low <= number <= self.high:  # NaN is not within it either
            raise ValueError(f"is out of range; it must be {self}")
        return number

    def __str__(self) -> str:
        """The range in words.

        >>> str(Numbers(1, 100, whole=True)), str(Numbers(0, 1, above_low=True)), str(Numbers(0, math.inf))
        ('a whole number from 1 to 100', 'above 0 and at most 1', 'at least 0')
        """
        low, high = f"{self.low:,.10g}", f"{self.high:,.10g}"
        if not (self.above_low or self.below_high or math.isinf(self.high)):
            return f"{'a whole number ' if self.whole else ''}from {low} to {high}"
        words = f"above {low}" if self.above_low else f"at least {low}"
        if math.isinf(self.high):
            return words
        return f"{words} and {'below' if self.below_high else 'at most'} {high}"


@dataclass(frozen=True, slots=True)
class Words:
    """The words that a setting may have."""

    choices: tuple[str, ...]

    def parse(self, value: str) -> Value:
        """*value* where it is among them.

        Raises:
            ValueError: the message ends a sentence that begins with the value.
        """
        if value not in self.choices:
            raise ValueError(f"is not among the choices: {', '.join(self.choices)}")
        return value


Settings: TypeAlias = Mapping[str, Numbers | Words]


def read_settings(kind: str, spec: str, settings: Settings, error: type[LlmMiaError]) -> dict[str, Value]:
    """The settings that *spec* gives behind a name and a colon; empty where it is a name alone.

    Args:
        kind: what is named, for messages: ``attack``.
        spec: as the user typed it: ``min_k:k=0.1``.
        settings: those that it has.
        error: raised for a setting that it lacks, a value that the setting cannot have, and a setting given twice.

    >>> from llm_mia.errors import UsageError
    >>> read_settings("defence", "dropout:p=0.2", {"p": Numbers(0, 1)}, UsageError)
    {'p': 0.2}
    """
    name, colon, typed = spec.partition(":")
    values: dict[str, Value] = {}
    for setting in typed.split(",") if colon else ():
        key, _, value = setting.partition("=")
        if key not in settings:
            known = ", ".join(settings) or "none"
            raise error(f"{kind} {name!r} has no setting {key!r}; it has: {known}")
        if key in values:
            raise error(f"{kind} {name!r}: setting {key!r} is given twice")
        try:
            values[key] = settings[key].parse(value)
        except ValueError as reason:
            raise error(f"{kind} {name!r}: {key}={value} {reason}") from None
    return values


def unknown_name(kind: str, name: str, known: Collection[str]) -> str:
    """The sentence that nothing of this *kind* has the *name*, with the nearest of the *known* names.

    >>> unknown_name("attack", "mink", ["min_k", "loss"])
    "no attack is named 'mink': did you mean 'min_k'?"
    """
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"no {kind} is named {name!r}: {hint}"
