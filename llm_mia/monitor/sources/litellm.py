"""LiteLLM's `StandardLoggingPayload`, as its proxy hands it to callbacks and to storage.

Field paths as in https://docs.litellm.ai/docs/proxy/logging_spec: ``startTime`` and ``endTime`` (seconds),
``call_type`` (``acompletion``, ``atext_completion``, ``aembedding``), ``model``, ``messages`` (a text or a list of
messages), ``model_parameters`` (what the client set), ``prompt_tokens``, ``completion_tokens``, ``status``, and of
``metadata`` ``user_api_key_hash``, ``user_api_key_user_id``, ``requester_ip_address``; ``end_user``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...queries import Query, Request
from ._body import body_of, queries_of_body
from ._source import AROUND_BODY, OF_BODY, Source, at_path, number, seconds, text, whole

__all__ = ["LITELLM"]

FIELDS = AROUND_BODY | OF_BODY
CLIENTS = (("metadata", "user_api_key_hash"), ("metadata", "user_api_key_user_id"), ("end_user",))


def _recognises(value: Any) -> bool:
    return isinstance(value, Mapping) and "call_type" in value and "startTime" in value


def _queries(value: Any) -> list[Query]:
    start, end = seconds(value.get("startTime")), seconds(value.get("endTime"))
    clients = (text(at_path(value, *path)) for path in (*CLIENTS, ("metadata", "requester_ip_address")))
    base = Query(
        start,
        next(filter(None, clients), ""),
        _request(text(value.get("call_type"))),
        text(value.get("model")),
        prompt_tokens=whole(value.get("prompt_tokens")),
        completion_tokens=whole(value.get("completion_tokens")),
        status=200 if value.get("status") == "success" else whole(at_path(value, "error_information", "error_code")),
        seconds=number(end - start),
    )
    parameters = body_of(value.get("model_parameters"))
    messages = value.get("messages")
    body = {**(parameters or {}), "messages" if base.request is Request.CHAT else "prompt": messages}
    if isinstance(messages, list) and messages and isinstance(messages[0], Mapping) and base.request != Request.CHAT:
        body = {**(parameters or {}), "prompt": "\n".join(str(each.get("content", "")) for each in messages)}
    if base.request is Request.CHAT and isinstance(messages, str):
        body["messages"] = [messages]
    queries = queries_of_body(body, base, complete=parameters is not None)
    return [replace(query, request=base.request) for query in queries]


def _request(call: str) -> Request:
    if "embedding" in call:
        return Request.EMBEDDING
    if "text_completion" in call:
        return Request.COMPLETION
    return Request.CHAT if "completion" in call or "responses" in call else Request.OTHER


LITELLM = Source("litellm", "LiteLLM's StandardLoggingPayload", FIELDS, _recognises, _queries)
