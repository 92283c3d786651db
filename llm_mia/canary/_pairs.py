"""Pairs of a published and a withheld version of the same text."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from ..errors import InputError, PassageError

__all__ = ["CONTROL_SIDES", "SIDES", "Pair", "read_control", "read_pairs"]

SIDES = ("published", "withheld")
CONTROL_SIDES = ("control-published", "control-withheld")
"""In ids of scores; no control text was published."""
IN_MEMORY = "pairs in memory"
NAME = 60
"""Characters of an id in a message."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A text in two versions."""

    id: str
    document: str
    """Pairs of the same document are a single piece of evidence."""
    published: str
    withheld: str


def read_pairs(source: str | Path | Iterable[Mapping[str, Any]]) -> list[Pair]:
    """The pairs in a jsonl file, or in memory.

    Args:
        source: rows with the entries ``published`` and ``withheld``, and perhaps ``id`` (else the number of the row,
            counted from 1) and ``document`` (else each pair is a document).

    Raises:
        InputError: a row lacks a version, has the same text twice, or repeats an id; a text that is withheld in a
            pair is published in another; or documents share a text.
    """
    name = str(source) if isinstance(source, str | Path) else IN_MEMORY
    rows = _lines(Path(source)) if isinstance(source, str | Path) else _rows(source)
    pairs: dict[str, Pair] = {}
    places: dict[str, str] = {}
    for number, (where, row) in enumerate(rows, start=1):
        pair = _pair(where, number, row)
        if pair.id in pairs:
            raise PassageError(where, f"repeats the id {pair.id!r:.{NAME}}: each pair has its own")
        pairs[pair.id], places[pair.id] = pair, where
    if not pairs:
        raise InputError(f"{name}: holds no pair of a published and a withheld text")
    published = {_folded(pair.published): pair.id for pair in pairs.values()}
    for pair in pairs.values():
        other = published.get(_folded(pair.withheld))
        if other is not None:
            raise PassageError(
                places[pair.id], f"its withheld text is the published text of pair {other!r:.{NAME}}: remove a pair"
            )
    _refuse_shared([*pairs.values()], places)
    return [*pairs.values()]


def read_control(source: str | Path | Iterable[Mapping[str, Any]], published: Sequence[Pair]) -> list[Pair]:
    """The control pairs in a jsonl file, or in memory: edited as the *published* ones, and neither version published.

    Args:
        source: rows as of `read_pairs`; ``published`` is the version that is edited as published texts are.
        published: the pairs of the published set.

    Raises:
        InputError: a row is no pair, holds a text of the published set, or names a document of it.
    """
    name = str(source) if isinstance(source, str | Path) else IN_MEMORY
    control = read_pairs(source)
    texts = {_folded(text): pair.id for pair in published for text in (pair.published, pair.withheld)}
    documents = {pair.document for pair in published if pair.document != pair.id}
    for pair in control:
        for side, text in zip(SIDES, (pair.published, pair.withheld), strict=True):
            other = texts.get(_folded(text))
            if other is not None:
                raise InputError(
                    f"{name}: the text {side!r} of pair {pair.id!r:.{NAME}} is in the published set, too, in its pair "
                    f"{other!r:.{NAME}}: a control pair is a pair of which neither version was published; remove it"
                )
        if pair.document != pair.id and pair.document in documents:
            raise InputError(
                f"{name}: pair {pair.id!r:.{NAME}} belongs to the document {pair.document!r:.{NAME}}, which is in the "
                "published set, too: a document is in a single set; name smaller documents, such as chapters"
            )
    return control


def _refuse_shared(pairs: Sequence[Pair], places: Mapping[str, str]) -> None:
    """Raise `InputError` where a text occurs in two documents: the test would count the same evidence twice."""
    for side in SIDES:
        first: dict[str, Pair] = {}
        for pair in pairs:
            earlier = first.setdefault(_folded(getattr(pair, side)), pair)
            if earlier.document != pair.document:
                raise PassageError(
                    places[pair.id],
                    f"its {side} text is that of pair {earlier.id!r:.{NAME}}, too, so both are the same evidence: give "
                    'both the same "document", or remove a pair',
                )


def _rows(source: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    yield from ((f"pair {number}", row) for number, row in enumerate(source, start=1))


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a jsonl file of pairs") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            yield where, json.loads(line)
        except (ValueError, RecursionError):
            raise PassageError(
                where, 'is not JSON: each line is an object, as in {"published": "…", "withheld": "…"}'
            ) from None


def _pair(where: str, number: int, row: Any) -> Pair:
    """The pair in a row, which is refused where it is none."""
    if not isinstance(row, Mapping):
        raise PassageError(where, 'is no object with the entries "published" and "withheld"')
    texts = [row.get(side) for side in SIDES]
    for side, text in zip(SIDES, texts, strict=True):
        if not isinstance(text, str) or not text.strip():
            raise PassageError(where, f"has no text {side!r}, so it is no pair: add it, or remove the row")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PassageError(where, f"its text {side!r} holds half of a surrogate pair, which is no text") from None
    published, withheld = map(str, texts)
    if _folded(published) == _folded(withheld):
        raise PassageError(
            where, "has the same text on both sides, apart from white space and case: remove the row, or correct it"
        )
    name = _name(where, "id", row) or str(number)
    return Pair(name, _name(where, "document", row) or name, published, withheld)


def _name(where: str, entry: str, row: Mapping[str, Any]) -> str:
    """The name in an *entry* of a row; empty where there is none."""
    value = row.get(entry)
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | Integral):
        raise PassageError(where, f"its {entry} is {value!r:.{NAME}}, which is no name: write a text or a whole number")
    name = str(value)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise PassageError(where, f"its {entry} holds half of a surrogate pair, which is no text") from None
    return name


def _folded(text: str) -> str:
    """The text without what no reader sees: white space, case and the form of its characters."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
