"""The server behind the guard: requests to it are built anew, never passed on as they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from urllib.parse import urlsplit

import httpx

from ..errors import UsageError
from ._connections import Connections
from ._policy import UpstreamRules
from ._refused import Refused

__all__ = ["Upstream"]

PASSED_ON = ("authorization", "openai-organization", "openai-project", "traceparent", "tracestate", "x-request-id")
"""Headers of a request that reach the server."""
IDLE = 4.0
"""Seconds for which an unused connection is kept: uvicorn, as most model servers use, closes it after 5."""

_address = lru_cache(maxsize=64)(httpx.URL)
"""Most requests go to a few addresses, and to read one takes longer than all else about a request."""


class Upstream:
    """An OpenAI-compatible server.

    Args:
        url: up to ``/v1``.
        rules: timeouts and limits.
        transport: in the place of a network, for tests.

    Raises:
        UsageError: *url* is no address of a server.
    """

    def __init__(self, url: str, rules: UpstreamRules, transport: httpx.AsyncBaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageError("`upstream` is no address of a server: give it as in http://127.0.0.1:8000/v1")
        if parts.username or parts.password:
            raise UsageError("`upstream` holds a password: leave it out; clients send their keys themselves")
        self._base, self._rules = url.rstrip("/"), rules
        try:
            address = httpx.URL(self._base)
        except httpx.InvalidURL as error:
            raise UsageError(f"`upstream` is no address of a server ({error})") from None
        # No httpx.Client: it would follow redirects, keep cookies for all clients, and obey proxies of the environment.
        self._transport = transport or Connections(address, rules.connections, IDLE)
        self._timeout = {
            "connect": rules.connect_seconds,
            "read": rules.seconds,
            "write": rules.seconds,
            "pool": rules.connect_seconds,
        }

    @asynccontextmanager
    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """The server's answer, of which the body is yet to be read.

        Raises:
            Refused: 502, 503 or 504, as long as it is open.
        """
        # As bytes: httpx takes only ASCII as text.
        passed = [(name.encode(), headers[name].encode("latin-1")) for name in PASSED_ON if name in headers]
        passed.append((b"accept-encoding", b"identity"))
        if body is not None:
            passed.append((b"content-type", b"application/json"))
        request = httpx.Request(
            method, _address(self._base + path), headers=passed, content=body, extensions={"timeout": self._timeout}
        )
        try:
            response = await self._transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.PoolTimeout:
            raise Refused(
                503, "too_busy", "Too many requests at once: try again later.", {"retry-after": "1"}
            ) from None
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise Refused(504, "upstream_timeout", "The model server did not answer in time.") from None
        except (httpx.HTTPError, httpx.StreamError):
            raise Refused(502, "upstream_unavailable", "The model server cannot be reached.") from None

    async def read(self, response: httpx.Response) -> bytes:
        """The whole body of *response*, decompressed.

        Raises:
            Refused: it is too large, or takes too long.
        """
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._rules.seconds):
                async for part in response.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > self._rules.max_bytes:
                        raise Refused(502, "upstream_invalid", "The answer of the model server is too large.")
        except TimeoutError:
            raise Refused(504, "upstream_timeout", "The model server did not answer in time.") from None
        return b"".join(parts)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()
