"""Signals that end a command: what is finished is kept, and the exit code names the signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["ending_signals"]

# A batch system or a container sends SIGTERM; a terminal that is closed sends SIGHUP, on Windows SIGBREAK.
NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")


@contextlib.contextmanager
def ending_signals() -> Iterator[list[int]]:
    """While the context is open, the signals raise `KeyboardInterrupt`, as Ctrl-C does; yields those that came.

    A signal that is ignored (after ``nohup``) stays ignored.
    """
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield came
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    changed = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
