"""How many requests a server gets at once: fewer after it has refused some for their rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]

LONGEST_WAIT = 600.0
"""Most seconds that a server may ask to wait."""
PAUSE = 0.02
"""Seconds between two looks at whether it is a request's turn."""
RAISED_AFTER = 50
"""Answers in a row after which a further request may be under way."""


class Turns:
    """When a request may be sent.

    A refusal for the rate halves the number of requests that may be under way, down to 1; many answers in a row raise
    it by 1 again.

    Args:
        most: most requests under way.

    >>> turns = Turns(8)
    >>> turns.lower(8), turns.lower(8), turns.at_once  # both were sent at the same time
    (True, True, 4)
    >>> turns.lower(1), turns.at_once
    (False, 1)
    """

    def __init__(self, most: int) -> None:
        self._most = self.at_once = most
        """How many may be under way now."""
        self._not_before, self._under_way, self._in_a_row = 0.0, 0, 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[int]:
        """Wait for the turn of a request, and yield how many may be under way when it is sent."""
        while (left := self._not_before - time.monotonic()) > 0 or self._under_way >= self.at_once:
            await asyncio.sleep(max(left, PAUSE))
        self._under_way += 1
        try:
            yield self.at_once
        finally:
            self._under_way -= 1

    def lower(self, at_once: int) -> bool:
        """Allow half of *at_once*, so many as were allowed when a refused request was sent; whether it was above 1."""
        self._in_a_row, self.at_once = 0, min(self.at_once, max(1, at_once // 2))
        return at_once > 1

    def answered(self) -> None:
        """Count an answer."""
        self._in_a_row += 1
        if self._in_a_row >= RAISED_AFTER:
            self._in_a_row, self.at_once = 0, min(self._most, self.at_once + 1)

    def hold_back(self, seconds: float | None) -> None:
        """Send nothing for so many *seconds*, as the server asked: it is left alone by all requests."""
        if seconds is not None:
            self._not_before = max(self._not_before, time.monotonic() + min(seconds, LONGEST_WAIT))
