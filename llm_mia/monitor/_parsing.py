"""Lines → queries: which source wrote a log, and what is wrong with the lines that are not of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import msgspec

from ..errors import InputError
from ..queries import Query
from ._faults import Faults
from .lines import LONGEST_LINE, Line
from .sources import SOURCES, Source

__all__ = ["LINES_TRIED", "Parser", "parse", "recognise", "recognised_first"]

LINES_TRIED = (20, 200, 2000)
"""Lines by which a source is recognised: more where fewer are of no known format, because a program began its log with
lines of another kind."""
LONGEST_NAME = 200
"""Characters of the name of a client; of a longer one, the beginning and a digest are kept."""
EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0
"""Times before 2000 or after 2100 are no times."""
BACKWARDS, FORWARDS = 3600.0, 30 * 86400.0
"""Seconds: a time so much earlier, or so much later, than that of the line before is counted as odd."""


def recognise(lines: Sequence[bytes], name: str) -> Source:
    """The source that wrote *lines*: the one that recognises most of them, and reads at least one without a fault.

    Raises:
        InputError: no source does.
    """
    parsed = [(line, _json(line)) for line in lines]
    best, most = None, 0
    for source in SOURCES:
        values = [line.decode(errors="replace") if source.of_text else value for line, value in parsed]
        count = sum(source.recognises(value) and _readable(source, value) for value in values)
        if count > most:
            best, most = source, count
    if best is None:
        formats = ", ".join(source.name for source in SOURCES)
        raise InputError(
            f"{name}: none of the first {len(lines)} lines is of a known format ({formats}): name the paths of its "
            "fields with `mapping`"
        )
    return best


def recognised_first(lines: Iterator[Line], name: str) -> tuple[Source, list[Line]]:
    """The source of a log, and the lines that were taken from *lines* to recognise it.

    Raises:
        InputError: there is no line, or no source wrote them.
    """
    taken: list[Line] = []
    for tried in LINES_TRIED:
        taken += islice(lines, tried - len(taken))
        if not taken:
            raise InputError(f"{name}: is empty: name a log with at least one request")
        try:
            return recognise([line for _, line, _ in taken if line is not None], name), taken
        except InputError:
            if len(taken) < tried or tried == LINES_TRIED[-1]:
                raise
    raise AssertionError  # the last step returns or raises


def _readable(source: Source, value: Any) -> bool:
    try:
        source.queries(value)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return False
    return True


def _json(line: bytes) -> Any:
    try:
        return _value(line)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What some lines hold, as far as it does not depend on the lines before them."""

    queries: list[tuple[int, Query]]
    """Each query with the number of its line."""
    times: list[tuple[int, float]]
    """The time of each query as the line gives it."""
    faults: list[tuple[int, str]]
    """The lines that cannot be read, with the reasons."""


def parse(source: Source, lines: Iterable[Line]) -> Parsed:
    """The queries of *lines*, and which lines cannot be read; it depends on these lines alone."""
    parsed = Parsed([], [], [])
    faults = parsed.faults
    for number, line, size in lines:
        if line is None:
            faults.append((number, f"is longer than {LONGEST_LINE >> 20} MiB"))
            continue
        try:
            for query in _queries(source, line):
                parsed.times.append((number, query.time))
                known = query if EARLIEST < query.time < LATEST else _without_time(query)
                if len(known.client) > LONGEST_NAME or not known.client.isascii():
                    known = replace(known, client=_short_name(known.client))
                parsed.queries.append((number, known))
        except json.JSONDecodeError:
            if size > 1 and not line.isspace():
                faults.append((number, "is no JSON"))
        except UnicodeDecodeError:
            faults.append((number, "is no UTF-8"))
        except RecursionError:
            faults.append((number, "is nested too deeply"))
        except ValueError as error:
            faults.append((number, str(error)))
        except (TypeError, KeyError, AttributeError, OverflowError):
            faults.append((number, "has a field of an unexpected type"))
    return parsed


def _queries(source: Source, line: bytes) -> Sequence[Query]:
    if source.quick is not None and (query := source.quick(line)) is not None:
        return (query,)
    if source.of_text:
        return source.queries(line.decode())
    value = _value(line)
    if not source.recognises(value):
        raise ValueError("is of another format")
    return source.queries(value)


def _value(line: bytes) -> Any:
    """The JSON value of *line*, which is UTF-8, perhaps with a byte order mark."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # `json` also reads NaN, numbers without limits and halves of characters, and says what is wrong. The line is
        # decoded here, because `json` looks for the encoding of bytes in many places; of a byte order mark it must.
        return json.loads(line if line[:1] > b"\x7f" else line.decode(errors="surrogatepass"))


@dataclass
class Parser:
    """Lines of a log as queries; what cannot be read is counted in `faults`, and the rest is read."""

    source: Source
    name: str
    """Of the log, for the places of faults."""
    faults: Faults = field(default_factory=Faults)
    lines: int = 0
    latest: float = math.nan

    def queries(self, lines: Sequence[Line]) -> list[tuple[int, Query]]:
        """Each query with the number of its line."""
        parsed = parse(self.source, lines)
        self.count(len(lines), parsed.faults, parsed.times)
        return parsed.queries

    def count(self, lines: int, faults: Iterable[tuple[int, str]], times: Iterable[tuple[int, float]]) -> None:
        """Count so many *lines*, those that cannot be read, and those whose times are odd after the lines before."""
        self.lines += lines
        for number, reason in faults:
            self._fault(reason, number)
        for number, time in times:
            self._check_order(time, number)

    def _check_order(self, time: float, number: int) -> None:
        if not EARLIEST < time < LATEST:
            reason = "has no time" if time != time else "has a time before 2000 or after 2100"
            self._fault(reason, number, read=True)
        elif time < self.latest - BACKWARDS:
            self._fault("is more than an hour earlier than a line before it", number, read=True)
        elif time > self.latest + FORWARDS:
            self._fault("is more than 30 days later than the line before it", number, read=True)
            self.latest = time
        else:
            self.latest = time if math.isnan(self.latest) else max(self.latest, time)

    def _fault(self, reason: str, number: int, *, read: bool = False) -> None:
        self.faults.add(reason, f"{self.name}:{number}", read=read)


def _short_name(client: str) -> str:
    """A name of limited length that can be written as UTF-8: many logs let clients choose their names."""
    name = client.encode(errors="backslashreplace").decode()
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}…{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _without_time(query: Query) -> Query:
    return query if query.time != query.time else replace(query, time=math.nan)  # no float holds some whole numbers
