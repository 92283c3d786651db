"""The guard's connections to a model server: against servers that send bytes as no good server does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import pytest

from llm_mia.guard import Refused, Upstream, UpstreamRules

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
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
    serve: Serve, ask: Callable[[Upstream], Awaitable[None]], *, most: int = 4, seconds: float = 5, wait: float = 5
) -> None:
    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rules = UpstreamRules(connections=most, seconds=seconds, connect_seconds=wait)
        upstream = Upstream(f"http://127.0.0.1:{port}/v1", rules)
        try:
            await ask(upstream)
        finally:
            await upstream.close()
            server.close()

    asyncio.run(asyncio.wait_for(run(), 20))


async def answered(upstream: Upstream, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> bytes:
    async with upstream.send("POST", "/x", body, headers or {}) as response:
        return await upstream.read(response)


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
    async def ask(upstream: Upstream) -> None:
        assert await answered(upstream) == b"hi"

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
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000,
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_or_is_no_http_is_an_error(answer: bytes) -> None:
    async def ask(upstream: Upstream) -> None:
        with pytest.raises(Refused) as refused:
            await answered(upstream)
        assert refused.value.status == 502

    with_server(Served(answer), ask)


def test_a_server_that_closes_every_connection_at_once_is_not_waited_for() -> None:
    async def ask(upstream: Upstream) -> None:
        for _ in range(20):
            with pytest.raises(Refused):
                await answered(upstream)

    with_server(Served(), ask)


def test_a_connection_serves_one_request_after_the_other() -> None:
    async def ask(upstream: Upstream) -> None:
        for number in range(3):
            assert await answered(upstream, b'{"n":%d}' % number) == b"hi"

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
    ],
)
def test_a_connection_that_is_closed_or_out_of_step_serves_no_other_request(answers: tuple[bytes, ...]) -> None:
    async def ask(upstream: Upstream) -> None:
        for _ in range(3):
            assert await answered(upstream) == b"hi"
            await asyncio.sleep(0.01)

    served = Served(*answers, closes=len(answers) == 1)
    with_server(served, ask)
    assert served.connections == 3


def test_what_follows_an_answer_is_no_part_of_the_next() -> None:
    async def ask(upstream: Upstream) -> None:
        for _ in range(3):
            with suppress(Refused):
                assert await answered(upstream) == b"hi"
            await asyncio.sleep(0.01)

    with_server(Served(WHOLE + b"more", WHOLE, closes=False), ask)


def test_what_is_too_slow_is_cut_off_and_frees_its_place() -> None:
    served = Served(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", closes=False)

    async def ask(upstream: Upstream) -> None:
        assert await status_of(answered(upstream)) == 504
        waiting = [asyncio.create_task(status_of(answered(upstream))) for _ in range(2)]
        assert sorted(await asyncio.gather(*waiting)) == [503, 504], "the second waits for a connection in vain"
        waiting = [asyncio.create_task(status_of(answered(upstream)))]
        await asyncio.sleep(0.02)
        waiting[0].cancel()
        await asyncio.wait(waiting)
        assert await status_of(answered(upstream)) == 504, "the cancelled request left its place"
        await asyncio.sleep(0.05)
        assert served.connections == served.ended == 4, "none stays open"

    with_server(served, ask, most=1, seconds=0.2, wait=0.05)


async def status_of(asked: Awaitable[bytes]) -> int:
    try:
        await asked
    except Refused as refused:
        return refused.status
    return 200


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

    async def ask(upstream: Upstream) -> None:
        async with upstream.send("POST", "/x", b"{}", {}) as response:
            await asyncio.sleep(0.1)
            assert not drained.is_set(), "an answer of any size would be held in memory"
            assert len(await upstream.read(response)) == size

    with_server(serve, ask)


def test_no_header_holds_the_end_of_a_line() -> None:
    async def ask(upstream: Upstream) -> None:
        with pytest.raises(ValueError, match="injection"):  # uvicorn lets none of them through
            await answered(upstream, headers={"authorization": "b\r\nc: d"})
        assert await status_of(answered(upstream, headers={"authorization": "\xff"})) == 400

    with_server(Served(WHOLE), ask)


def test_nothing_listens() -> None:
    async def ask() -> None:
        upstream = Upstream("http://127.0.0.1:9/v1", UpstreamRules(connections=1))
        for _ in range(2):
            assert await status_of(answered(upstream)) == 502
        await upstream.close()

    asyncio.run(ask())
