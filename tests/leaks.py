"""Which words and tokens of passages a folder gives away, also inside Parquet, gzip and base64."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llm_mia.errors import __file__ as package_file

LETTERS = re.compile(r"[^\W\d_]{4,}")
BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
NUMBERS = re.compile(r"\d+(?:[\s,;]+\d+){5,}")
RUN = 6
"""Token ids in a row that give a passage away: fewer may be counts by chance."""


def words_of(texts: Iterable[str]) -> set[str]:
    """The words of at least four letters that no file of the package itself holds."""
    package = Path(package_file).parent
    files = [file for kind in ("py", "html", "css", "js", "md") for file in package.rglob(f"*.{kind}")]
    known = {word.casefold() for file in files for word in LETTERS.findall(file.read_text(encoding="utf-8"))}
    return {word.casefold() for text in texts for word in LETTERS.findall(text)} - known


def runs_of(ids: Iterable[Iterable[int]]) -> set[tuple[int, ...]]:
    """Every run of `RUN` token ids in the passages with these *ids*."""
    return {run for of_passage in ids for run in _runs(list(of_passage))}


def leaks(folder: Path, words: set[str], runs: set[tuple[int, ...]] = frozenset()) -> dict[str, set[Any]]:  # type: ignore[assignment]
    """By file: which of *words* and of *runs* it holds. What lies in a folder ``signals`` is left out."""
    given_away: dict[str, set[Any]] = {}
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = file.relative_to(folder)
        if "signals" in name.parts:
            continue
        found = set[Any]()
        for text in _texts(file.read_bytes()):
            found |= {word.casefold() for word in LETTERS.findall(text)} & words
            for numbers in NUMBERS.findall(text):
                found |= set(_runs([int(number) for number in re.findall(r"\d+", numbers)])) & runs
        if found:
            given_away[str(name)] = found
    return given_away


def _runs(ids: list[int]) -> Iterator[tuple[int, ...]]:
    return (tuple(ids[at : at + RUN]) for at in range(len(ids) - RUN + 1))


def _texts(data: bytes, depth: int = 3) -> Iterator[str]:
    """The texts in *data*: as it is, with the escapes of JSON resolved, and in whatever it holds packed."""
    if data[:4] == b"PAR1":
        yield from _parquet_texts(data)
        return
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    elif data[:1] == b"x" and depth < 3:
        try:
            data = zlib.decompress(data)
        except zlib.error:
            return
    text = data.decode("utf-8", errors="replace")
    yield text
    if "\\u" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    if not depth:
        return
    for packed in BASE64.findall(data):
        try:
            inner = base64.b64decode(packed + b"=" * (-len(packed) % 4))
        except binascii.Error:
            continue
        yield from _texts(inner, depth - 1)


def _parquet_texts(data: bytes) -> Iterator[str]:
    table = pq.read_table(pa.BufferReader(data))
    yield str(table.schema)
    for name, column in zip(table.column_names, table.columns, strict=True):
        yield name
        if not pa.types.is_floating(column.type):
            yield json.dumps(column.to_pylist(), default=repr, ensure_ascii=False)
