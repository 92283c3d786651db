"""The bodies of requests, as bytes: read as far as they are JSON in UTF-8, not too large, and not too slow."""

from __future__ import annotations

import asyncio

from starlette.requests import Request as HttpRequest

from ._exchange import Exchange
from ._policy import RequestRules
from ._refused import Refused

__all__ = ["Bodies"]

MOST_HELD = 1_000_000_000
"""Bytes of all bodies that are in memory at once."""
CLOSE = {"connection": "close"}


class Bodies:
    """Reads the bodies of requests.

    Args:
        rules: how large and how slow they may be.
    """

    def __init__(self, rules: RequestRules) -> None:
        self._rules, self._held = rules, 0

    async def read(self, request: HttpRequest, exchange: Exchange) -> bytes:
        """The body of *request*, which counts as held until it is released.

        Raises:
            Refused: it is too large, comes too slowly, is compressed, or declares to be something else than JSON.
        """
        _refuse_other_than_json(request)
        most, parts = self._rules.max_bytes, []
        too_large = Refused(413, "too_large", f"A request may have at most {most:,} bytes here.", CLOSE)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            raise too_large
        try:
            async with asyncio.timeout(self._rules.seconds):
                async for part in request.stream():
                    parts.append(part)
                    exchange.held += len(part)
                    self._held += len(part)
                    if exchange.held > most:
                        raise too_large
                    if self._held > MOST_HELD:
                        raise Refused(503, "too_busy", "Too many requests at once: try again later.", CLOSE)
        except TimeoutError:
            raise Refused(408, "too_slow", "The request did not arrive in time.", CLOSE) from None
        return b"".join(parts)

    def release(self, exchange: Exchange) -> None:
        """Count the body of *exchange* no longer."""
        self._held -= exchange.held
        exchange.held = 0


def _refuse_other_than_json(request: HttpRequest) -> None:
    kind, *parameters = request.headers.get("content-type", "").lower().replace('"', "").split(";")
    charsets = [each.strip() for each in parameters if each.strip().startswith("charset")]
    if kind.strip() != "application/json" or any(each != "charset=utf-8" for each in charsets):
        raise Refused(415, "not_json", "Send JSON in UTF-8, with content-type: application/json.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "compressed", "Send the body uncompressed.")
