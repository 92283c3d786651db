"""Any other JSON lines, by a TOML file that names the path of each field of a query."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...queries import Query, Request
from ._body import body_of, queries_of_body
from ._source import EVERYTHING, Source, at_path, flag, number, seconds, text, whole

__all__ = ["mapped_source"]

BODY = "body"
"""The name of a path to a whole request body, from which all that it holds is read."""
UNMAPPED = {"sketch", "prompt_bytes"}
FLAGS = {"echo", "logprobs", "prompt_logprobs"}
NUMBERS = {"temperature", "seconds"}


def mapped_source(path: Path) -> Source:
    """The source that a mapping file describes: ``client = "auth.key_id"``, a path of names for each field.

    Raises:
        InputError: the file is no TOML, names a field that a query does not have, or has no client.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}): name a TOML file with a path for each field") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is no TOML: {error}") from None
    known = sorted((EVERYTHING - UNMAPPED) | {BODY})
    for name, place in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"the fields are {', '.join(known)}"
            raise InputError(f"{path}: there is no field {name!r}: {meant}")
        if not isinstance(place, str) or not place:
            raise InputError(f"{path}: field {name!r} needs a path of names, such as 'auth.key_id'")
    if "client" not in values:
        raise InputError(f"{path}: no path for 'client': name where the log says who sends a request")
    paths = {name: tuple(place.split(".")) for name, place in values.items()}
    fields = EVERYTHING if BODY in paths else frozenset(paths) | ({"prompt_bytes"} if "prompt" in paths else set())
    places = (paths["client"], *(place for name, place in paths.items() if name != "client"))
    return Source("mapping", f"lines read by {path.name}", fields, _is_object, partial(_queries, paths), paths=places)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _queries(paths: Mapping[str, tuple[str, ...]], value: Any) -> list[Query]:
    given = {name: at_path(value, *path) for name, path in paths.items()}
    if all(each is None for each in given.values()):
        raise ValueError("has nothing at any path of the mapping")
    base = Query(seconds(given.pop("time", None)), text(given.pop("client")))
    body = body_of(given.pop(BODY, None))
    kept = {name: _field(name, each) for name, each in given.items() if each is not None}
    kept = {name: each for name, each in kept.items() if each is not None}
    if isinstance(prompt := kept.get("prompt"), str):
        kept["prompt_bytes"] = len(prompt.encode(errors="surrogatepass"))
    if body is None:
        return [replace(base, **kept)]
    return [replace(query, **kept) for query in queries_of_body(body, base)]


def _field(name: str, value: Any) -> Any:
    """*value* as the field *name* takes it."""
    if name == "request":
        return Request(value) if value in set(Request) else Request.OTHER
    if name in ("prompt", "model"):
        return value if isinstance(value, str) else None
    if name in FLAGS:
        return flag(value)
    return number(value) if name in NUMBERS else whole(value)
