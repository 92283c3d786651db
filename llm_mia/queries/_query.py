"""The record of a request to a model, and its line in a log."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ._sketch import SKETCH_BYTES

__all__ = ["Query", "Request", "query_of_line", "query_of_values", "query_to_line"]


class Request(StrEnum):
    """What a client requests from the model."""

    COMPLETION = "completion"
    CHAT = "chat"
    EMBEDDING = "embedding"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Query:
    """A request to a model. None means that the log does not record the field, so it differs from False and from 0."""

    time: float
    """When it arrived, in seconds since 1970 (UTC); NaN where the log does not record it."""
    client: str
    """Whoever sends it, by the name in the log; the guard writes a keyed digest. Empty where the log names nobody."""
    request: Request = Request.COMPLETION
    model: str = ""
    prompt: str | None = None
    """The text that the model reads; the messages of a chat are joined by line breaks."""
    prompt_bytes: int | None = None
    """Length of the prompt in UTF-8 bytes."""
    sketch: bytes | None = None
    """See `sketch_prompts`; where the prompt is kept, it can be computed from that."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    max_tokens: int | None = None
    """Most tokens to generate, as the client set it."""
    samples: int | None = None
    """How many continuations of the prompt the client requests (``n``)."""
    temperature: float | None = None
    echo: bool | None = None
    """Whether the client requests the prompt in the answer, with its log-probabilities if `logprobs` is set, too."""
    logprobs: bool | None = None
    """Whether the client requests log-probabilities of generated tokens."""
    top_logprobs: int | None = None
    """How many alternatives of each token the client requests, with their log-probabilities."""
    prompt_logprobs: bool | None = None
    """Whether the client requests log-probabilities of the tokens of the prompt."""
    status: int | None = None
    """HTTP status of the answer."""
    refusal: str | None = None
    """Why the guard answered the request itself, as a word such as ``rate_limit`` or ``unknown_field``."""
    seconds: float | None = None
    """From the request to the end of the answer."""


def query_to_line(query: Query) -> str:
    """The line of a log that holds *query*, as JSON without the end of the line; fields that are None are left out."""
    values: dict[str, Any] = {}
    for field in fields(Query):
        value = getattr(query, field.name)
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        if value is not None and not (isinstance(value, float) and math.isnan(value)):
            values[field.name] = value
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def query_of_line(line: str | bytes) -> Query:
    """The query that a line of `query_to_line` holds.

    Raises:
        ValueError: the line is no such line; the message does not repeat it.
    """
    return query_of_values(json.loads(line))


def query_of_values(values: Any) -> Query:
    """The query of a line of `query_to_line` that is parsed already; it raises as `query_of_line` does."""
    if not isinstance(values, dict):
        raise ValueError("is no query: it has no field `client`")
    signature = (*values, *map(type, values.values()))
    if signature not in _CHECKED:
        _check(values)
        if len(_CHECKED) < MOST_CHECKED:
            _CHECKED.add(signature)
    known = {"time": math.nan, **values}
    if (sketch := known.get("sketch")) is not None:
        known["sketch"] = binascii.a2b_base64(sketch)
        if len(known["sketch"]) != SKETCH_BYTES:
            raise ValueError("has a field `sketch` of another length")
    if "request" in known:
        known["request"] = _REQUESTS.get(known["request"], Request.OTHER)
    return Query(**known)


def _check(values: dict[str, Any]) -> None:
    """Raise `ValueError` where a field is unknown or of another type, or there is no client."""
    if "client" not in values:
        raise ValueError("is no query: it has no field `client`")
    for name, value in values.items():
        if (kinds := _KINDS.get(name)) is None:
            unknown = ", ".join(sorted(set(values) - set(_KINDS)))
            raise ValueError(f"has the fields {unknown}, which a query does not have")
        if type(value) not in kinds:
            raise ValueError(f"has a field `{name}` of another type")


_CHECKED: set[tuple[object, ...]] = set()
"""Names and types of fields that `_check` has passed: a log has few combinations, and millions of lines."""
MOST_CHECKED = 4096
_REQUESTS = {kind.value: kind for kind in Request}
_NULL = type(None)
_WHOLE, _NUMBER, _TRUTH, _TEXT = (int, _NULL), (int, float, _NULL), (bool, _NULL), (str, _NULL)
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("client", "request", "model"), (str,)),
    "time": (int, float),
    **dict.fromkeys(("prompt", "sketch", "refusal"), _TEXT),
    **dict.fromkeys(("temperature", "seconds"), _NUMBER),
    **dict.fromkeys(("echo", "logprobs", "prompt_logprobs"), _TRUTH),
    **dict.fromkeys(
        ("prompt_bytes", "prompt_tokens", "completion_tokens", "max_tokens", "samples", "top_logprobs", "status"),
        _WHOLE,
    ),
}
"""By field: the types that JSON may give it."""
