"""The log of `llm_mia.guard`: a line of `query_to_line` for each prompt; a field that the request left open is
missing.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ...queries import Query, query_of_values
from ._source import EVERYTHING, LARGEST, Source, number, whole

__all__ = ["GUARD_LOG"]

LEFT_OPEN = {"samples": 1, "echo": False, "logprobs": False, "top_logprobs": 0, "prompt_logprobs": False}
"""What a request means that leaves these open."""
NAMES = {field.name for field in fields(Query)}
NUMBERS = {
    *("prompt_bytes", "prompt_tokens", "completion_tokens", "max_tokens", "samples", "top_logprobs", "status"),
    *("temperature", "seconds"),
}


def _recognises(value: Any) -> bool:
    return isinstance(value, dict) and "client" in value and value.keys() <= NAMES


def _queries(value: Any) -> list[Query]:
    query = query_of_values({**LEFT_OPEN, **value})
    for name, given in value.items():
        if name in NUMBERS and not 0 <= given <= LARGEST:  # also of NaN
            # Clients choose these numbers: what no server could mean is unknown, and the line is read nevertheless.
            possible: dict[str, Any] = {each: _possible(each, getattr(query, each)) for each in NUMBERS}
            return [replace(query, **possible)]
    return [query]


def _possible(name: str, value: float | None) -> Any:
    return number(value) if name in ("temperature", "seconds") else whole(value)


GUARD_LOG = Source("guard", "the log of llm_mia's guard", EVERYTHING, _recognises, _queries)
