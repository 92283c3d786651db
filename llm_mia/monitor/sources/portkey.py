"""Portkey: exported logs as JSON lines.

Field names as in https://portkey.ai/docs/product/observability/logs-export: ``created_at``, ``request`` and
``response`` (bodies), ``ai_model``, ``req_units`` and ``res_units`` (tokens), ``response_time`` (milliseconds),
``response_status_code``, ``trace_id`` and ``metadata``, whose ``_user`` names the user
(https://portkey.ai/docs/product/observability/metadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...queries import Query, Request
from ._body import body_of, queries_of_body, with_usage
from ._source import AROUND_BODY, OF_BODY, Source, at_path, number, seconds, text, whole

__all__ = ["PORTKEY"]

FIELDS = AROUND_BODY | OF_BODY
USERS = ("_user", "user", "user_id")


def _recognises(value: Any) -> bool:
    return (
        isinstance(value, Mapping) and "created_at" in value and bool({"ai_model", "req_units", "ai_org"} & set(value))
    )


def _queries(value: Any) -> list[Query]:
    metadata = body_of(value.get("metadata")) or {}
    request, answer = body_of(value.get("request")), body_of(value.get("response"))
    milliseconds = number(value.get("response_time"))
    users = (text(metadata.get(name)) for name in USERS)
    base = Query(
        seconds(value.get("created_at")),
        next(filter(None, users), text(value.get("virtual_key")) or text(at_path(value, "api_key_id"))),
        Request.OTHER if request is None else Request.COMPLETION,
        text(value.get("ai_model")),
        status=whole(value.get("response_status_code")),
        seconds=None if milliseconds is None else milliseconds / 1000,
        prompt_tokens=whole(value.get("req_units")),
        completion_tokens=whole(value.get("res_units")),
    )
    body = body_of(request.get("body")) or request if request is not None else None
    return [with_usage(base, answer)] if body is None else queries_of_body(body, with_usage(base, answer))


PORTKEY = Source("portkey", "Portkey's log export", FIELDS, _recognises, _queries)
