"""What is understood of a log: its format, the fields of its first lines, and which detectors are blind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ..errors import InputError
from ..queries import Query
from ._faults import Fault
from ._parsing import LINES_TRIED, Parser, recognise
from .detectors import DETECTORS, blind_reason
from .lines import lines_of
from .reading import recorded
from .sources import mapped_source

__all__ = ["Inspection", "inspect_log"]

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
    """By detector: why it cannot set honest requests apart."""
    faults: tuple[Fault, ...]


def inspect_log(path: str | os.PathLike[str], *, mapping: str | os.PathLike[str] | None = None) -> Inspection:
    """What is understood of the first 20 lines of a log.

    Args:
        path: of the log.
        mapping: a TOML file with the path of each field, for a format that is not known.

    Raises:
        InputError: the file cannot be read, is empty, or is of no known format.
    """
    where = Path(path)
    lines = list(islice(lines_of(where), LINES_TRIED))
    if not lines:
        raise InputError(f"{where}: is empty: name a log with at least one request")
    source = (
        recognise([line for _, line, _ in lines if line is not None], str(where))
        if mapping is None
        else mapped_source(Path(mapping))
    )
    parser = Parser(source, where.name)
    queries = [query for _, query in parser.queries(lines)]
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
            weak[each.name] = f"without {' and '.join(missing)} it cannot set honest requests apart"
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
    )


def _known(name: str, queries: list[Query]) -> str:
    """Of how many requests a field is known, with an example."""
    values = [getattr(query, name) for query in queries]
    values = [value for value in values if value is not None and value == value and value != ""]
    known = f"{len(values)} of {len(queries)}"
    if name in HIDDEN:
        return known
    example = values[0]
    if name == "time":
        example = datetime.fromtimestamp(example, UTC).isoformat(timespec="seconds")
    return f"{known}, such as {str(example)[:40].encode(errors='backslashreplace').decode()}"
