"""The body of a request as JSON, read once and strictly: what two programs could read differently is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ._refused import Refused

__all__ = ["read_json", "write_json"]

DEEPEST = 64
"""Most lists and objects inside each other."""


def read_json(body: bytes) -> dict[str, Any]:
    """The object that *body* holds.

    Raises:
        Refused: it is no object in JSON of UTF-8, names a key twice, holds NaN or infinity, or is nested too deeply.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Refused(400, "not_utf8", "The body is not UTF-8.") from None
    except RecursionError:
        raise Refused(400, "nested_too_deeply", "The body is nested too deeply.") from None
    except ValueError:
        raise Refused(400, "not_json", "The body is no JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "not_json", "The body is JSON, but no object.")
    _refuse_depth(value)
    return value


def write_json(value: Any) -> bytes:
    """*value* as JSON in UTF-8.

    Raises:
        Refused: it holds a number that is too large, or half of a pair of surrogates, which no UTF-8 holds.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused(400, "not_utf8", "The body holds an incomplete character (half of a surrogate pair).") from None
    except ValueError:
        raise Refused(400, "not_json", "The body holds a number that is too large.") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):  # another program may take the first where this takes the last
        raise Refused(400, "duplicate_key", "The body has an object that names a key twice.")
    return value


def _no_constant(_: str) -> Any:
    raise Refused(400, "not_json", "The body holds NaN or infinity, which JSON does not have.")


def _refuse_depth(value: Any) -> None:
    left, depth = [value], 0
    while left:
        depth += 1
        if depth > DEEPEST:
            raise Refused(400, "nested_too_deeply", "The body is nested too deeply.")
        left = [
            inner
            for outer in left
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
