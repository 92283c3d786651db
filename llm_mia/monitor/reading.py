"""Logs → traffic, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from ..errors import InputError
from ..queries import Query
from ._faults import Faults
from ._parsing import LINES_TRIED, Parser, recognise
from .detectors import DETECTORS, blind_reason
from .lines import PAUSE, Line, lines_of
from .sources import Source

__all__ = ["ReadLog", "read_log", "recorded"]

BATCH = 2048
Taken = Callable[[Sequence[tuple[int, Query]]], None]


@dataclass(frozen=True)
class ReadLog:
    """What reading a log gave."""

    source: Source
    lines: int
    requests: int
    fields: frozenset[str]
    """The fields that at least one request has."""
    faults: Faults

    @property
    def blind(self) -> dict[str, str]:
        """By detector, why it sees nothing in this log."""
        reasons = {each.name: blind_reason(each, self.fields) for each in DETECTORS}
        return {name: reason for name, reason in reasons.items() if reason}


def read_log(
    path: Path,
    take: Taken,
    *,
    source: Source | None = None,
    lines: Iterable[Line] | None = None,
    batch: int = BATCH,
) -> ReadLog:
    """Read a log, hand its queries to *take* in batches, and return what was read.

    Args:
        path: of the log.
        take: takes queries with the numbers of their lines.
        source: the format; by default it is recognised from the first lines.
        lines: where they come from; by default the file, as it is now.
        batch: lines that are parsed at once.

    Raises:
        InputError: the file cannot be read, is empty, or is of no known format.
    """
    coming = iter(lines_of(path) if lines is None else lines)
    first = list(islice(_until_pause(coming), LINES_TRIED))
    if not first:
        raise InputError(f"{path}: is empty: name a log with at least one request")
    if source is None:
        source = recognise([line for _, line, _ in first if line is not None], str(path))
    parser = Parser(source, path.name)
    fields: set[str] = set()
    requests = 0
    for part in _batches(chain(first, coming), batch):
        queries = parser.queries(part)
        requests += len(queries)
        fields |= recorded([query for _, query in queries], fields)
        take(queries)
    return ReadLog(source, parser.lines, requests, frozenset(fields), parser.faults)


def _until_pause(lines: Iterator[Line]) -> Iterator[Line]:
    """Lines up to a pause, but at least one."""
    some = False
    for line in lines:
        if line is not PAUSE:
            some = True
            yield line
        elif some:
            return


def _batches(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """*lines* in batches, of which a pause ends one."""
    part: list[Line] = []
    for line in lines:
        if line is not PAUSE:
            part.append(line)
        if part and (line is PAUSE or len(part) >= size):
            yield part
            part = []
    if part:
        yield part


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
