"""How much each client may still use: of requests and of tokens."""

from __future__ import annotations

import time

from ._asking import Asked
from ._buckets import Buckets
from ._policy import LimitRules
from ._refused import Refused

__all__ = ["Allowances"]

MOST = 1_000_000_000
"""Tokens of a request that count, whatever a server reports."""
BYTES_PER_TOKEN = 4
"""Bytes of a prompt for each of its tokens, until the answer shows how many there are."""


class Allowances:
    """What the clients may use in a minute.

    Args:
        rules: the limits.
    """

    def __init__(self, rules: LimitRules) -> None:
        self._requests = _buckets(rules.requests_per_minute)
        self._tokens = _buckets(rules.tokens_per_minute)

    def take_requests(self, client: str, number: int) -> None:
        """Take *number* requests of *client*.

        Raises:
            Refused: 429, with the seconds after which there are enough.
        """
        if self._requests is not None and number > 0:
            _refuse(self._requests.take(client, number))

    def take_tokens(self, client: str, asked: Asked) -> float:
        """Take the tokens of the prompts of *client*, about as many as they have, and return how many were taken.

        Raises:
            Refused: 429, with the seconds after which there are enough.
        """
        if self._tokens is None:
            return 0.0
        lengths = (len(each.encode("utf-8", "replace")) for each in asked.prompts)
        # At least 1: what the answer costs beyond is then taken for a request without a prompt, too.
        taken = max(1.0, sum(asked.prompt_tokens or (-(-length // BYTES_PER_TOKEN) for length in lengths)))
        _refuse(self._tokens.take(client, taken))
        return taken

    def correct_tokens(self, client: str, taken: float, prompt: int | None, written: int | None) -> None:
        """Take what the server reports beyond what was *taken*, or give it back."""
        if self._tokens is not None and taken:
            reported = (taken if prompt is None else max(0, prompt)) + max(0, written or 0)
            self._tokens.correct(client, min(reported, MOST) - taken)


def _buckets(per_minute: int | None) -> Buckets | None:
    return None if per_minute is None else Buckets(per_minute, time.monotonic)


def _refuse(wait: float) -> None:
    if wait:
        raise Refused(429, "rate_limit", "Too many requests, or tokens.", {"retry-after": f"{wait:.0f}"})
