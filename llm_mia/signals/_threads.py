"""Work in other threads while the model computes: the next blocks are prepared, finished blocks are written."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["BackgroundWriter", "prefetch", "stoppable"]

T = TypeVar("T")
REWRITTEN_AT_ONCE = 32
"""Texts that a model rewrites together; a CPU takes seconds for them."""


def prefetch(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """Yields *items*, and computes up to *depth* of them in another thread before they are needed.

    An error of *items* is raised where its item would come. Close the generator (`contextlib.closing`), or the thread
    goes on to the end of the item that it has begun.
    """
    worker = ThreadPoolExecutor(1, "llm-mia-prefetch")
    end = object()

    def take() -> T | object:
        return next(items, end)

    try:
        waiting = deque(worker.submit(take) for _ in range(depth))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(worker.submit(take))
            yield item  # type: ignore[misc]  # mypy cannot see that it is not the end
    finally:
        worker.shutdown(cancel_futures=True)


def stoppable(
    rewrite: Callable[[Sequence[T]], Sequence[T]], stopped: threading.Event
) -> Callable[[Sequence[T]], Sequence[T]]:
    """*rewrite*, which is called with a few texts at a time, and gives up when *stopped* is set.

    A masked language model takes minutes for a block, and a run that is interrupted must not wait for it.
    """

    def rewrite_slices(texts: Sequence[T]) -> Sequence[T]:
        rewritten: list[T] = []
        for start in range(0, len(texts), REWRITTEN_AT_ONCE):
            if stopped.is_set():
                raise CancelledError
            rewritten += rewrite(texts[start : start + REWRITTEN_AT_ONCE])
        return rewritten

    return rewrite_slices


class BackgroundWriter(Generic[T]):
    """Calls *write* in another thread, one call at a time and in order; leaving the context waits for the last.

    An error of a call is raised by the next call, or on leaving. It is dropped only where another error is on its way.
    """

    def __init__(self, write: Callable[[T], None]) -> None:
        self._write = write
        self._worker = ThreadPoolExecutor(1, "llm-mia-writer")
        self._begun: Future[None] | None = None

    def __enter__(self) -> BackgroundWriter[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, place: TracebackType | None) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._worker.shutdown()

    def __call__(self, item: T) -> None:
        """Hand *item* to the other thread, after the one before it is written."""
        self._wait()
        self._begun = self._worker.submit(self._write, item)

    def _wait(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()
