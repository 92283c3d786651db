"""Answers to clients, as ASGI messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.types import Send

from ._reading import write_json
from ._refused import Refused

__all__ = ["Answer"]

SHOWN = ("retry-after", "x-request-id")
"""Headers of the server's answer that a client sees; the log-probability of nothing fits into them."""


class Answer:
    """The answer to a request, whole or streamed."""

    __slots__ = ("_send", "ended", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        """The status that was sent; None before."""
        self.ended = False
        """Whether all of it was sent, or is being sent."""

    async def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer in JSON, with those of *headers* that a client may see."""
        await self._start(status, b"application/json", headers or {}, len(body))
        await self._end(body)

    async def refuse(self, refused: Refused) -> None:
        """Send the answer of a refusal; where an answer was already begun, nothing."""
        if self.status is None:
            body = write_json(refused.body)
            await self._start(refused.status, b"application/json", refused.headers, len(body), tuple(refused.headers))
            await self._end(body)

    async def stream(self, events: AsyncIterator[bytes], headers: Mapping[str, str]) -> None:
        """Send *events*, each at once."""
        await self._start(200, b"text/event-stream; charset=utf-8", headers, None)
        async for each in events:
            await self._send({"type": "http.response.body", "body": each, "more_body": True})
        await self._end(b"")

    async def _end(self, body: bytes) -> None:
        self.ended = True
        await self._send({"type": "http.response.body", "body": body})

    async def _start(
        self, status: int, kind: bytes, headers: Mapping[str, str], length: int | None, shown: tuple[str, ...] = SHOWN
    ) -> None:
        lines = [(b"content-type", kind)]
        lines += [(b"cache-control", b"no-store")] if length is None else [(b"content-length", b"%d" % length)]
        lines += [(name.encode(), headers[name].encode("latin-1", "replace")) for name in shown if name in headers]
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": lines})
