"""Connections to the model server: HTTP/1.1 over asyncio, kept open from request to request.

A transport for httpx, with its errors and limits of time. The transport of httpx itself needs a millisecond of the
processor for a request, several times as much as all else that the guard does.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import httptools
import httpx

__all__ = ["Connections"]

MOST_WAITING = 262_144
"""Bytes of an answer that wait to be read before the server has to wait, too."""
LARGEST_HEAD = 100_000
"""Most bytes of an answer between two parts of its body: of its head, of the line before a part, of trailers."""


class Connections(httpx.AsyncBaseTransport):
    """The connections to a server.

    Args:
        server: its address; that of a request counts only from its path on.
        most: connections at once.
        idle_seconds: for which an unused connection is kept.
    """

    def __init__(self, server: httpx.URL, most: int, idle_seconds: float) -> None:
        self._host, self._idle_seconds = server.host, idle_seconds
        self._tls: ssl.SSLContext | None = None
        if server.scheme == "https":
            self._tls = httpx.create_ssl_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        self._port = server.port or (443 if self._tls else 80)
        self._places = asyncio.Semaphore(most)
        self._idle: deque[tuple[float, _Connection]] = deque()
        """Unused connections, and until when each is kept; the one that was used last is at the end."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to *request*, of which the body is yet to be read; then it must be closed.

        Raises:
            httpx.TransportError: there is none.
        """
        seconds: dict[str, float] = request.extensions["timeout"]
        sent = _written(request)
        try:
            async with asyncio.timeout(seconds["pool"]):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("every connection is in use") from None
        connection: _Connection | None = None
        try:
            connection = self._unused() or await self._connected(seconds["connect"])
            await connection.send(sent, seconds["write"])
            await connection.read_head(seconds["read"])
        except BaseException:  # a request that is cancelled, too, leaves no connection
            self._release(connection)
            raise
        body = _Body(self, connection, seconds["read"])
        return httpx.Response(connection.status, headers=connection.headers, stream=body)

    async def aclose(self) -> None:
        """Close the connections that are unused."""
        while self._idle:
            self._idle.pop()[1].close()

    def _unused(self) -> _Connection | None:
        """An open connection; those that were unused for too long are closed."""
        now = asyncio.get_running_loop().time()
        while self._idle and self._idle[0][0] < now:
            self._idle.popleft()[1].close()
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    async def _connected(self, seconds: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                return (await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls))[1]
        except TimeoutError:
            raise httpx.ConnectTimeout("the server does not accept a connection") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no DNS can hold
            raise httpx.ConnectError(str(error)) from None

    def _release(self, connection: _Connection | None) -> None:
        """Keep *connection* for the next request if its answer is complete, else close it."""
        self._places.release()
        if connection is None:
            return
        if connection.is_free():
            until = asyncio.get_running_loop().time() + self._idle_seconds
            self._idle.append((until, connection))
        else:
            connection.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, pool: Connections, connection: _Connection, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds
        self._connection: _Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection and (part := await self._connection.read(self._seconds)):
            yield part

    async def aclose(self) -> None:
        if self._connection:
            self._pool._release(self._connection)
            self._connection = None


class _Connection(asyncio.Protocol):
    """A connection, and as much of the answer to its last request as came and was not read."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._full = self._lost = False
        self._begin()
        self._complete = True

    def _begin(self) -> None:
        """Forget the last answer."""
        self._parser = httptools.HttpResponseParser(self)
        self.status, self.headers = 0, list[tuple[bytes, bytes]]()
        self._parts, self._waiting, self._between = list[bytes](), 0, 0
        self._headed = self._complete = self._lasts = False
        self._error: httpx.TransportError | None = None

    async def send(self, request: bytes, seconds: float) -> None:
        """Send *request*, until the system takes the last of it or an answer comes.

        Raises:
            httpx.TransportError: it cannot be sent in time.
        """
        self._begin()
        if self._lost:
            raise httpx.ConnectError("the server closed the connection at once")
        self._transport.write(request)
        while self._full and not self._headed:
            await self._change(seconds, httpx.WriteTimeout)

    async def read_head(self, seconds: float) -> None:
        """Wait for the status and the headers of the answer.

        Raises:
            httpx.TransportError: they do not come in time.
        """
        while not self._headed:
            await self._change(seconds, httpx.ReadTimeout)

    async def read(self, seconds: float) -> bytes:
        """What came of the body, as soon as there is something; nothing at its end.

        Raises:
            httpx.TransportError: the next part of it does not come in time.
        """
        while not self._parts and not self._complete:
            await self._change(seconds, httpx.ReadTimeout)
        part = b"".join(self._parts)
        self._parts.clear()
        if self._waiting > MOST_WAITING:
            self._transport.resume_reading()
        self._waiting = 0
        return part

    async def _change(self, seconds: float, late: type[httpx.TransportError]) -> None:
        """Wait until something happens."""
        if self._error:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            raise late("the server is too slow") from None
        finally:
            self._waiter = None

    def is_free(self) -> bool:
        """Whether it can serve another request: the last answer ended, and the server closes it not."""
        ended = self._complete and self._lasts and not self._lost and not self._transport.is_closing()
        return ended and not self._parts and self._transport.get_write_buffer_size() == 0

    def is_quiet(self) -> bool:
        """Whether nothing came since it is unused, not even its end."""
        if self._lost or self._transport.is_closing():
            return False
        poll = select.poll()  # what came in the same instant is not yet known to the loop
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close it at once."""
        self._transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._complete:  # nobody asked for it
            self._lasts = False
            self.close()
            return
        self._between += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:  # a change of the protocol, too
            self._fail(httpx.RemoteProtocolError(str(error)))
        if self._between > LARGEST_HEAD:
            self._fail(httpx.RemoteProtocolError("the head of the answer is too large"))
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        names = {name.lower(): value.lower() for name, value in self.headers}
        has_end = b"content-length" in names or b"chunked" in names.get(b"transfer-encoding", b"")
        if self._headed and not has_end and error is None and not self._error:
            self._complete = True
        else:
            self._fail(httpx.ReadError("the server closed the connection"))
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _fail(self, error: httpx.TransportError) -> None:
        self._lasts = False
        if not self._complete:
            self._error = self._error or error

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    # What the parser calls; an answer 1xx, which precedes another, has neither a head nor an end

    def on_message_begin(self) -> None:
        if self._complete:
            self._lasts = False
        elif not self._headed:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:  # trailers are not passed on
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self._headed:
            self.status = self._parser.get_status_code()
            self._headed = self.status >= 200

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self._between = 0
        self._parts.append(body)
        if self._waiting <= MOST_WAITING < self._waiting + len(body):
            self._transport.pause_reading()
        self._waiting += len(body)

    def on_message_complete(self) -> None:
        if self._headed and not self._complete:
            self._complete, self._lasts = True, self._parser.should_keep_alive()


def _written(request: httpx.Request) -> bytes:
    """The bytes of *request*."""
    lines = [request.method.encode() + b" " + request.url.raw_path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers.raw]
    if any(not _LINE_ENDS.isdisjoint(line) for line in lines):
        raise httpx.LocalProtocolError("a header holds the end of a line")
    return b"\r\n".join([*lines, b"", request.content])


_LINE_ENDS = frozenset(b"\r\n\0")
