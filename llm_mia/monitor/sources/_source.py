"""What a source of log lines is, and values of log lines as the fields of a query take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from ...queries import Query

__all__ = [
    "AROUND_BODY",
    "EVERYTHING",
    "LOGPROBS",
    "OF_BODY",
    "Source",
    "at_path",
    "flag",
    "number",
    "seconds",
    "text",
    "whole",
]

LARGEST = 2**53
"""Whole numbers up to this are exact as floats; no count of tokens, samples or bytes comes near it."""
EVERYTHING = frozenset(field.name for field in fields(Query)) - {"refusal"}
"""What can be read from requests of any server; the reason of a refusal is known to the guard alone."""
TEXT = frozenset({"prompt", "prompt_bytes"})
LOGPROBS = frozenset({"echo", "logprobs", "top_logprobs", "prompt_logprobs"})
OF_BODY = TEXT | LOGPROBS | {"max_tokens", "samples", "temperature"}
"""What a request body holds."""
AROUND_BODY = frozenset(
    {"time", "client", "request", "model", "prompt_tokens", "completion_tokens", "status", "seconds"}
)
"""What a log holds around the body."""


@dataclass(frozen=True, slots=True)
class Source:
    """A program that writes logs, and how a line of it becomes queries."""

    name: str
    title: str
    """The program and the format, for people."""
    fields: frozenset[str]
    """The fields of `Query` that its lines can hold."""
    recognises: Callable[[Any], bool]
    """Whether a line, parsed as JSON, is of this format; of a source of text, whether the line itself is."""
    queries: Callable[[Any], Sequence[Query]]
    """The queries of such a line; empty where it is about something else. `ValueError` where it is broken."""
    of_text: bool = False
    """Whether lines are text and not JSON."""
    quick: Callable[[bytes], Query | None] | None = None
    """The query of a line, quickly; None where it takes *queries* to read the line, or to say why it cannot be read."""
    paths: tuple[tuple[str, ...], ...] = ()
    """Of a mapping: where its fields are, that of the client first."""


def at_path(value: Any, *path: str) -> Any:
    """What lies at a *path* of names in nested objects; None where there is nothing."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(value: Any) -> str:
    """A name as text; empty where there is none."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def number(value: Any) -> float | None:
    """A finite number, also where it is written as text; else None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        known = float(value)
    except OverflowError:  # a whole number beyond every float
        return None
    return known if math.isfinite(known) else None


def whole(value: Any) -> int | None:
    """A whole number that is not negative and not absurdly large; else None, because clients choose such numbers."""
    known = number(value)
    return int(known) if known is not None and 0 <= known <= LARGEST else None


def flag(value: Any) -> bool | None:
    """True or false, also where it is written as text or number; else None."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    return bool(value) if isinstance(value, int) else None


def seconds(value: Any) -> float:
    """A time as seconds since 1970: of a number in seconds, milli-, micro- or nanoseconds, or of ISO 8601; else NaN.

    >>> seconds(1_700_000_000_500), seconds("2023-11-14T22:13:20Z"), seconds("soon")
    (1700000000.5, 1700000000.0, nan)
    """
    known = number(value)
    if known is not None:
        size = abs(known)
        return known / (1e9 if size > 1e17 else 1e6 if size > 1e14 else 1e3 if size > 1e11 else 1.0)
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            return math.nan
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    return math.nan
