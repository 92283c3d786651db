"""What results are made of: intervals, notes, and whether a known set may carry a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Interval", "Note", "Standing"]


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader has to know about a result, as data; `llm_mia.report` phrases it."""

    kind: str
    """What the note is about: a value of an enum of the package that writes the note."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: what the sentence mentions, by name."""


class Standing(StrEnum):
    """Whether a known set may carry a verdict, from best to worst."""

    SOUND = "sound"
    """No check showed a fault, and checks by another language model were among them."""
    NOT_CHECKED = "not_checked"
    """No check showed a fault, but no other language model has checked the texts: an n-gram model misses much."""
    DOUBTFUL = "doubtful"
    """A finding may be stated; it has to be read together with the faults that the checks showed."""
    UNTESTABLE = "untestable"
    """No finding may be stated, because there are too few documents to detect any fault."""
    VOID = "void"
    """No finding may be stated."""
    ACCEPTED = "accepted"
    """Untestable or void, and the user asked for findings all the same."""

    @property
    def withholds(self) -> bool:
        """Whether no finding may be stated."""
        return self in (Standing.UNTESTABLE, Standing.VOID)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95
