"""A Ray cluster: on this machine, for as long as it is needed, or one that exists."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError, UsageError, WorkerError
from ._urls import check_address

__all__ = ["Cluster", "connected"]

STORE_BYTES = 1 << 30
"""Memory of this machine for what is on its way between processes; Ray moves more to the disk."""
ATTEMPTS = 3
"""How often Ray is started: it gives up after 30 s, which a busy machine may exceed."""
REACHED_WITHIN = 5.0
"""Seconds in which the machine of a cluster must answer."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves this machine
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CLIENT_SERVER_LOG_LEVEL": "ERROR",
}
PIP_LINE = "pip install 'llm-mia[ray]'"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster has for us."""

    workers: int
    cards: int
    """CUDA devices of each worker: 1 or 0."""
    errors: tuple[type[Exception], ...]
    """Errors of Ray itself."""


@contextmanager
def connected(on: str | None, processes: int | None) -> Iterator[Cluster]:
    """While it is open, this process is connected to the cluster *on*, see `shared_by_ray`."""
    if on is not None:
        check_address(on)
    if processes is not None and processes < 1:
        raise UsageError(f"`processes` is {processes}: it must be at least 1")
    if on not in (None, "ray"):
        _use_token()
    ray = _ray()
    if ray.is_initialized():
        if on is not None:
            raise UsageError("this process is already connected to a Ray cluster: to use that, give None as `on`")
        yield _resources(ray, processes)
        return
    if on is None:
        raise UsageError(
            "`on` is None, but this process is connected to no Ray cluster: name `on`, or call ray.init first"
        )
    with _unchanged_handlers():
        if on == "ray":
            _start(ray, processes)
        else:
            _connect(ray, on)
    try:
        yield _resources(ray, processes)
    finally:
        ray.shutdown()


def _ray() -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ModuleNotFoundError:
        raise MissingExtraError("Ray", PIP_LINE) from None
    _silence(ray)
    return ray


def _use_token() -> None:
    """Send the token of a cluster, where there is one: the client of Ray does so only where this variable is set."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if named or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _silence(ray: Any) -> None:
    """Keep Ray from printing to standard output when a worker ends; nothing public does so."""
    worker: Any = getattr(getattr(ray, "_private", None), "worker", None)
    if hasattr(worker, "_worker_logs_enabled"):
        worker._worker_logs_enabled = False


def _start(ray: Any, processes: int | None) -> None:
    """Start a cluster on this machine, which ends with this process."""
    # By default Ray gives its workers the lowest priority, so any other program would delay the command.
    os.environ.setdefault("RAY_worker_niceness", "0")
    for attempt in range(ATTEMPTS):
        try:
            ray.init(
                address="local",
                num_cpus=processes,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=STORE_BYTES,
            )
        except Exception as error:
            ray.shutdown()
            if attempt + 1 == ATTEMPTS:
                raise WorkerError(
                    f"Ray did not start on this machine ({_line(error)}): see the logs of its last session; "
                    "without Ray, a single process computes the same scores"
                ) from error
        else:
            return


def _connect(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise WorkerError(
            f"no Ray cluster answers at {address} ({error}): check the address; the port is that of the Ray client "
            "server, by default 10001"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
    except ImportError:
        raise MissingExtraError("the client of Ray", PIP_LINE) from None
    except Exception as error:
        raise WorkerError(
            f"the Ray cluster at {address} refused the connection ({_line(error)}): this machine needs the versions of "
            "Ray and Python and the token of the cluster, and the port of its Ray client server, by default 10001"
        ) from error


def _resources(ray: Any, processes: int | None) -> Cluster:
    """How many workers the cluster has room for."""
    resources = ray.cluster_resources()
    cards = int(resources.get("GPU", 0))
    workers = cards or max(1, int(resources.get("CPU", 1)))
    return Cluster(workers if processes is None else min(processes, workers), min(1, cards), (ray.exceptions.RayError,))


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


@contextmanager
def _unchanged_handlers() -> Iterator[None]:
    """Afterwards signals are handled as before: Ray would end this process without its last words."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is None or isinstance(handler, int) or callable(handler):
                signal.signal(number, handler)
