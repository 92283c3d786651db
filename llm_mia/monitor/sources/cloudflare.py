"""Cloudflare AI Gateway: Logpush's ``ai_gateway_events``, and the entries of its list of logs.

Field names as in https://developers.cloudflare.com/logs/logpush/logpush-job/datasets/account/ai_gateway_events/
(``Timestamp``, ``Model``, ``Endpoint``, ``StatusCode``, ``Metadata``, ``Metrics.durationMs``; ``RequestBody`` is
encrypted, and read only where it was decrypted before) and of the API's list of logs in
https://developers.cloudflare.com/api/resources/ai_gateway/ (``created_at``, ``model``, ``path``, ``status_code``,
``tokens_in``, ``tokens_out``, ``duration``, ``metadata``). A gateway knows its clients by the metadata that they send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...queries import Query, Request
from ._body import body_of, queries_of_body, with_usage
from ._source import AROUND_BODY, Source, at_path, number, seconds, text, whole

__all__ = ["CLOUDFLARE"]

FIELDS = AROUND_BODY
USERS = ("user_id", "user", "userId", "client", "team", "customer")


def _recognises(value: Any) -> bool:
    pushed = {"Gateway", "Provider", "StatusCode"}
    listed = {"created_at", "tokens_in", "tokens_out", "provider"}
    return isinstance(value, Mapping) and (pushed <= set(value) or listed <= set(value))


def _queries(value: Any) -> list[Query]:
    metadata = body_of(value.get("Metadata", value.get("metadata"))) or {}
    where = text(value.get("Endpoint", value.get("path")))
    milliseconds = number(at_path(value, "Metrics", "durationMs") or value.get("duration"))
    base = Query(
        seconds(value.get("Timestamp", value.get("created_at"))),
        next(filter(None, (text(metadata.get(name)) for name in USERS)), ""),
        _request(where),
        text(value.get("Model", value.get("model"))),
        status=whole(value.get("StatusCode", value.get("status_code"))),
        seconds=None if milliseconds is None else milliseconds / 1000,
        prompt_tokens=whole(value.get("tokens_in")),
        completion_tokens=whole(value.get("tokens_out")),
    )
    base = with_usage(base, body_of(value.get("ResponseBody")))
    body = body_of(value.get("RequestBody"))
    return [base] if body is None or body.get("type") == "encrypted" else queries_of_body(body, base)


def _request(where: str) -> Request:
    if "embeddings" in where:
        return Request.EMBEDDING
    return Request.COMPLETION if "completions" in where and "chat" not in where else Request.CHAT


CLOUDFLARE = Source("cloudflare", "Cloudflare AI Gateway", FIELDS, _recognises, _queries)
