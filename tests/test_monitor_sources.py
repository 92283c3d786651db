"""A line of each program as it writes it, and the query that is read from it."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from llm_mia.errors import InputError
from llm_mia.monitor import inspect_log
from llm_mia.monitor.sources import SOURCES, Source, mapped_source
from llm_mia.queries import Query, Request, query_to_line

NOON = 1_764_331_200.0  # 2025-11-28 12:00 UTC
BODY = {"model": "m", "prompt": "The river bends.", "max_tokens": 1, "echo": True, "logprobs": 5, "temperature": 0}
SCORED = Query(
    NOON, "ab12", Request.COMPLETION, "m", "The river bends.", 16, prompt_tokens=4, completion_tokens=1, max_tokens=1,
    samples=1, temperature=0.0, echo=True, logprobs=True, top_logprobs=5, prompt_logprobs=False, status=200,
    seconds=0.5,
)  # fmt: skip
"""What most of the lines below record."""
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Who?"}]}]


def otlp(**values: Any) -> list[dict[str, Any]]:
    """Attributes as OTLP has them."""
    kinds = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    return [
        {"key": name, "value": {kinds[type(value)]: str(value) if type(value) is int else value}}
        for name, value in values.items()
    ]


SPAN = {
    "name": "text_completion m", "startTimeUnixNano": str(int(NOON * 1e9)),
    "endTimeUnixNano": str(int(NOON * 1e9) + 500_000_000),
    "attributes": otlp(**{
        "gen_ai.operation.name": "text_completion", "gen_ai.request.model": "m", "gen_ai.request.max_tokens": 1,
        "gen_ai.request.choice.count": 1, "gen_ai.request.temperature": 0.0, "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 1, "enduser.id": "ab12", "http.response.status_code": 200,
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"content": "The river bends."}]}]),
        "gen_ai.request.echo": True, "gen_ai.request.logprobs": True, "gen_ai.request.top_logprobs": 5,
        "gen_ai.request.prompt_logprobs": False,
    }),
}  # fmt: skip
LINES: dict[str, tuple[Any, dict[str, Any]]] = {
    "guard": (json.loads(query_to_line(SCORED)), {}),
    "litellm": (
        {
            "id": "c-1", "call_type": "atext_completion", "status": "success", "startTime": NOON, "endTime": NOON + 0.5,
            "model": "m", "messages": "The river bends.", "prompt_tokens": 4, "completion_tokens": 1, "response": {},
            "model_parameters": {"max_tokens": 1, "echo": True, "logprobs": 5, "temperature": 0},
            "metadata": {"user_api_key_hash": "ab12", "requester_ip_address": "10.0.0.9"}, "end_user": "",
        },
        {},
    ),
    "kong": (
        {
            "started_at": int(NOON * 1000), "client_ip": "10.0.0.9", "consumer": {"id": "ab12", "username": "ann"},
            "request": {"uri": "/v1/completions", "method": "POST"}, "response": {"status": 200},
            "latencies": {"request": 500, "kong": 2},
            "ai": {"proxy": {
                "payload": {"request": json.dumps(BODY)}, "usage": {"prompt_tokens": 4, "completion_tokens": 1},
                "meta": {"request_model": "m", "provider_name": "openai"},
            }},
        },
        {},
    ),
    "portkey": (
        {
            "id": "p-1", "trace_id": "t-1", "created_at": "2025-11-28T12:00:00.000Z", "ai_org": "openai",
            "ai_model": "m",
            "request": {"url": "/v1/completions", "body": BODY}, "response": {"body": {}}, "req_units": 4,
            "res_units": 1, "response_time": 500, "response_status_code": 200, "metadata": {"_user": "ab12"},
        },
        {},
    ),
    "cloudflare": (
        {
            "Cached": False, "Endpoint": "completions", "Gateway": "main", "Provider": "openai", "Model": "m",
            "StatusCode": 200, "Timestamp": "2025-11-28T12:00:00Z", "Metrics": {"durationMs": 500},
            "RateLimited": False, "Metadata": {"user_id": "ab12"}, "RequestBody": {"type": "encrypted", "data": "AAAA"},
            "ResponseBody": {"usage": {"prompt_tokens": 4, "completion_tokens": 1}},
        },
        dict.fromkeys(
            ("prompt", "prompt_bytes", "max_tokens", "samples", "temperature", "echo", "logprobs", "top_logprobs",
             "prompt_logprobs")
        ),
    ),
    "opentelemetry": (SPAN, {}),
    "openai": (
        {
            "time": NOON, "client": "ab12", "status": 200, "request": BODY,
            "response": {"usage": {"prompt_tokens": 4, "completion_tokens": 1}},
        },
        {"seconds": None},
    ),
    "vllm": (
        "INFO 11-28 12:00:00 [logger.py:40] Received request cmpl-1-0: prompt: 'The river bends.', params: "
        "SamplingParams(n=1, presence_penalty=0.0, temperature=0.0, top_p=1.0, seed=None, stop=[], max_tokens=1, "
        "min_tokens=0, logprobs=5, prompt_logprobs=None, skip_special_tokens=True), prompt_token_ids: None, "
        "lora_request: None.",
        {
            "client": "", "model": "", "prompt_tokens": None, "completion_tokens": None, "status": None,
            "seconds": None, "echo": None,
        },
    ),
}  # fmt: skip
"""By source: a line, and where the query differs from `SCORED`."""


def source(name: str) -> Source:
    return next(each for each in SOURCES if each.name == name)


def test_every_source_has_a_line_here() -> None:
    assert {each.name for each in SOURCES} == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_read(name: str) -> None:
    line, differs = LINES[name]
    (query,) = source(name).queries(line)
    for field in fields(Query):
        expected = differs.get(field.name, getattr(SCORED, field.name))
        if name == "vllm" and field.name == "time":  # its lines have no year
            assert query.time % (365 * 86400) > 0
            continue
        assert getattr(query, field.name) == expected, field.name


@pytest.mark.parametrize("name", LINES)
def test_only_its_source_recognises_a_line_and_the_fields_are_those_it_declares(name: str) -> None:
    line, _ = LINES[name]
    first = next(each for each in SOURCES if each.of_text == isinstance(line, str) and each.recognises(line))
    assert first.name == name
    (query,) = first.queries(line)
    present = {field.name for field in fields(Query) if getattr(query, field.name) not in (None, "")}
    extensions = {"echo", "logprobs", "top_logprobs", "prompt_logprobs"} if name == "opentelemetry" else set()
    assert present - extensions - {"request"} <= first.fields


@pytest.mark.parametrize("name", LINES)
def test_inspect_says_how_a_log_was_understood_and_repeats_no_prompt(name: str, tmp_path: Path) -> None:
    line = LINES[name][0]
    (tmp_path / "log").write_text(((line if isinstance(line, str) else json.dumps(line)) + "\n") * 3)
    inspection = inspect_log(tmp_path / "log")
    assert (inspection.source, inspection.lines, inspection.queries) == (name, 3, 3)
    assert "river" not in repr(inspection)
    assert ("perturbation" in inspection.blind) == (name == "cloudflare")


def test_messages_several_prompts_and_tokens_of_a_body() -> None:
    read = source("openai").queries
    (chat,) = read({"model": "m", "messages": CHAT, "logprobs": True, "top_logprobs": 3, "n": 2})
    assert (chat.request, chat.prompt, chat.top_logprobs, chat.samples) == (Request.CHAT, "Be brief.\nWho?", 3, 2)
    both = read({"model": "m", "prompt": ["one", "two"], "max_tokens": 5})
    assert [(query.prompt, query.echo, query.max_tokens) for query in both] == [("one", False, 5), ("two", False, 5)]
    tokens = read({"model": "m", "prompt": [[1, 2, 3], [4]]})
    assert [(query.prompt, query.prompt_tokens) for query in tokens] == [(None, 3), (None, 1)]
    (single,) = read({"model": "m", "prompt": [1, 2, 3]})
    assert single.prompt is None
    (embedded,) = read({"model": "m", "input": "text"})
    assert embedded.request is Request.EMBEDDING
    (response,) = read({"model": "m", "input": "text", "max_output_tokens": 9})
    assert (response.request, response.max_tokens) == (Request.CHAT, 9)


def test_a_request_of_opentelemetry_holds_many_spans() -> None:
    other = {"name": "GET /", "attributes": otlp(**{"http.route": "/"})}
    line = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN, other, SPAN]}]}]}
    assert [query.client for query in source("opentelemetry").queries(line)] == ["ab12", "ab12"]


def test_other_lines_of_a_text_log_are_no_queries() -> None:
    assert source("vllm").queries("INFO 11-28 12:00:01 [loggers.py:257] Engine 000: Running: 0 reqs") == []
    with pytest.raises(ValueError, match="is a request of vLLM that is cut off"):
        source("vllm").queries("INFO Received request cmpl-1: prompt: 'The ri', params: SamplingParams(n=1, ")


def test_a_mapping_names_a_path_for_each_field(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('client = "auth.key"\ntime = "at"\nbody = "sent"\nstatus = "code"\n')
    mapped = mapped_source(tmp_path / "map.toml")
    (query,) = mapped.queries({"auth": {"key": "ab12"}, "at": NOON, "sent": json.dumps(BODY), "code": "200"})
    assert (query.client, query.time, query.echo, query.status) == ("ab12", NOON, True, 200)
    (tmp_path / "map.toml").write_text('client = "who"\nprompt = "text"\nlogprobs = "lp"\n')
    mapped = mapped_source(tmp_path / "map.toml")
    (query,) = mapped.queries({"who": 7, "text": "é", "lp": "true"})
    assert (query.client, query.prompt_bytes, query.logprobs, query.echo) == ("7", 2, True, None)
    assert math.isnan(query.time)
    with pytest.raises(ValueError, match="nothing at any path"):
        mapped.queries({"other": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('cleint = "a"\n', "there is no field 'cleint': did you mean 'client'?"),
        ('prompt = "a"\n', "no path for 'client'"),
        ("client = 3\n", "needs a path of names"),
        ("client", "is no TOML"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        mapped_source(tmp_path / "map.toml")
