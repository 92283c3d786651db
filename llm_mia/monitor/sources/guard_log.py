"""The log of `llm_mia.guard`: a line of `query_to_line` for each prompt; a field that the request left open is
missing.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Annotated, Any

import msgspec

from ...queries import SKETCH_BYTES, Query, Request, query_of_values
from ._source import EVERYTHING, LARGEST, LOGPROBS, Source, number, whole

__all__ = ["GUARD_LOG"]

Whole = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
Number = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
Sketch = Annotated[bytes, msgspec.Meta(min_length=SKETCH_BYTES, max_length=SKETCH_BYTES)]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A line with nothing unusual: the fields of `Query`, and what a request means that leaves some of them open."""

    client: str
    time: float = math.nan
    request: Request = Request.COMPLETION
    model: str = ""
    prompt: str | None = None
    prompt_bytes: Whole | None = None
    sketch: Sketch | None = None
    prompt_tokens: Whole | None = None
    completion_tokens: Whole | None = None
    max_tokens: Whole | None = None
    samples: Whole | None = 1
    temperature: Number | None = None
    echo: bool | None = False
    logprobs: bool | None = False
    top_logprobs: Whole | None = 0
    prompt_logprobs: bool | None = False
    status: Whole | None = None
    refusal: str | None = None
    seconds: Number | None = None


LEFT_OPEN = {name: getattr(_Line(""), name) for name in ("samples", *sorted(LOGPROBS))}
NAMES = {field.name for field in fields(Query)}
NUMBERS = {
    *("prompt_bytes", "prompt_tokens", "completion_tokens", "max_tokens", "samples", "top_logprobs", "status"),
    *("temperature", "seconds"),
}
_DECODER = msgspec.json.Decoder(_Line)


def _recognises(value: Any) -> bool:
    return isinstance(value, dict) and "client" in value and value.keys() <= NAMES


def _queries(value: Any) -> list[Query]:
    query = query_of_values({**LEFT_OPEN, **value})
    for name, given in value.items():
        if name in NUMBERS and given is not None and not 0 <= given <= LARGEST:  # also of NaN
            # Clients choose these numbers: what no server could mean is unknown, and the line is read nevertheless.
            possible: dict[str, Any] = {each: _possible(each, getattr(query, each)) for each in NUMBERS}
            return [replace(query, **possible)]
    return [query]


def _quick(line: bytes) -> Query | None:
    try:
        return msgspec.convert(_DECODER.decode(line), Query, from_attributes=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _possible(name: str, value: float | None) -> Any:
    return number(value) if name in ("temperature", "seconds") else whole(value)


GUARD_LOG = Source("guard", "the log of llm_mia's guard", EVERYTHING, _recognises, _queries, quick=_quick)
