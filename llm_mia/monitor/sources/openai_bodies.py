"""Bodies as OpenAI's API has them: a request a line, or an object that holds request and answer.

Names as in https://platform.openai.com/docs/api-reference/completions and /chat: the line itself is a request body, or
has it at ``request`` or ``body`` (also within ``request.body``), and the answer at ``response``; beside them ``time``,
``timestamp`` or ``created`` and ``user``, ``client`` or ``key``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...queries import Query
from ._body import body_of, queries_of_body, with_usage
from ._source import AROUND_BODY, OF_BODY, Source, at_path, seconds, text, whole

__all__ = ["OPENAI_BODIES"]

FIELDS = (AROUND_BODY | OF_BODY) - {"seconds"}
TIMES = ("time", "timestamp", "created", "created_at")
CLIENTS = ("client", "user", "key", "user_id", "safety_identifier")


def _recognises(value: Any) -> bool:
    return isinstance(value, Mapping) and _body(value) is not None


def _body(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    places = (value, value.get("request"), at_path(value, "request", "body"), value.get("body"))
    for place in places:
        body = body_of(place)
        if body is not None and "model" in body and {"prompt", "messages", "input"} & set(body):
            return body
    return None


def _queries(value: Any) -> list[Query]:
    body = _body(value)
    if body is None:
        raise ValueError("holds no request body")
    answer = body_of(value.get("response")) or {}
    answer = body_of(answer.get("body")) or answer
    named = [*(value.get(name) for name in CLIENTS), *(body.get(name) for name in CLIENTS)]
    times = [value.get(name) for name in TIMES if name in value] or [answer.get("created")]
    base = Query(
        seconds(times[0]),
        next(filter(None, map(text, named)), ""),
        status=whole(value.get("status", at_path(value, "response", "status_code"))),
    )
    return queries_of_body(body, with_usage(base, answer))


OPENAI_BODIES = Source("openai", "request bodies of OpenAI's API", FIELDS, _recognises, _queries)
