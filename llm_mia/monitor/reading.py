"""Logs → traffic, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..queries import Query
from ._faults import Faults
from ._parallel import prepared_parts
from ._parsing import LINES_TRIED, Parser, parse, recognised_first
from .detectors import DETECTORS, blind_reason
from .lines import PAUSE, BrokenFileError, Line, lines_of
from .sources import Source

__all__ = ["ReadLog", "fitting_source", "read_log"]

BATCH = 256
BATCH_BYTES = 32 << 20
"""Bytes of the lines of a batch, after which it ends."""


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
    take: Callable[[Any], None],
    *,
    prepare: Callable[[Sequence[tuple[int, Query]]], Sequence[Any]] = tuple,
    source: Source | None = None,
    lines: Iterable[Line] | None = None,
    batch: int = BATCH,
    processes: int = 1,
) -> ReadLog:
    """Read a log, hand its queries to *take* in batches, and return what was read.

    Args:
        path: of the log.
        take: takes what *prepare* returns, in the order of the lines.
        prepare: takes queries with the numbers of their lines; by default they are handed on.
        source: the format; by default it is recognised from the first lines.
        lines: where they come from; by default the file, as it is now.
        batch: lines that are parsed at once.
        processes: how many parse and prepare lines at the same time; the result does not depend on it.

    Raises:
        InputError: the file cannot be read, is empty, or is of no known format.
    """
    faults = Faults()
    coming = _up_to_a_break(iter(lines_of(path) if lines is None else lines), faults, path.name)
    source, first = _begun(_until_pause(coming), str(path), source)
    parser = Parser(source, path.name, faults)
    fields: set[str] = set()
    requests = 0
    parts = _batches(chain(first, coming), batch)
    for each in prepared_parts(parts, source, prepare, processes):
        parser.count(each.lines, each.faults, each.times)
        requests += len(each.times)
        fields |= each.fields
        take(each.prepared)
    return ReadLog(source, parser.lines, requests, frozenset(fields), parser.faults)


def fitting_source(path: Path, mapped: Source | None) -> Source | None:
    """The mapping *mapped*, or None where the log is of a known format and the mapping knows no client in it.

    Logs that are read together may be of different formats, of which a mapping fits some.
    """
    if mapped is None or not path.is_file():  # of a pipe, lines that are tried would be lost
        return mapped
    lines = list(islice(lines_of(path), LINES_TRIED[0]))
    if any(query.client for _, query in parse(mapped, lines).queries):
        return mapped
    try:
        recognised_first(iter(lines), str(path))
    except InputError:
        return mapped
    return None


def _begun(lines: Iterator[Line], name: str, source: Source | None) -> tuple[Source, list[Line]]:
    """The source of a log, and the lines that were taken to know it, which are at least one."""
    if source is None:
        return recognised_first(lines, name)
    first = list(islice(lines, 1))
    if not first:
        raise InputError(f"{name}: is empty: name a log with at least one request")
    return source, first


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
