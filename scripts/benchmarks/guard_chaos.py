"""Chaos in front of and behind the guard, and what it leaves: memory, open files, and whether answers still come."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from .figures import Figure
from .guard_servers import Process, free_port, guard, model_server

__all__ = ["chaos_figures"]

POLICY = "[requests]\nseconds = 3\nmax_bytes = 20_000_000\n[upstream]\nconnect_seconds = 2\nseconds = 5\n"
IDLE = 1000
"""Connections that are opened, and on which nothing or half a request comes."""
LARGE = 10_000_000
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ROUNDS = 4


def _request(**fields: Any) -> bytes:
    body = json.dumps({"model": "m", "max_tokens": 2, **fields}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


SMALL, STREAMED = _request(prompt="a", logprobs=1), _request(prompt="a", stream=True)


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


class Chaos:
    """Clients of every bad kind, each for as long as *until*."""

    def __init__(self, port: int, until: float, seed: int) -> None:
        self.port, self.until = port, until
        self.generator = random.Random(seed)  # noqa: S311 - reproducible, no secret
        self.statuses: Counter[str] = Counter()

    async def _again(self, what: Any, pause: float) -> None:
        while time.monotonic() < self.until:
            with suppress(OSError, asyncio.IncompleteReadError):
                async with _connected(self.port) as (reader, writer):
                    await what(reader, writer)
            await asyncio.sleep(pause * self.generator.random() * 2)

    async def _benign(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SMALL)
        try:
            line = await asyncio.wait_for(reader.readline(), 20)
        except TimeoutError:
            line = b"- no answer"
        self.statuses[line.split()[1].decode() if line else "closed"] += 1

    async def _large(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_request(prompt="a " * (LARGE // 2)))
        await asyncio.wait_for(reader.readline(), 60)

    async def _half(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SMALL[: self.generator.randrange(1, len(SMALL))])
        await writer.drain()
        await asyncio.sleep(self.generator.random())

    async def _byte_by_byte(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(len(SMALL)):
            writer.write(SMALL[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.1)

    async def _never_reading(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert not reader.at_eof()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(50):  # answers pile up until the guard cuts the connection off
            writer.write(STREAMED)
            await asyncio.sleep(0.1)

    async def _leaving(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAMED)
        await reader.read(100)

    async def _idle(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.generator.random() < 0.5:
            writer.write(HEAD)
        await asyncio.sleep(2 + 4 * self.generator.random())

    async def run(self) -> None:
        """Every kind at once."""
        kinds: list[Coroutine[Any, Any, None]] = [self._again(self._idle, 1.0) for _ in range(IDLE)]
        kinds += [self._again(self._benign, 0.1) for _ in range(10)]
        kinds += [self._again(self._large, 2.0) for _ in range(2)]
        kinds += [self._again(what, 0.1) for what in (self._half, self._leaving) for _ in range(5)]
        kinds += [self._again(what, 0.1) for what in (self._byte_by_byte, self._never_reading) for _ in range(5)]
        await asyncio.gather(*kinds)


async def _kill_and_start(server: list[Process], until: float) -> None:
    """End the model server without warning, and start it again, over and over."""
    port = server[0].port
    while time.monotonic() < until - 4:
        await asyncio.sleep(3)
        server[0].stop(9)
        await asyncio.sleep(1)
        server[0] = await asyncio.to_thread(model_server, port)


def chaos_figures(seconds: float) -> list[Figure]:
    """What is left after *seconds* of chaos, in rounds with a rest after each."""
    statuses: Counter[str] = Counter()
    memory, descriptors = [], []
    with tempfile.TemporaryDirectory() as temporary:
        server = [model_server(free_port())]
        try:
            with guard(server[0].url, Path(temporary), POLICY) as process:
                asyncio.run(_benign_only(process.port, statuses))
                quiet = (process.memory, process.descriptors)
                for number in range(ROUNDS):
                    asyncio.run(_round(process.port, server, seconds / ROUNDS, number, statuses))
                    time.sleep(8)  # what hangs is cut off after 3 s, and a connection to the server is unused after 4 s
                    asyncio.run(_benign_only(process.port, Counter()))  # unused connections are closed by the next
                    memory.append(process.memory)
                    descriptors.append(process.descriptors)
                    print(f"{memory[-1]:.0f} MB, {descriptors[-1]} files; {dict(statuses)}", file=sys.stderr)
                after: Counter[str] = Counter()
                asyncio.run(_benign_only(process.port, after))
        finally:
            server[0].stop()
    unexpected = sum(count for status, count in statuses.items() if status not in ("200", "502"))
    growth = memory[-1] - statistics.median(memory[:2])
    return [
        Figure(
            "answers of another kind than 200 and 502 to benign requests",
            unexpected,
            at_most=0,
            note=f"{statuses['200']:,} × 200, {statuses['502']:,} × 502 while the server was down",
        ),
        Figure("benign requests answered afterwards, of 100", after["200"], at_least=100),
        Figure("open files afterwards, more than before", descriptors[-1] - quiet[1], at_most=0, note=f"{descriptors}"),
        Figure(
            "growth of memory from the first rounds to the last",
            growth,
            "MB",
            at_most=10,
            note=f"{quiet[0]:.0f} before; after each round {', '.join(f'{each:.0f}' for each in memory)}",
        ),
    ]


async def _round(port: int, server: list[Process], seconds: float, seed: int, statuses: Counter[str]) -> None:
    until = time.monotonic() + seconds
    chaos = Chaos(port, until, seed)
    await asyncio.gather(chaos.run(), _kill_and_start(server, until))
    statuses.update(chaos.statuses)


async def _benign_only(port: int, statuses: Counter[str]) -> None:
    chaos = Chaos(port, 0, 0)
    for _ in range(100):
        async with _connected(port) as (reader, writer):
            await chaos._benign(reader, writer)
    statuses.update(chaos.statuses)
