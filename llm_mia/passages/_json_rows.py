"""Rows of JSON Lines and JSON files, with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ..errors import PassageError
from ._files import InputFile, decoded_lines, first_character
from ._tables import Row, Tally

__all__ = ["read_json", "read_jsonl"]

_BLANK = re.compile(r"[ \t\n\r]*")  # white space as JSON defines it


def read_jsonl(file: InputFile, tally: Tally) -> Iterator[Row]:
    """The JSON object of each line; blank lines are counted."""
    for number, line in decoded_lines(file):
        where = f"{file.shown} line {number}"
        if not line or line.isspace():
            tally.blank_lines += 1
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise PassageError(where, _json_problem(error)) from None
        yield where, _object(value, where)


def read_json(file: InputFile, tally: Tally) -> Iterator[Row]:
    """The objects of a JSON list; a file that starts with anything else is read as JSON Lines.

    The whole text of the file is in memory, but only a single object at a time.
    """
    if first_character(file) != "[":
        yield from read_jsonl(file, tally)
        return
    text = "".join(line for _, line in decoded_lines(file))
    decoder = json.JSONDecoder()
    at, counted, line = _skip(text, text.index("[") + 1), 0, 1
    try:
        closed = text[at : at + 1] == "]"
        while not closed:
            line, counted = line + text.count("\n", counted, at), at
            value, end = decoder.raw_decode(text, at)
            where = f"{file.shown} line {line}"
            yield where, _object(value, where)
            at = _skip(text, end)
            closed = text[at : at + 1] == "]"
            if not closed and text[at : at + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
            at = at if closed else _skip(text, at + 1)
        if (at := _skip(text, at + 1)) < len(text):
            raise json.JSONDecodeError("Extra data", text, at)
    except (ValueError, RecursionError) as error:
        place = error.lineno if isinstance(error, json.JSONDecodeError) else line
        raise PassageError(f"{file.shown} line {place}", _json_problem(error)) from None


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _object(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    kind = {list: "list", str: "string", bool: "true or false", type(None): "null"}.get(type(value), "number")
    raise PassageError(
        where, f'not a JSON object but a {kind}: write each line or list item as an object such as {{"text": "…"}}'
    )


def _json_problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        problem = error.msg.removesuffix(" at").removesuffix(" starting").rstrip(": ")
        return f"malformed JSON at column {error.colno} ({problem}): correct it or remove it"
    if isinstance(error, RecursionError):
        return "JSON nested too deeply: write each passage as a flat object"
    return "JSON with a number of too many digits: write it as a string"
