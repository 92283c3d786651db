"""Requests and answers as the API of OpenAI has them, which most gateways keep in their logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...queries import Query, Request
from ._source import number, whole

__all__ = ["body_of", "message_texts", "queries_of_body", "with_usage"]

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def body_of(value: Any) -> Mapping[str, Any] | None:
    """A body as an object, also where it is JSON within a text; None where it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def queries_of_body(body: Mapping[str, Any], base: Query, *, complete: bool = True) -> list[Query]:
    """The queries of a request body, with whatever *base* knows beside it: several where it holds several prompts.

    Args:
        body: of ``/completions``, ``/chat/completions``, ``/embeddings`` or ``/responses``.
        base: time, client, status and so on.
        complete: whether a parameter that the body lacks was not sent, so that its default holds.
    """
    query = replace(base, **_parameters(body, complete))
    if not query.model and isinstance(body.get("model"), str):
        query = replace(query, model=body["model"])
    return list(_with_prompts(body, query))


def with_usage(query: Query, answer: Any) -> Query:
    """*query* with the tokens that an answer counts, where it counts them."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    if not isinstance(usage, Mapping):
        return query
    prompt = whole(usage.get("prompt_tokens", usage.get("input_tokens")))
    completion = whole(usage.get("completion_tokens", usage.get("output_tokens")))
    return replace(
        query,
        prompt_tokens=query.prompt_tokens if prompt is None else prompt,
        completion_tokens=query.completion_tokens if completion is None else completion,
    )


def _parameters(body: Mapping[str, Any], complete: bool) -> dict[str, Any]:
    limits = [whole(body[name]) for name in LIMITS if name in body]
    logprobs, top = body.get("logprobs"), whole(body.get("top_logprobs"))
    if isinstance(logprobs, int | float) and not isinstance(logprobs, bool):
        top = max(top or 0, whole(logprobs) or 0)
        logprobs = True
    values = {
        "max_tokens": limits[0] if limits else None,
        "samples": whole(body.get("n")) or whole(body.get("best_of")),
        "temperature": number(body.get("temperature")),
        "echo": body.get("echo"),
        "logprobs": logprobs,
        "top_logprobs": top,
        "prompt_logprobs": None if body.get("prompt_logprobs") is None else body["prompt_logprobs"] is not False,
    }
    defaults: dict[str, Any] = {}
    if complete:
        defaults = {"samples": 1, "echo": False, "logprobs": False, "top_logprobs": 0, "prompt_logprobs": False}
    return {
        name: bool(value) if name in ("echo", "logprobs") and value is not None else value
        for name in values
        if (value := defaults.get(name) if values[name] is None else values[name]) is not None
    }


def _with_prompts(body: Mapping[str, Any], query: Query) -> Iterator[Query]:
    """A query for each prompt of *body*; one without a prompt where the body holds none that is text."""
    if isinstance(body.get("messages"), list):
        yield _with_text(replace(query, request=Request.CHAT), "\n".join(message_texts(body["messages"])))
        return
    kind, prompts = query.request, body.get("prompt")
    if prompts is None and "input" in body:
        prompts = body["input"]
        chat = isinstance(prompts, list) and any(isinstance(each, Mapping) for each in prompts)
        kind = Request.CHAT if chat or "max_output_tokens" in body else Request.EMBEDDING
        prompts = "\n".join(message_texts(prompts)) if chat else prompts
    query = replace(query, request=kind)
    if isinstance(prompts, str):
        yield _with_text(query, prompts)
    elif isinstance(prompts, list) and prompts and all(isinstance(each, str) for each in prompts):
        for each in prompts:
            yield _with_text(query, each)
    elif isinstance(prompts, list) and prompts and all(isinstance(each, list) for each in prompts):
        for each in prompts:  # token ids
            yield replace(query, prompt_tokens=len(each))
    else:
        yield query


def _with_text(query: Query, prompt: str) -> Query:
    return replace(query, prompt=prompt, prompt_bytes=len(prompt.encode(errors="surrogatepass")))


def message_texts(messages: Sequence[Any]) -> Iterator[str]:
    """The texts of messages of a chat, whose contents are texts or lists of parts."""
    for message in messages:
        content = message.get("content", message.get("parts")) if isinstance(message, Mapping) else message
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            for part in content:
                if isinstance(part, Mapping) and isinstance(words := part.get("text", part.get("content")), str):
                    yield words
