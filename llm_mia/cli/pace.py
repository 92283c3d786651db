"""How fast a pass is, and how long the rest of it will take."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..signals import Step

__all__ = ["Pace"]


class Pace:
    """How long the rest of a pass will take, by how fast its bytes were computed in the last minutes.

    A step that adds nothing begins the measurement again: what was there before, from an earlier run, took no time.
    """

    WINDOW = 120.0

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int, int]] = deque()

    def add(self, now: float, step: Step) -> None:
        """Take in a step that was reported at the time *now*."""
        if self._marks and step.bytes == self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((now, step.bytes, step.tokens))
        while len(self._marks) > 2 and now - self._marks[1][0] > self.WINDOW:
            self._marks.popleft()

    def seconds_left(self, now: float, total_bytes: int) -> float | None:
        """Seconds until *total_bytes* are computed; None where nothing was computed yet."""
        (start, first, _), (_, last, _) = (self._marks[0], self._marks[-1]) if self._marks else ((now, 0, 0),) * 2
        return None if last == first else (total_bytes - last) * (now - start) / (last - first)

    def tokens_per_second(self, now: float) -> float | None:
        """None where nothing was computed yet."""
        (start, _, first), (_, _, last) = (self._marks[0], self._marks[-1]) if self._marks else ((now, 0, 0),) * 2
        return None if last == first or now <= start else (last - first) / (now - start)
