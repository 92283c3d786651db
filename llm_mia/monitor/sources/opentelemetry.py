"""OpenTelemetry spans of generative AI: OTLP as JSON, a request or a span a line.

Attributes as in https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/: ``gen_ai.operation.name``,
``gen_ai.request.model``, ``gen_ai.request.max_tokens``, ``gen_ai.request.choice.count``,
``gen_ai.request.temperature``, ``gen_ai.usage.input_tokens``, ``gen_ai.usage.output_tokens``,
``gen_ai.input.messages`` (opt-in; before 1.37 ``gen_ai.prompt``), ``http.response.status_code``, and for the client
``enduser.id``, ``user.id`` or ``client.address``. The conventions have no attribute for log-probabilities. The guard
writes ``gen_ai.request.logprobs``, ``gen_ai.request.top_logprobs``, ``gen_ai.request.prompt_logprobs`` and
``gen_ai.request.echo``, which are read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...queries import Query, Request
from ._body import message_texts
from ._source import AROUND_BODY, LOGPROBS, OF_BODY, Source, flag, number, seconds, text, whole

__all__ = ["OPENTELEMETRY"]

FIELDS = (AROUND_BODY | OF_BODY) - LOGPROBS
CLIENTS = ("enduser.id", "user.id", "enduser.pseudo.id", "client.address")
REQUESTS = {"chat": Request.CHAT, "text_completion": Request.COMPLETION, "embeddings": Request.EMBEDDING}


def _recognises(value: Any) -> bool:
    return isinstance(value, Mapping) and (
        "resourceSpans" in value or any(name.startswith("gen_ai.") for name in _attributes(value))
    )


def _queries(value: Any) -> list[Query]:
    return [_query(span) for span in _spans(value) if "gen_ai.operation.name" in _attributes(span)]


def _spans(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every span of a line: the line itself, or what an export request holds."""
    if "resourceSpans" not in value:
        yield value
        return
    for resource in _listed(value["resourceSpans"]):
        for scope in _listed(resource.get("scopeSpans")):
            yield from _listed(scope.get("spans"))


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _attributes(span: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a span, of OTLP's list or of a plain object, also where they lie in the line itself."""
    attributes = span.get("attributes", span)
    if isinstance(attributes, Mapping):
        return dict(attributes)
    return {text(each.get("key")): _value(each.get("value")) for each in _listed(attributes)}


def _value(value: Any) -> Any:
    """A value of OTLP, without the name of its type."""
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("arrayValue"), Mapping):
        return [_value(each) for each in _listed(value["arrayValue"].get("values"))]
    if "intValue" in value:
        return whole(value["intValue"])
    return next(iter(value.values()), None)


def _query(span: Mapping[str, Any]) -> Query:
    names = _attributes(span)
    start, end = (
        seconds(span.get("startTimeUnixNano", span.get("start_time"))),
        seconds(span.get("endTimeUnixNano", span.get("end_time"))),
    )
    prompt = _prompt(names)
    return Query(
        start,
        next(filter(None, (text(names.get(name)) for name in CLIENTS)), ""),
        REQUESTS.get(text(names["gen_ai.operation.name"]), Request.OTHER),
        text(names.get("gen_ai.request.model")),
        prompt=prompt,
        prompt_bytes=None if prompt is None else len(prompt.encode(errors="surrogatepass")),
        prompt_tokens=whole(names.get("gen_ai.usage.input_tokens")),
        completion_tokens=whole(names.get("gen_ai.usage.output_tokens")),
        max_tokens=whole(names.get("gen_ai.request.max_tokens")),
        samples=whole(names.get("gen_ai.request.choice.count")),
        temperature=number(names.get("gen_ai.request.temperature")),
        echo=flag(names.get("gen_ai.request.echo")),
        logprobs=flag(names.get("gen_ai.request.logprobs")),
        top_logprobs=whole(names.get("gen_ai.request.top_logprobs")),
        prompt_logprobs=flag(names.get("gen_ai.request.prompt_logprobs")),
        status=whole(names.get("http.response.status_code")),
        seconds=number(end - start),
    )


def _prompt(names: Mapping[str, Any]) -> str | None:
    """The text of the input messages, which are JSON within a text; None where they were not recorded."""
    messages = names.get("gen_ai.input.messages")
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            return messages
    if isinstance(messages, list):
        return "\n".join(message_texts(messages))
    prompt = names.get("gen_ai.prompt")
    return prompt if isinstance(prompt, str) else None


OPENTELEMETRY = Source("opentelemetry", "OpenTelemetry GenAI spans", FIELDS, _recognises, _queries)
