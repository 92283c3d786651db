"""How far a pass has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ._inputs import Inputs

__all__ = ["Progress", "Step", "Tally"]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a pass has come."""

    name: str
    """The name of a pass, or ``scores``."""
    passages: int
    tokens: int
    bytes: int
    total_passages: int
    total_bytes: int


Progress = Callable[[Step], None]


class Tally:
    """Is told of passages, tokens and bytes done, and tells *progress* the sums."""

    def __init__(self, name: str, inputs: Inputs, progress: Progress | None) -> None:
        self._name, self._inputs, self._progress = name, inputs, progress
        self._passages = self._tokens = self._bytes = 0

    def __call__(self, passages: int, tokens: int, n_bytes: int) -> None:
        self._passages += int(passages)
        self._tokens += int(tokens)
        self._bytes += int(n_bytes)
        if self._progress:
            done = (self._passages, self._tokens, self._bytes)
            self._progress(Step(self._name, *done, self._inputs.passages, self._inputs.bytes))
