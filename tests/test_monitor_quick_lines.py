"""The quick way to read a line of the guard's log gives what the careful way gives, on lines that are odd, too."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from llm_mia.monitor.reading import ReadLog, read_log
from llm_mia.monitor.sources import SOURCES, Source
from llm_mia.queries import SKETCH_BYTES, Query

GUARD = next(source for source in SOURCES if source.name == "guard")
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, 0.5, -0.0, 7, 2**53, 2**53 + 1, 2**64, 10**30, 1e308, 1_764_331_200, ""),
    *(float("nan"), float("inf"), "chat", "completion", "CHAT", "a\u0000b", "\ud800", "é", [], {}, [1], {"a": 1}),
    *(base64.b64encode(bytes(SKETCH_BYTES)).decode(), base64.b64encode(bytes(3)).decode(), "====", "x" * 300),
]


def odd_line(rng: random.Random) -> bytes:
    """A line of fields with values of any kind, of which few are as a guard writes them."""
    names = [field.name for field in fields(Query)]
    values = {name: rng.choice(VALUES) for name in rng.sample([*names, "other"], rng.randrange(5))}
    text = json.dumps({"time": 1_764_331_200.5, "client": "ab12", **values}, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1:  # a field twice
        text = text[:-1] + f', "samples": {json.dumps(rng.choice(VALUES))}}}'
    line = text.encode(errors="surrogatepass") + b"\n"
    change = rng.randrange(12)
    if change == 0:
        return line[: rng.randrange(len(line))]
    if change == 1:
        at = rng.randrange(len(line))
        return line[:at] + bytes([rng.randrange(256)]) + line[at + 1 :]
    return b"\xef\xbb\xbf" + line if change == 2 else line


def read(log: Path, source: Source) -> tuple[list[str], ReadLog]:
    """The queries of *log* as text, in which NaN equals itself, and what else was read."""
    queries: list[tuple[int, Query]] = []
    result = read_log(log, queries.extend, source=source)
    return [repr(floats(each)) for each in queries], result


def test_the_quick_way_reads_what_the_careful_way_reads(tmp_path: Path) -> None:
    rng, log = random.Random(0), tmp_path / "log.jsonl"
    lines = [odd_line(rng) for _ in range(5_000)]
    log.write_bytes(b"".join(lines))
    (quick, of_quick), (careful, of_careful) = read(log, GUARD), read(log, replace(GUARD, quick=None))
    assert quick == careful
    assert of_quick.faults.listed() == of_careful.faults.listed()
    assert of_quick.fields == of_careful.fields
    assert 250 < len(careful) < len(lines) - 250
    assert GUARD.quick is not None
    assert 250 < sum(GUARD.quick(line) is not None for line in lines) < len(lines) - 250


def floats(pair: tuple[int, Query]) -> tuple[int, Query]:
    """The query with the times that are whole numbers as floats."""
    query = pair[1]
    numbers: dict[str, Any] = {
        name: None if (value := getattr(query, name)) is None else float(value)
        for name in ("time", "temperature", "seconds")
    }
    return pair[0], replace(query, **numbers)
