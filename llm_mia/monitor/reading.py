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
from .lines import PAUSE, BrokenFileError, Line, lines_of
from .sources import Source

__all__ = ["ReadLog", "read_log", "recorded"]

BATCH = 2048
BATCH_BYTES = 32 << 20
"""Bytes of the lines of a batch, after which it ends."""
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
    faults = Faults()
    coming = _up_to_a_break(iter(lines_of(path) if lines is None else lines), faults, path.name)
    first = list(islice(_until_pause(coming), LINES_TRIED))
    if not first:
        raise InputError(f"{path}: is empty: name a log with at least one request")
    if source is None:
        source = recognise([line for _, line, _ in first if line is not None], str(path))
    parser = Parser(source, path.name, faults)
    fields: set[str] = set()
    requests = 0
    for part in _batches(chain(first, coming), batch):
        queries = parser.queries(part)
        requests += len(queries)
        fields |= recorded([query for _, query in queries], fields)
        take(queries)
    return ReadLog(source, parser.lines, requests, frozenset(fields), parser.faults)


def _up_to_a_break(lines: Iterator[Line], faults: Faults, name: str) -> Iterator[Line]:
    """*lines*; where a compressed file is broken they end, and the place is counted."""
    number = 0
    try:
        for line in lines:
            number = line[0] or number
            yield line
    except BrokenFileError:
        faults.add("is the last before the compressed file is cut off or broken", f"{name}:{number}", read=True)


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
    """*lines* in batches, of which a pause ends one; a batch of long lines is of fewer, to bound the memory."""
    part: list[Line] = []
    held = 0
    for line in lines:
        if line is not PAUSE:
            part.append(line)
            held += 0 if line[1] is None else line[2]
        if part and (line is PAUSE or len(part) >= size or held >= BATCH_BYTES):
            yield part
            part, held = [], 0
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
