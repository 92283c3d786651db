"""What runs beside the model: the next blocks are read ahead, and parts are written behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["Behind", "ahead"]

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """*items*, made in one thread up to *depth* before they are asked for; an error comes where its item would.

    Close it (`contextlib.closing`), or the thread goes on to the end of what it has begun.
    """
    worker = ThreadPoolExecutor(1, "llm-mia-ahead")
    end = object()

    def make() -> T | object:
        return next(items, end)

    try:
        waiting = deque(worker.submit(make) for _ in range(depth))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(worker.submit(make))
            yield item  # type: ignore[misc]  # mypy cannot tell that it is not the end
    finally:
        worker.shutdown(cancel_futures=True)


class Behind(Generic[T]):
    """Calls *write* in one thread, in order, one call at a time; leaving waits for the last.

    An error of a call is raised by the next one, or on leaving; never swallowed but for another error.
    """

    def __init__(self, write: Callable[[T], None]) -> None:
        self._write = write
        self._worker = ThreadPoolExecutor(1, "llm-mia-behind")
        self._begun: Future[None] | None = None

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, place: TracebackType | None) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._worker.shutdown()

    def __call__(self, what: T) -> None:
        self._wait()
        self._begun = self._worker.submit(self._write, what)

    def _wait(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()
