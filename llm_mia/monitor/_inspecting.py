"""What is understood of a log: its format, the fields of its first lines, and which detectors are blind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ..errors import InputError
from ..queries import Query
from ._faults import Fault, Faults
from ._parallel import recorded
from ._parsing import Parser, parse, recognised_first
from .detectors import DETECTORS, blind_reason
from .lines import Line, lines_of
from .sources import Source, at_path, mapped_source

__all__ = ["Inspection", "inspect_log"]

SHOWN = 20
"""Lines that are tried."""
HIDDEN = {"prompt", "sketch"}
"""Fields whose values are never shown."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is understood of the first lines of a log."""

    name: str
    source: str
    title: str
    """The program and the format."""
    lines: int
    """Lines that were tried."""
    queries: int
    """Requests that were understood."""
    fields: tuple[tuple[str, str], ...]
    """By field of a request: of how many requests it is known, and an example that is no text of a prompt."""
    blind: Mapping[str, str]
    """By detector: why it sees nothing in this log."""
    weak: Mapping[str, str]
    """By detector: why it cannot set benign requests apart."""
    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]
    """Whether a line names a client, and which paths of the mapping are in none of the lines."""


def inspect_log(path: str | os.PathLike[str], *, mapping: str | os.PathLike[str] | None = None) -> Inspection:
    """What is understood of the first 20 lines of a log.

    Args:
        path: of the log.
        mapping: a TOML file with the path of each field, for a format that is not known.

    Raises:
        InputError: the file cannot be read, is empty, is of no known format, or the mapping fits none of the lines.
    """
    where = Path(path)
    source, lines = _first_lines(where, mapping)
    parser = Parser(source, where.name)
    queries = [query for _, query in parser.queries(lines)]
    if mapping is not None and not queries:
        reason = _no_fit(where, Path(mapping), parser.faults)
        raise InputError(reason)
    fields = frozenset(recorded(queries, set()))
    blind = {each.name: blind_reason(each, fields) for each in DETECTORS}
    weak = {}
    for each in DETECTORS:
        missing = [
            name
            for name in each.weakened_without
            if name not in fields and not (name == "sketch" and "prompt" in fields)
        ]
        if missing and not blind[each.name]:
            weak[each.name] = f"without {' and '.join(missing)} it cannot set benign requests apart"
    return Inspection(
        where.name,
        source.name,
        source.title,
        len(lines),
        len(queries),
        tuple((name, _known(name, queries)) for name in Query.__dataclass_fields__ if name in fields),
        {name: reason for name, reason in blind.items() if reason},
        weak,
        parser.faults.listed(),
        tuple(_warnings(source, lines, fields, None if mapping is None else Path(mapping).name)),
    )


def _no_fit(path: Path, mapping: Path, faults: Faults) -> str:
    """That no line can be read by a mapping, and what to do."""
    first = next(iter(faults.listed()), None)
    why = f": a line {first.reason}" if first else ""
    try:
        known = f"the log is of the format {recognised_first(lines_of(path), str(path))[0].name}: leave `mapping` out"
    except InputError:
        known = "correct the paths of its fields"
    return f"{path}: {mapping.name} fits none of the first {SHOWN} lines{why}; {known}"


def _warnings(source: Source, lines: Sequence[Line], fields: frozenset[str], mapping: str | None) -> Iterator[str]:
    """What is wrong with the names of clients, and with the paths of a mapping."""
    if "client" not in fields:
        yield (
            "No line names a client: no client would be judged, families of requests alone; and as the benign log it "
            "could not set thresholds."
        )
    values = [_object(line) for _, line, _ in lines if line is not None]
    for place in source.paths:
        if all(at_path(value, *place) is None for value in values):
            yield f"{mapping}: {'.'.join(place)!r} is in none of the {len(values)} lines."


def _object(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _first_lines(path: Path, mapping: str | os.PathLike[str] | None) -> tuple[Source, list[Line]]:
    """The source of a log and 20 lines of it, the first that are of this source; of a mapping, the first at all."""
    coming = lines_of(path)
    if mapping is None:
        source, taken = recognised_first(coming, str(path))
        places = [at for at, line in enumerate(taken) if parse(source, [line]).queries]
        lines = [*taken[places[0] if places else 0 :], *islice(coming, SHOWN)][:SHOWN]
    else:
        source, lines = mapped_source(Path(mapping)), list(islice(coming, SHOWN))
    if not lines:
        raise InputError(f"{path}: is empty: name a log with at least one request")
    return source, lines


def _known(name: str, queries: list[Query]) -> str:
    """Of how many requests a field is known, with an example."""
    values = [getattr(query, name) for query in queries]
    values = [value for value in values if value is not None and value == value and value != ""]
    known = f"{len(values)} of {len(queries)}"
    if name in HIDDEN:
        return known
    if not values:
        return known
    example = values[0]
    if name == "time":
        example = datetime.fromtimestamp(example, UTC).isoformat(timespec="seconds")
    return f"{known}, such as {str(example)[:40].encode(errors='backslashreplace').decode()}"
