"""Kong AI Gateway: the JSON that Kong's logging plugins (file-log, http-log) write for a request through AI Proxy.

Field paths as in https://developer.konghq.com/ai-gateway/ai-audit-log-reference/: ``ai.proxy.payload.request`` (the
request body as text, only where ``log_payloads`` is set), ``ai.proxy.usage.prompt_tokens`` and ``completion_tokens``,
``ai.proxy.meta.request_model``; before Kong 3.8 ``ai.payload.request`` and ``ai.[plugin].usage.prompt_token``. Around
it ``started_at`` (milliseconds), ``consumer.id``, ``consumer.username``, ``client_ip``, ``response.status``,
``latencies.request`` (milliseconds) and ``request.uri``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...queries import Query, Request
from ._body import body_of, queries_of_body
from ._source import AROUND_BODY, OF_BODY, Source, at_path, number, seconds, text, whole

__all__ = ["KONG"]

FIELDS = AROUND_BODY | OF_BODY
CLIENTS = (("consumer", "id"), ("consumer", "username"), ("authenticated_entity", "id"), ("client_ip",))


def _recognises(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("ai"), Mapping) and "started_at" in value


def _queries(value: Any) -> list[Query]:
    plugin = next((each for each in value["ai"].values() if isinstance(each, Mapping) and "usage" in each), {})
    usage = body_of(plugin.get("usage")) or {}
    uri, milliseconds = text(at_path(value, "request", "uri")), number(at_path(value, "latencies", "request"))
    base = Query(
        seconds(value.get("started_at")),
        next(filter(None, (text(at_path(value, *path)) for path in CLIENTS)), ""),
        Request.COMPLETION if "completions" in uri and "chat" not in uri else Request.CHAT,
        text(at_path(plugin, "meta", "request_model")),
        prompt_tokens=whole(usage.get("prompt_tokens", usage.get("prompt_token"))),
        completion_tokens=whole(usage.get("completion_tokens", usage.get("completion_token"))),
        status=whole(at_path(value, "response", "status")),
        seconds=None if milliseconds is None else milliseconds / 1000,
    )
    body = body_of(at_path(plugin, "payload", "request")) or body_of(at_path(value, "ai", "payload", "request"))
    return [base] if body is None else queries_of_body(body, base)


KONG = Source("kong", "Kong AI Gateway", FIELDS, _recognises, _queries)
