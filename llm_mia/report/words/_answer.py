"""The answer of a command on one screen, in words that a terminal, a page and an exhibit show alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Answer", "Outcome"]


class Outcome(StrEnum):
    """What kind of answer it is; decides the colour, and nothing else."""

    FINDING = "finding"
    """The data are consistent with training, and nothing that was checked speaks against the finding."""
    DOUBTFUL = "doubtful"
    """A finding, with a reserve that its sentence names."""
    NO_FINDING = "no finding"
    WITHHELD = "withheld"
    """The known set cannot carry a finding."""
    PASSED = "passed"
    """A gate that no limit, and no fault of the known set, closes."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, from the question to what it rests on; plain text without markup.

    Each string is a whole sentence, or a name with a sentence, so that they can be read aloud in this order.
    """

    question: str
    """What was asked of which model."""
    outcome: Outcome
    headline: str
    """The finding, in a sentence; or that there is none, and why."""
    error_rate: str
    """How often such an answer is wrong, in a sentence; empty where it is withheld."""
    facts: tuple[tuple[str, str], ...]
    """What it finds, what it flags wrongly, what it cannot say: a short name and a sentence each."""
    trust: tuple[str, ...]
    """Whether the known set can be trusted: the standing, the worst check, what the answer rests on."""
    caveats: int
    """Notes that a reader ought to know, which the details list."""
    change: str = ""
    """What would give an answer where none is given; empty where one is."""
