"""Token buckets: how much each client may use in a minute."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Buckets"]

MINUTE = 60.0


class Buckets:
    """A bucket for each client, which holds the allowance of a minute and is refilled steadily.

    A client's use in any span of t seconds is at most the allowance times (1 + t / 60), and what a single request
    uses beyond. Buckets that are full again are forgotten, so memory grows with the clients of the last minutes alone.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = float(per_minute), clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, client: str, amount: float) -> float:
        """Take *amount* from the bucket of *client*, and return 0; or the seconds until it holds enough.

        A request that uses more than a whole bucket needs a full bucket, and leaves a debt.
        """
        level = self._level(client)
        needed = min(amount, self._most)
        if level < needed - 1e-9:
            return max(1.0, math.ceil((needed - level) / self._most * MINUTE))
        self._set(client, level - amount)
        return 0.0

    def correct(self, client: str, amount: float) -> None:
        """Take *amount* more, or give it back where it is negative, once a request shows what it used."""
        self._set(client, min(self._most, self._level(client) - amount))

    def _level(self, client: str) -> float:
        level, at = self._levels.get(client, (self._most, self._clock()))
        return min(self._most, level + (self._clock() - at) * self._most / MINUTE)

    def _set(self, client: str, level: float) -> None:
        now = self._clock()
        self._levels[client] = (level, now)
        self._levels.move_to_end(client)
        for _ in range(2):  # more are forgotten than are added
            oldest, (left, at) = next(iter(self._levels.items()))
            if oldest != client and left + (now - at) * self._most / MINUTE >= self._most:
                del self._levels[oldest]
