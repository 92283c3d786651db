"""What the guard costs: requests at a fixed rate, to the server itself and through the guard in turn."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .figures import Figure
from .guard_servers import ANSWER, free_port, guard, model_server

__all__ = ["load_figures"]

RATE = 200
"""Requests a second."""
CONNECTIONS = 16
BLOCKS = 20
"""The server itself and the guard take turns, so that what else the machine does falls on both alike."""
PROMPT = "The tide comes in twice a day, and nobody who lives here looks at a clock. " * 6


@dataclass(slots=True)
class Measured:
    """Requests that were sent."""

    seconds: list[float] = field(default_factory=list)
    """From when each should be sent until its answer is whole."""
    lost: int = 0
    """Without an answer, or with another answer than the expected."""


async def _connection(port: int, due: list[float], began: float, measured: Measured) -> None:
    """Send the requests that are *due* over a connection, each when it is due or when the one before is answered."""
    body = json.dumps({"model": "m", "prompt": PROMPT, "max_tokens": 2, "logprobs": 1}).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key\r\n"
    request = head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    text = json.loads(ANSWER)["choices"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for at in due:
        await asyncio.sleep(max(0.0, began + at - time.perf_counter()))
        sent = time.perf_counter()
        try:
            writer.write(request)
            status, *lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
            answer = json.loads(await reader.readexactly(length))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            measured.lost += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        measured.seconds.append(time.perf_counter() - sent)
        measured.lost += b" 200 " not in status or answer["choices"] != text
    writer.close()


async def _load(port: int, requests: int, measured: Measured) -> None:
    began = time.perf_counter()
    due = [[at / RATE for at in range(first, requests, CONNECTIONS)] for first in range(CONNECTIONS)]
    await asyncio.gather(*(_connection(port, each, began, measured) for each in due))


def load_figures(requests: int) -> list[Figure]:
    """The overhead of a request, and how many of *requests* are lost."""
    direct, guarded = Measured(), Measured()
    with tempfile.TemporaryDirectory() as temporary:
        folder, server = Path(temporary), model_server(free_port())
        try:
            with guard(server.url, folder) as process:
                asyncio.run(_load(process.port, 400, Measured()))  # both warm up
                before, overheads = process.cpu, []
                for block in range(BLOCKS):
                    first, second = len(direct.seconds), len(guarded.seconds)
                    asyncio.run(_load(server.port, requests // BLOCKS // 4, direct))
                    asyncio.run(_load(process.port, requests // BLOCKS, guarded))
                    overheads.append(
                        statistics.median(guarded.seconds[second:]) - statistics.median(direct.seconds[first:])
                    )
                    print(f"block {block + 1}: {1e3 * overheads[-1]:.2f} ms more", file=sys.stderr, flush=True)
                cpu = process.cpu - before
            lines = (folder / "queries.jsonl").read_text("utf-8").count("\n")
        finally:
            server.stop()
    quantiles = statistics.quantiles(guarded.seconds, n=100)
    overhead = statistics.median(guarded.seconds) - statistics.median(direct.seconds)
    note = f"{1e3 * min(overheads):.2f} to {1e3 * max(overheads):.2f} in {BLOCKS} blocks of {requests // BLOCKS:,}"
    return [
        Figure("median of the guard less that of the server itself", 1e3 * overhead, "ms", at_most=1, note=note),
        Figure("median of a request to the server itself", 1e3 * statistics.median(direct.seconds), "ms"),
        Figure("99th percentile of a request through the guard", 1e3 * quantiles[98], "ms"),
        Figure("processor time of the guard for a request", 1e3 * cpu / requests, "ms"),
        Figure(f"lost of {requests:,} requests", guarded.lost + requests - len(guarded.seconds), at_most=0),
        Figure(f"missing in the log of {requests + 400:,}", requests + 400 - lines, at_most=0),
    ]
