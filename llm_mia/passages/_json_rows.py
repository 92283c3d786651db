"""Rows of JSON Lines and JSON files, with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ..errors import PassageError
from ._columns import NamedColumns, quoted
from ._files import InputFile, decoded_lines
from ._tables import Row, Tally

__all__ = ["read_json"]

_BLANK = re.compile(r"[ \t\n\r]*")  # white space as JSON defines it
_AS_OBJECTS = "write each passage as an object on a separate line"


class _Repeating(dict[str, Any]):
    """An object in which a key occurs twice; JSON does not say which value counts."""

    key = ""


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    repeating, seen = _Repeating(values), set[str]()
    for key, _ in pairs:
        if key in seen:
            repeating.key = key
        seen.add(key)
    return repeating


DECODER = json.JSONDecoder(object_pairs_hook=_object_of)


def read_json(file: InputFile, tally: Tally, columns: NamedColumns) -> Iterator[Row]:
    """The objects of a file: one on each line, in a list, or one after another over several lines.

    Blank lines are counted. The place of an object is the line on which it starts. Unless each object is on a line, the
    whole text of the file is in memory, but only a single object at a time.
    """
    first = next((line.strip() for _, line in decoded_lines(file) if line.strip()), "")
    if first.startswith("["):
        rows = _list_items(file)
    elif first.startswith("{") and _goes_on(first):
        rows = _objects(file)
    else:
        rows = _lines(file, tally)
    checked = False
    for where, value in rows:
        if isinstance(value, _Repeating):
            tally.faults.add(where, f"the key {quoted(value.key)} occurs twice in the object: keep one of them")
        elif not isinstance(value, dict):
            tally.faults.add(where, _kind_problem(value))
        else:
            if not checked:
                _refuse_wrapped(value, columns, where)
            checked = True
            yield where, value


def _goes_on(line: str) -> bool:
    """Whether the JSON value that begins on *line* ends on a later line."""
    try:
        DECODER.decode(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line)
    except (ValueError, RecursionError):  # another fault of the line, which `_lines` words
        return False
    return False


def _lines(file: InputFile, tally: Tally) -> Iterator[tuple[str, object]]:
    """The value of each line."""
    for number, line in decoded_lines(file):
        where = f"{file.shown} line {number}"
        if not line or line.isspace():
            tally.blank_lines += 1
            continue
        try:
            value = DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            # The end of the line belongs to the line, so that an error there is not in the first column of the next.
            column = min(error.pos, len(line.rstrip())) + 1 if isinstance(error, json.JSONDecodeError) else 0
            tally.faults.add(where, _json_problem(error, column))
            continue
        yield where, value


def _list_items(file: InputFile) -> Iterator[tuple[str, object]]:
    """The items of the list that the file is."""
    values = _Values(file)
    values.skip("[")
    closed = values.at_end("]")
    while not closed:
        yield values.next()
        closed = values.at_end("]")
        if not closed:
            values.skip(",")
    values.skip("]")
    if not values.at_end():
        raise values.problem("Extra data")


def _objects(file: InputFile) -> Iterator[tuple[str, object]]:
    """The values of the file, one after another."""
    values = _Values(file)
    while not values.at_end():
        yield values.next()


class _Values:
    """The JSON values of a file, and their places."""

    def __init__(self, file: InputFile) -> None:
        self._shown = file.shown
        self._text = "".join(line for _, line in decoded_lines(file))
        self._at, self._counted, self._line = self._after_blanks(0), 0, 1

    def at_end(self, mark: str = "") -> bool:
        """Whether *mark* comes next; without a mark, whether nothing comes any more."""
        return self._text[self._at : self._at + 1] == mark

    def skip(self, mark: str) -> None:
        """Go beyond *mark*, which has to come next."""
        if not self.at_end(mark):
            raise self.problem("Expecting ',' or ']'")
        self._at = self._after_blanks(self._at + 1)

    def next(self) -> tuple[str, object]:
        """The place and the value that come next."""
        self._line, self._counted = self._line + self._text.count("\n", self._counted, self._at), self._at
        try:
            value, end = DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else self._line
            raise PassageError(f"{self._shown} line {line}", _json_problem(error)) from None
        self._at = self._after_blanks(end)
        return f"{self._shown} line {self._line}", value

    def problem(self, message: str) -> PassageError:
        """The error that *message* is about, at what comes next."""
        error = json.JSONDecodeError(message, self._text, self._at)
        return PassageError(f"{self._shown} line {error.lineno}", _json_problem(error))

    def _after_blanks(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return match.end() if match else at


def _kind_problem(value: object) -> str:
    kind = {list: "list", str: "string", bool: "true or false", type(None): "null"}.get(type(value), "number")
    return f'not a JSON object but a {kind}: write each line or list item as an object such as {{"text": "…"}}'


def _refuse_wrapped(first: dict[str, Any], columns: NamedColumns, where: str) -> None:
    """Refuse a file whose first object holds the passages instead of being a passage."""
    if columns.has_text(list(first)) and not all(isinstance(value, list) for value in first.values()):
        return
    for key, value in first.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            raise PassageError(where, f"a single object, whose {quoted(key)} holds a list of objects: {_AS_OBJECTS}")
    if first and all(isinstance(value, dict) for value in first.values()):
        raise PassageError(where, f"a single object that holds objects by key: {_AS_OBJECTS}")
    if len(first) > 1 and all(isinstance(value, list | dict) for value in first.values()):
        raise PassageError(where, f"a single object that holds columns ({quoted(next(iter(first)))}, …): {_AS_OBJECTS}")


def _json_problem(error: ValueError | RecursionError, column: int = 0) -> str:
    if isinstance(error, json.JSONDecodeError):
        problem = error.msg.removesuffix(" at").removesuffix(" starting").rstrip(": ")
        return f"malformed JSON at column {column or error.colno} ({problem}): correct it or remove it"
    if isinstance(error, RecursionError):
        return "JSON nested too deeply: write each passage as a flat object"
    return "JSON with a number of too many digits: write it as a string"
