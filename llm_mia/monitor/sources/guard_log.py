"""The log of `llm_mia.guard`: a line of `query_to_line` for each prompt; a field that the request left open is
missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ...queries import Query, query_of_values
from ._source import EVERYTHING, Source

__all__ = ["GUARD_LOG"]

LEFT_OPEN = {"samples": 1, "echo": False, "logprobs": False, "top_logprobs": 0, "prompt_logprobs": False}
"""What a request means that leaves these open."""
NAMES = {field.name for field in fields(Query)}


def _recognises(value: Any) -> bool:
    return isinstance(value, Mapping) and "client" in value and set(value) <= NAMES


def _queries(value: Any) -> list[Query]:
    return [query_of_values({**LEFT_OPEN, **value})]


GUARD_LOG = Source("guard", "the log of llm_mia's guard", EVERYTHING, _recognises, _queries)
