"""How much an endpoint may be asked, and what has been asked so far."""

from __future__ import annotations

import threading

from ...errors import BudgetError, UsageError

__all__ = ["Budget"]

CONCURRENCY = 8


class Budget:
    """The most requests and tokens that a command may spend on endpoints, and what it has spent.

    Several models may share a budget, and several threads. A request counts when it is sent, also where it fails; its
    tokens count as they were estimated until the server has counted them.

    Args:
        max_requests: most requests; None: any number.
        max_tokens: most tokens, those of prompts and those that are generated; None: any number.
        price: of a million tokens, in any currency, for the estimates that are shown; None: not known.
        concurrency: most requests that a server has to answer at the same time.

    Raises:
        UsageError: a limit is below 1, or the price is negative.

    >>> budget = Budget(max_requests=1)
    >>> budget.reserve(20)
    >>> budget.settle(20, 23)
    >>> budget.requests, budget.tokens
    (1, 23)
    """

    def __init__(
        self,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        price: float | None = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        limits = {"max_requests": max_requests, "max_tokens": max_tokens, "concurrency": concurrency}
        for name, limit in limits.items():
            if limit is not None and limit < 1:
                raise UsageError(f"`{name}` is {limit}: it must be at least 1")
        if price is not None and not price >= 0:
            raise UsageError(f"`price` is {price:g}: it must not be negative")
        self.max_requests, self.max_tokens, self.price, self.concurrency = max_requests, max_tokens, price, concurrency
        self.requests = self.tokens = 0
        self._lock = threading.Lock()

    def reserve(self, tokens: int) -> None:
        """Count a request of about so many *tokens*, before it is sent.

        Raises:
            BudgetError: it would exceed a limit; it is not counted.
        """
        with self._lock:
            if self.max_requests is not None and self.requests + 1 > self.max_requests:
                self._refuse("max_requests", self.max_requests, self.requests)
            if self.max_tokens is not None and self.tokens + tokens > self.max_tokens:
                self._refuse("max_tokens", self.max_tokens, self.tokens)
            self.requests += 1
            self.tokens += tokens

    def settle(self, reserved: int, tokens: int) -> None:
        """Replace the estimate of a request by the number of *tokens* that the server counted; 0 where it failed."""
        with self._lock:
            self.tokens += tokens - reserved

    def cost(self, tokens: int) -> float | None:
        """What so many *tokens* cost; None where the price is not known."""
        return None if self.price is None else self.price * tokens / 1e6

    def _refuse(self, name: str, limit: int, spent: int) -> None:
        raise BudgetError(
            f"the budget is spent: `{name}` is {limit:,}, and {spent:,} are used; all answers are kept, so the same "
            "command continues after them, with a new budget"
        )
