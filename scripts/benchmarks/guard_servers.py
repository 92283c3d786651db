"""Processes for measurements of the guard: a model server that answers at once, and the guard in front of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["ANSWER", "Process", "free_port", "guard", "model_server"]

ANSWER = json.dumps(
    {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "text": " the sea",
                "finish_reason": "stop",
                "logprobs": {
                    "tokens": [" the", " sea"],
                    "token_logprobs": [-1.5, -2.5],
                    "top_logprobs": [{" the": -1.5}, {" sea": -2.5}],
                    "text_offset": [0, 4],
                },
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }
).encode()
"""What the server answers to everything."""
_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
_EVENT = b"data: " + ANSWER + b"\n\n"
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + (b"%x\r\n" % len(_EVENT) + _EVENT + b"\r\n") * 500
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)
"""A streamed answer of 500 events."""


class _AtOnce(asyncio.Protocol):
    """HTTP as far as a measurement needs it: a request is whole when as many bytes came as its header declares."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data, self.missing, self.streamed = transport, b"", 0, False

    def data_received(self, data: bytes) -> None:
        self.data += data
        while self.data:
            if not self.missing:
                if b"\r\n\r\n" not in self.data:
                    return
                head, _, self.data = self.data.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                self.missing, self.streamed = int(length[1]) if length else 0, False
            taken = min(self.missing, len(self.data))
            body, self.data = self.data[:taken], self.data[taken:]  # counted, and not kept
            self.missing -= taken
            self.streamed |= b'"stream":true' in body
            if not self.missing:
                self.transport.write(_STREAM if self.streamed else _WHOLE)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_AtOnce, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


class Process:
    """A server in a process of its own."""

    def __init__(self, command: list[str], port: int, log: Path | None = None) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}/v1"
        stderr = subprocess.DEVNULL if log is None else log.open("ab")
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        for _ in range(12_000):  # a busy machine takes minutes
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{command} does not listen")

    @property
    def cpu(self) -> float:
        """Seconds of a processor that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text("utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def descriptors(self) -> int:
        """Files and sockets that it has open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal, and return its exit code."""
        self._process.send_signal(number)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def model_server(port: int) -> Process:
    """A server that answers every request at once."""
    return Process([sys.executable, __file__, str(port)], port)


@contextmanager
def guard(upstream: str, folder: Path, policy: str = "") -> Iterator[Process]:
    """The guard as the command starts it, with a log; stopped at the end."""
    (folder / "guard.toml").write_text(policy, "utf-8")
    port = free_port()
    options = {
        "--upstream": upstream,
        "--policy": folder / "guard.toml",
        "--log": folder / "queries.jsonl",
        "--secret": folder / "guard.secret",
        "--port": port,
    }
    words = [str(word) for option in options.items() for word in option]
    process = Process([sys.executable, "-m", "llm_mia", "guard", *words], port, folder / "stderr.txt")
    try:
        yield process
    finally:
        code = process.stop()
        if code:
            raise RuntimeError(f"the guard ended with {code}: {(folder / 'stderr.txt').read_text('utf-8')[-2000:]}")


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
