"""Signals that end a command: what is finished is kept, and the exit code names the signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

__all__ = ["ending_signals", "interrupts_first"]

# A terminal sends SIGINT for Ctrl-C, and SIGHUP when it is closed, on Windows SIGBREAK; a batch system or a container
# sends SIGTERM.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextlib.contextmanager
def ending_signals(*, once: bool = False) -> Iterator[list[int]]:
    """While the context is open, the signals raise `KeyboardInterrupt`; yields those that came.

    A signal that is ignored (after ``nohup``) stays ignored. With *once* all but the first are ignored, too: a launcher
    repeats the signal that its terminal sends to all processes, and what is finished is being written then.
    """
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        if came and once:
            return
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield came
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    usual = (signal.SIG_DFL, signal.default_int_handler)
    changed = [number for number, handler in before.items() if handler in usual]
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number in changed:
            signal.signal(number, before[number])


@contextlib.contextmanager
def interrupts_first(came: Sequence[int]) -> Iterator[None]:
    """Turn every error in the block into `KeyboardInterrupt` if a signal *came*.

    The interrupt may hit other libraries where they replace it: numpy reports that a buffer has no valid format.
    """
    try:
        yield
    except Exception:
        if came:
            raise KeyboardInterrupt from None
        raise
