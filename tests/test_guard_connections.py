"""The guard's connections to a model server: against servers that send bytes as no good server does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from llm_mia.guard import Connections

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SECONDS = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Served:
    """A server that answers the requests of a connection with *answers* in turn, and then closes it."""

    def __init__(self, *answers: bytes, closes: bool = True) -> None:
        self.answers, self.closes = answers, closes
        self.connections = self.ended = 0
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for answer in self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                writer.write(answer)
            if not self.closes:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended += 1
            writer.close()


def with_server(
    serve: Served, ask: Callable[[Connections], Awaitable[None]], *, most: int = 4, idle_seconds: float = 60
) -> None:
    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), most, idle_seconds)
        try:
            await ask(connections)
        finally:
            await connections.aclose()
            server.close()

    asyncio.run(asyncio.wait_for(run(), 20))


async def answered(connections: Connections, body: bytes = b"{}", **seconds: float) -> bytes:
    request = httpx.Request("POST", "http://m/v1/x", content=body, extensions={"timeout": SECONDS | seconds})
    response = await connections.handle_async_request(request)
    try:
        return await response.aread()
    finally:
        await response.aclose()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE,
        b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + WHOLE,
        CHUNKED + b"1\r\nh\r\n1;a=b\r\ni\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhi",  # until it is closed
        b"HTTP/1.0 200 OK\r\n\r\nhi",
    ],
)
def test_every_way_to_mark_the_end_of_an_answer(answer: bytes) -> None:
    async def ask(connections: Connections) -> None:
        assert await answered(connections) == b"hi"

    with_server(Served(answer), ask)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        CHUNKED + b"5\r\nhi",
        CHUNKED + b"x\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000,
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_or_is_no_http_is_an_error(answer: bytes) -> None:
    async def ask(connections: Connections) -> None:
        with pytest.raises(httpx.TransportError):
            await answered(connections)

    with_server(Served(answer), ask)


def test_a_server_that_closes_every_connection_at_once_is_not_waited_for() -> None:
    async def ask(connections: Connections) -> None:
        for _ in range(20):
            with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
                await answered(connections)

    with_server(Served(), ask)


def test_a_connection_serves_one_request_after_the_other() -> None:
    async def ask(connections: Connections) -> None:
        for number in range(3):
            assert await answered(connections, b'{"n":%d}' % number) == b"hi"

    served = Served(WHOLE, WHOLE, WHOLE, closes=False)
    with_server(served, ask)
    assert served.connections == 1
    assert [each.rpartition(b"\r\n\r\n")[2] for each in served.requests] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert served.requests[0].startswith(b"POST /v1/x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answers",
    [
        (WHOLE,),  # closed after the answer
        (WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), WHOLE),
        (WHOLE + WHOLE.replace(b"hi", b"no"), WHOLE),  # an answer to no request must not become that of the next
        (WHOLE + b"more", WHOLE),
    ],
)
def test_a_connection_that_is_closed_or_out_of_step_serves_no_other_request(answers: tuple[bytes, ...]) -> None:
    async def ask(connections: Connections) -> None:
        for _ in range(3):
            assert await answered(connections) == b"hi"
            await asyncio.sleep(0.01)

    served = Served(*answers, closes=len(answers) == 1)
    with_server(served, ask)
    assert served.connections == 3


def test_an_unused_connection_is_kept_for_a_while_only() -> None:
    async def ask(connections: Connections) -> None:
        await answered(connections)
        await asyncio.sleep(0.05)
        await answered(connections)

    served = Served(WHOLE, WHOLE, closes=False)
    with_server(served, ask, idle_seconds=0.01)
    assert served.connections == 2


def test_what_is_too_slow_is_cut_off_and_frees_its_place() -> None:
    served = Served(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", closes=False)

    async def ask(connections: Connections) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await answered(connections, read=0.05)
        waiting = asyncio.create_task(answered(connections))
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.PoolTimeout):
            await answered(connections, pool=0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
        with pytest.raises(httpx.ReadTimeout):  # the cancelled request left its place
            await answered(connections, read=0.05)
        await asyncio.sleep(0.05)
        assert served.connections == served.ended == 3, "none stays open"

    with_server(served, ask, most=1)


def test_a_server_waits_until_its_answer_is_read() -> None:
    size = 20_000_000
    drained = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await writer.drain()
        drained.set()
        await reader.read()
        writer.close()

    async def ask(connections: Connections) -> None:
        request = httpx.Request("POST", "http://m/", content=b"{}", extensions={"timeout": SECONDS})
        response = await connections.handle_async_request(request)
        await asyncio.sleep(0.1)
        assert not drained.is_set(), "an answer of any size would be held in memory"
        assert len(await response.aread()) == size
        await response.aclose()

    with_server(serve, ask)  # type: ignore[arg-type]


def test_no_header_holds_the_end_of_a_line() -> None:
    async def ask(connections: Connections) -> None:
        request = httpx.Request("POST", "http://m/", headers=[(b"a", b"b\r\nc: d")], extensions={"timeout": SECONDS})
        with pytest.raises(httpx.LocalProtocolError):
            await connections.handle_async_request(request)

    with_server(Served(WHOLE), ask)


def test_nothing_listens() -> None:
    async def ask() -> None:
        connections = Connections(httpx.URL("http://127.0.0.1:9"), 1, 1)
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await answered(connections)

    asyncio.run(ask())
