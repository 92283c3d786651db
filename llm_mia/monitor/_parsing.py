"""Lines → queries: which source wrote a log, and what is wrong with the lines that are not of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError
from ..queries import Query
from ._faults import Faults
from .lines import LONGEST_LINE, Line
from .sources import SOURCES, Source

__all__ = ["LINES_TRIED", "Parser", "recognise"]

LINES_TRIED = 20
"""Lines by which a source is recognised."""
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


def _readable(source: Source, value: Any) -> bool:
    try:
        source.queries(value)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return False
    return True


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


@dataclass
class Parser:
    """Lines of a log as queries; what cannot be read is counted in `faults`, and the rest is read."""

    source: Source
    name: str
    """Of the log, for the places of faults."""
    faults: Faults = field(default_factory=Faults)
    lines: int = 0
    latest: float = math.nan

    def queries(self, lines: Iterable[Line]) -> list[tuple[int, Query]]:
        """Each query with the number of its line."""
        read: list[tuple[int, Query]] = []
        parse, of_text = self.source.queries, self.source.of_text
        for number, line, size in lines:
            self.lines += 1
            if line is None:
                self._fault(f"is longer than {LONGEST_LINE >> 20} MiB", number)
                continue
            try:
                value = line.decode() if of_text else json.loads(line)
                if not of_text and not self.source.recognises(value):
                    raise ValueError("is of another format")
                for query in parse(value):
                    known = query if self._in_order(query.time, number) else _without_time(query)
                    if len(known.client) > LONGEST_NAME or not known.client.isascii():
                        known = replace(known, client=_short_name(known.client))
                    read.append((number, known))
            except json.JSONDecodeError:
                if size > 1 and not line.isspace():
                    self._fault("is no JSON", number)
            except UnicodeDecodeError:
                self._fault("is no UTF-8", number)
            except RecursionError:
                self._fault("is nested too deeply", number)
            except ValueError as error:
                self._fault(str(error), number)
            except (TypeError, KeyError, AttributeError, OverflowError):
                self._fault("has a field of an unexpected type", number)
        return read

    def _in_order(self, time: float, number: int) -> bool:
        """Whether *time* is a time; a jump is counted."""
        if not EARLIEST < time < LATEST:
            reason = "has no time" if math.isnan(time) else "has a time before 2000 or after 2100"
            self._fault(reason, number, read=True)
            return False
        if time < self.latest - BACKWARDS:
            self._fault("is more than an hour earlier than a line before it", number, read=True)
        elif time > self.latest + FORWARDS:
            self._fault("is more than 30 days later than the line before it", number, read=True)
            self.latest = time
        else:
            self.latest = time if math.isnan(self.latest) else max(self.latest, time)
        return True

    def _fault(self, reason: str, number: int, *, read: bool = False) -> None:
        self.faults.add(reason, f"{self.name}:{number}", read=read)


def _short_name(client: str) -> str:
    """A name of limited length that can be written as UTF-8: many logs let clients choose their names."""
    name = client.encode(errors="backslashreplace").decode()
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}…{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _without_time(query: Query) -> Query:
    return query if math.isnan(query.time) else replace(query, time=math.nan)
