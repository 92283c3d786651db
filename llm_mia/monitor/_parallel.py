"""Batches of lines → what traffic takes in, by one process or several; the order and the result are the same."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..queries import Query
from ._parsing import parse
from .lines import Line
from .sources import Source

__all__ = ["PreparedPart", "prepared_parts", "recorded"]

Prepare = Callable[[Sequence[tuple[int, Query]]], Sequence[Any]]
WAITING = 2
"""Batches of each process that are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class PreparedPart:
    """A batch of lines, parsed and prepared."""

    lines: int
    prepared: Sequence[Any]
    times: list[tuple[int, float]]
    """The time of each query, as its line gives it, with the number of the line."""
    faults: list[tuple[int, str]]
    fields: frozenset[str]
    """Fields that a query of the batch has, but for some that an earlier batch had."""


def prepared_parts(
    parts: Iterable[Sequence[Line]], source: Source, prepare: Prepare, processes: int
) -> Iterator[PreparedPart]:
    """Each of *parts* as it was parsed and prepared, in their order.

    Raises:
        InputError: a process was ended from outside.
    """
    if processes == 1:
        known: set[str] = set()
        yield from (_prepared(part, source, prepare, known) for part in parts)
        return
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[PreparedPart]] = deque()
    with ProcessPoolExecutor(processes, context, _start, (source, prepare)) as pool:
        try:
            for part in parts:
                waiting.append(pool.submit(_work, part))
                if len(waiting) >= WAITING * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise InputError(
                "a process that reads the log was ended, perhaps for want of memory: give a smaller `processes`"
            ) from None


def _prepared(part: Sequence[Line], source: Source, prepare: Prepare, known: set[str]) -> PreparedPart:
    parsed = parse(source, part)
    fields = recorded([query for _, query in parsed.queries], known)
    known |= fields
    return PreparedPart(len(part), prepare(parsed.queries), parsed.times, parsed.faults, frozenset(fields))


_STATE: list[Any] = []
"""Of a process that reads: the source, what prepares queries, and the fields that it has reported."""


def _start(source: Source, prepare: Prepare) -> None:
    _STATE[:] = [source, prepare, set()]


def _work(part: Sequence[Line]) -> PreparedPart:
    source, prepare, known = _STATE
    return _prepared(part, source, prepare, known)


def recorded(queries: Sequence[Query], known: set[str]) -> set[str]:
    """The fields that a query of *queries* has, beside those that are *known*."""
    fields = set()
    for name in set(Query.__dataclass_fields__) - known:
        blank: tuple[object, ...] = ("",) if name in ("client", "model") else (None,)
        if name != "request" and any(_has(getattr(query, name), blank) for query in queries):
            fields.add(name)
    return fields | {"request"}


def _has(value: object, blank: tuple[object, ...]) -> bool:
    return value not in blank and value == value  # NaN differs from itself
