"""The server behind the guard: requests to it are built anew, never passed on as they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ..errors import UsageError
from ._policy import UpstreamRules
from ._refused import Refused

__all__ = ["Upstream"]

PASSED_ON = ("authorization", "openai-organization", "openai-project", "traceparent", "tracestate", "x-request-id")
"""Headers of a request that reach the server."""
IDLE = 4.0
"""Seconds for which an unused connection is kept: uvicorn, as most model servers use, closes it after 5."""
LARGEST_HEADER = 65_536
"""Bytes that a header of an answer may have."""


class Upstream:
    """An OpenAI-compatible server.

    Args:
        url: up to ``/v1``.
        rules: timeouts and limits.

    Raises:
        UsageError: *url* is no address of a server.
    """

    def __init__(self, url: str, rules: UpstreamRules) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageError("`upstream` is no address of a server: give it as in http://127.0.0.1:8000/v1")
        if parts.username or parts.password:
            raise UsageError("`upstream` holds a password: leave it out; clients send their keys themselves")
        self._base, self._rules = url.rstrip("/"), rules
        try:
            URL(self._base)
        except ValueError as error:
            raise UsageError(
                f"`upstream` is no address of a server ({error}): give it as in http://127.0.0.1:8000/v1"
            ) from None
        self._places = asyncio.Semaphore(rules.connections)
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        """The session of all requests, which keeps connections; it can only be made where a loop runs."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE),
                cookie_jar=aiohttp.DummyCookieJar(),  # else all clients would share the server's cookies
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self._rules.connect_seconds, sock_read=self._rules.seconds
                ),
                skip_auto_headers=("accept", "user-agent"),
                max_line_size=LARGEST_HEADER,
                max_field_size=LARGEST_HEADER,
                trust_env=False,  # no proxy of the environment
            )
        return self._session

    @asynccontextmanager
    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The server's answer, of which the body is yet to be read.

        Raises:
            Refused: 502, 503 or 504, as long as it is open.
        """
        passed = {name: _as_text(headers[name]) for name in PASSED_ON if name in headers}
        passed["accept-encoding"] = "identity"
        if body is not None:
            passed["content-type"] = "application/json"
        await self._take_place()
        try:
            address = URL(self._base + path, encoded=True)
            sending = self._opened().request(method, address, data=body, headers=passed, allow_redirects=False)
            async with asyncio.timeout(self._rules.connect_seconds + self._rules.seconds):  # a server may read nothing
                response = await sending
            async with response:
                yield response
        except aiohttp.ConnectionTimeoutError:
            raise Refused(502, "upstream_unavailable", "The model server cannot be reached.") from None
        except TimeoutError:
            raise Refused(504, "upstream_timeout", "The model server did not answer in time.") from None
        except aiohttp.ClientError:
            raise Refused(502, "upstream_unavailable", "The model server cannot be reached.") from None
        finally:
            self._places.release()

    async def _take_place(self) -> None:
        """Wait for a connection to become free.

        Raises:
            Refused: this takes too long.
        """
        try:
            async with asyncio.timeout(self._rules.connect_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Refused(
                503, "too_busy", "Too many requests at once: try again later.", {"retry-after": "1"}
            ) from None

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body of *response*, decompressed.

        Raises:
            Refused: it is too large, or takes too long.
        """
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._rules.seconds):
                async for part in response.content.iter_any():
                    parts.append(part)
                    size += len(part)
                    if size > self._rules.max_bytes:
                        raise Refused(502, "upstream_invalid", "The answer of the model server is too large.")
        except TimeoutError:
            raise Refused(504, "upstream_timeout", "The model server did not answer in time.") from None
        return b"".join(parts)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


def _as_text(value: str) -> str:
    """A header, of which Starlette makes a character of each byte, as aiohttp wants it: read as UTF-8.

    Raises:
        Refused: it is no UTF-8.
    """
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise Refused(400, "invalid_header", "A header holds bytes that are no UTF-8.") from None
