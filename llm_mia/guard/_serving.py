"""The guard as a server: uvicorn, with time limits for clients that send or read too slowly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from ..errors import UsageError
from ._app import Guard
from ._clients import Secret
from ._log import QueryLog
from ._policy import Policy
from ._upstream import Upstream

__all__ = ["Served", "serve_guard"]

BACKLOG = 2048
"""Most connections that wait to be accepted."""
LARGEST_HEAD = 65536
"""Bytes that the head of a request may have in any case, as in most servers."""
ENDING_SECONDS = 30
"""For which answers that have begun may go on when the guard is stopped."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a guard did until it was stopped."""

    statuses: dict[int, int]
    """How many requests got each status, see `CLIENT_GONE`."""
    written: int
    """Queries in the log."""
    lost: int
    """Queries that could not be written."""


def serve_guard(
    upstream: str,
    policy: Policy,
    *,
    log: str | Path | None = None,
    secret: Secret,
    host: str = "127.0.0.1",
    port: int = 8100,
    report: Callable[[str], None] = lambda _: None,
    started: Callable[[str], None] = lambda _: None,
) -> Served:
    """Serve a guard until SIGINT or SIGTERM, and return what it did.

    Args:
        upstream: address of the model server, as in ``http://127.0.0.1:8000/v1``.
        policy: see `read_policy`.
        log: file of queries; without it there is no log.
        secret: of the names of clients, of noise and of sketches.
        host: address to listen on.
        port: to listen on; 0: any that is free.
        report: receives sentences about the log.
        started: receives the address once the guard listens.

    Raises:
        UsageError: an address, a port or the file of the log cannot be used.
    """
    behind = Upstream(upstream, policy.upstream)  # first, so that a wrong address starts nothing
    with _listening(host, port) as listening:
        writer = None if log is None else QueryLog(log, policy.log, secret.sketch_key, report)
        guard = Guard(policy, behind, secret, writer.write if writer else lambda _: None)
        address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/v1"
        try:
            asyncio.run(_serve(guard, policy, listening, lambda: started(address)))
        finally:
            if writer:
                writer.close()
    return Served(dict(guard.statuses), writer.written if writer else 0, writer.lost if writer else 0)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio sends small packets at once only where the protocol is named; `socket.create_server` names none.
        with contextlib.ExitStack() as failed:
            listening = failed.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
            failed.pop_all()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen on `host` {host}, `port` {port} ({reason}): name another") from None
    return listening


async def _serve(guard: Guard, policy: Policy, listening: socket.socket, started: Callable[[], None]) -> None:
    server = _Server(configuration(guard, policy))
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # only in the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.end)
    serving = asyncio.ensure_future(server.serve([listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        started()
    await serving


def configuration(guard: Guard, policy: Policy) -> uvicorn.Config:
    """What uvicorn needs to serve *guard*."""
    return uvicorn.Config(
        guard,
        http=_timed(policy.requests.seconds, policy.requests.max_bytes),
        ws="none",
        lifespan="on",
        log_config=None,  # nothing of a request is printed
        log_level="error",  # else any client could fill the screen with warnings
        access_log=False,
        proxy_headers=False,  # else any local client could give itself another address
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=ENDING_SECONDS,
        backlog=BACKLOG,
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the loop handles them."""
        yield

    def end(self) -> None:
        """Stop accepting requests; at the second call end those that run, too."""
        self.force_exit, self.should_exit = self.should_exit, True


def _timed(seconds: float, largest: int) -> Any:
    """The protocol of uvicorn, cutting off whoever takes longer for the head of a request, or to read an answer.

    A head may have as many bytes as a body, *largest*, and at least `LARGEST_HEAD`.
    """
    most_bytes = max(largest, LARGEST_HEAD)
    base: Any = AutoHTTPProtocol

    class TimedProtocol(base):  # type: ignore[misc]
        head: asyncio.TimerHandle | None = None
        """Runs from the first byte of a head, or the beginning of the connection, until the head is complete."""
        reading: asyncio.TimerHandle | None = None
        """Runs while the client does not read."""
        head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_Joined(transport, self.loop))
            self.head = self.loop.call_later(seconds, self._cut_off)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is None or self.cycle.response_complete:
                self.head = self.head or self.loop.call_later(seconds, self._cut_off)
                self.head_bytes += len(data)
                if self.head_bytes > most_bytes:  # httptools holds a head of any size
                    self._cut_off()
            else:
                _stop(self.head)
                self.head, self.head_bytes = None, 0

        def pause_writing(self) -> None:
            super().pause_writing()
            self.reading = self.reading or self.loop.call_later(seconds, self._cut_off)

        def resume_writing(self) -> None:
            super().resume_writing()
            _stop(self.reading)
            self.reading = None

        def connection_lost(self, error: Exception | None) -> None:
            _stop(self.head)
            _stop(self.reading)
            super().connection_lost(error)

        def _cut_off(self) -> None:
            if self.transport is not None:
                self.transport.abort()

    return TimedProtocol


class _Joined:
    """A transport that joins the first two pieces written together: a head alone would wake the client for nothing."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._held = transport, loop, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send *data* with what is held; if nothing is, hold it until the loop goes on."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Send what is held, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
