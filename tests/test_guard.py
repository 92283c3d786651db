"""The guard over real sockets: what reaches the model server, what a client gets, and what the log keeps."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from llm_mia.guard import (
    ClientRules,
    Guard,
    KnownBy,
    LimitRules,
    LogprobRules,
    PassOrDeny,
    Policy,
    RequestRules,
    Rule,
    Secret,
    Upstream,
    UpstreamRules,
    configuration,
)
from llm_mia.monitor.sources.guard_log import GUARD_LOG
from llm_mia.queries import Query, query_of_line, query_to_line

from .model_servers import ModelServer, plain, served

DIGITS = "1.23456"
"""Of every log-probability of `ModelServer`: none may be in an answer where the policy hides them."""
SHOWN = LogprobRules(prompt=Rule.PASS, constrained=Rule.PASS, n_best=Rule.PASS)


class Behind:
    """A guard before a model server: a client, the server, and the queries that were recorded."""

    def __init__(self, stack: ExitStack, policy: Policy, server: ModelServer) -> None:
        self.server, self.queries = server, list[Query]()
        self.upstream = stack.enter_context(served(plain(server)))
        self.guard = Guard(policy, Upstream(self.upstream, policy.upstream), Secret(b"secret"), self.queries.append)
        self.address = stack.enter_context(served(configuration(self.guard, policy)))
        self.client = stack.enter_context(httpx.Client(base_url=self.address, timeout=10, trust_env=False))

    def post(self, path: str = "completions", **fields: Any) -> httpx.Response:
        return self.client.post(path, json={"model": "m", **fields})

    def recorded(self, number: int) -> list[Query]:
        """The first *number* queries; each is recorded right after its answer."""
        wait_until(lambda: len(self.queries) >= number)
        return self.queries[:number]

    def raw(self, data: bytes, seconds: float = 5.0) -> bytes:
        """What comes back for *data*, until the guard closes the connection or nothing has come for a while."""
        place = urlsplit(self.address)
        with socket.create_connection((place.hostname, place.port or 0), timeout=seconds) as connection:
            connection.sendall(data)
            parts = []
            try:
                while part := connection.recv(65536):
                    parts.append(part)
                    if b"\r\n\r\n" in part:
                        connection.settimeout(0.2)
            except TimeoutError:
                pass
            return b"".join(parts)


@pytest.fixture
def behind() -> Iterator[Callable[..., Behind]]:
    with ExitStack() as stack:

        def build(server: ModelServer | None = None, **sections: Any) -> Behind:
            return Behind(stack, Policy(**sections), server or ModelServer())

        yield build


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_what_was_not_asked_for_is_in_no_answer(behind: Callable[..., Behind], path: str, stream: bool) -> None:
    guarded = behind(logprobs=SHOWN)
    chat = path.startswith("chat")
    asked = {"messages": [{"role": "user", "content": "a"}]} if chat else {"prompt": "a"}
    answer = guarded.post(path, **asked, stream=stream)
    assert answer.status_code == 200
    assert "sea" in answer.text
    assert DIGITS not in answer.text
    assert "x-prob" not in answer.headers
    assert guarded.server.received == [{"model": "m", **asked, "stream": stream}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rule", [Rule.REMOVE, Rule.DENY])
def test_log_probabilities_are_removed_or_denied(behind: Callable[..., Behind], rule: Rule, stream: bool) -> None:
    guarded = behind(logprobs=LogprobRules(prompt=rule, generated=rule))
    chat = {"messages": [{"role": "user", "content": "a"}]}
    for path, asked in (
        ("completions", {"prompt": "a", "echo": True, "logprobs": 0}),
        ("completions", {"prompt": "a", "prompt_logprobs": 0}),
        ("completions", {"prompt": "a", "logprobs": 5}),
        ("chat/completions", {**chat, "logprobs": True, "top_logprobs": 5}),
        ("chat/completions", {**chat, "prompt_logprobs": 1}),
        ("chat/completions", {**chat, "logprobs": True, "echo": True}),
    ):
        answer = guarded.post(path, **asked, stream=stream)
        assert answer.status_code == (403 if rule is Rule.DENY else 200)
        assert DIGITS not in answer.text
    for received in guarded.server.received:
        assert not {"logprobs", "top_logprobs", "prompt_logprobs"} & set(received)
    assert [query.status for query in guarded.recorded(6)] == [403 if rule is Rule.DENY else 200] * 6
    wanted = [(each.echo, each.logprobs, each.top_logprobs, each.prompt_logprobs) for each in guarded.queries]
    assert wanted[:4] == [(True, True, 0, None), (None, None, None, True), (None, True, 5, None), (None, True, 5, None)]


def test_shown_log_probabilities_are_capped_and_rounded(behind: Callable[..., Behind]) -> None:
    guarded = behind(logprobs=replace(SHOWN, top=2, digits=1))
    answer = guarded.post(prompt="a", logprobs=20, echo=True, prompt_logprobs=20).json()
    (choice,) = answer["choices"]
    assert guarded.server.received[0]["logprobs"] == guarded.server.received[0]["prompt_logprobs"] == 2
    assert choice["logprobs"]["token_logprobs"] == [-1.2] * 6
    assert choice["logprobs"]["top_logprobs"][0] == {" a": -1.2, " other": -2.2}
    assert set(choice["logprobs"]) == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    assert choice["prompt_logprobs"][1] == {
        "0": {"logprob": -1.2, "rank": 1, "decoded_token": " w0"},
        "1": {"logprob": -2.2, "rank": 2, "decoded_token": " w1"},
    }
    chat = {"messages": [{"role": "user", "content": "a"}], "logprobs": True, "top_logprobs": 9}
    (choice,) = guarded.post("chat/completions", **chat).json()["choices"]
    first = choice["logprobs"]["content"][0]
    assert (first["logprob"], first["bytes"]) == (-1.2, list(b" the"))
    assert [(each["token"], each["logprob"]) for each in first["top_logprobs"]] == [(" the", -1.2), (" other", -2.2)]
    streamed = guarded.post("chat/completions", **chat, stream=True).text
    assert DIGITS not in streamed
    assert '"logprob":-1.2,' in streamed


def test_whoever_decides_the_tokens_sees_no_log_probabilities(behind: Callable[..., Behind]) -> None:
    """Else a prompt's log-probabilities are those of an answer that may only be its text."""
    guarded = behind()
    for constraint in (
        {"logit_bias": {"5": 100}},
        {"guided_choice": [" the rest of the passage"]},
        {"structured_outputs": {"choice": ["x"]}},
        {"response_format": {"type": "json_schema", "json_schema": {"const": "x"}}},
        {"response_format": {"type": "json_object", "schema": {"const": "x"}}},
        {"repetition_penalty": 0.01},
        {"presence_penalty": -2},
        {"allowed_token_ids": [5]},
    ):
        answer = guarded.post(prompt="a", logprobs=1, **constraint)
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["logprobs"] is None
        assert "logprobs" not in guarded.server.received[-1]
    for tool in (
        {"type": "custom", "custom": {"name": "f", "format": {"type": "grammar"}}},
        {"type": "function", "function": {"name": "f", "strict": True}},
    ):
        assert guarded.post("chat/completions", messages=[], logprobs=True, tools=[tool]).status_code == 200
        assert "logprobs" not in guarded.server.received[-1]
    assert guarded.post(prompt="a", logprobs=1, response_format={"type": "json_object"}).text.count(DIGITS) > 0
    assert guarded.post(prompt="a", logprobs=1, repetition_penalty=1.1).text.count(DIGITS) > 0
    assert guarded.post(prompt="a", best_of=5).status_code == 403


def test_only_clients_with_leave_see_log_probabilities(behind: Callable[..., Behind]) -> None:
    guarded = behind()
    key = {"authorization": "Bearer with leave"}
    guarded.client.post("completions", json={"prompt": "a"}, headers=key)
    name = guarded.recorded(1)[0].client
    assert name.startswith("key-")
    assert "with leave" not in name
    other = behind(logprobs=LogprobRules(clients=(name,)))
    asked = {"prompt": "a", "logprobs": 1}
    assert DIGITS in other.client.post("completions", json=asked, headers=key).text
    assert DIGITS not in other.client.post("completions", json=asked, headers={"authorization": "Bearer other"}).text
    assert DIGITS not in other.client.post("completions", json=asked).text
    assert [each.client[:4] for each in other.recorded(3)] == ["key-", "key-", "addr"]


TRICKS: dict[str, bytes] = {
    "echo as a number": b'{"prompt": "a", "echo": 1, "logprobs": 1}',
    "number as a text": b'{"prompt": "a", "logprobs": "5"}',
    "number as a float": b'{"prompt": "a", "logprobs": 5.0}',
    "flag for a number": b'{"prompt": "a", "logprobs": true}',
    "below zero": b'{"prompt": "a", "prompt_logprobs": -1}',
    "duplicate key": b'{"prompt": "a", "echo": false, "echo": true, "logprobs": 1}',
    "duplicate key inside": b'{"prompt": "a", "stream_options": {"a": 1, "a": 2}}',
    "escaped duplicate": b'{"prompt": "a", "echo": false, "ech\\u006f": true}',
    "other case": b'{"prompt": "a", "Echo": true, "LogProbs": 1}',
    "long s": '{"prompt": "a", "logprobſ": 1}'.encode(),
    "nested": b'{"prompt": "a", "extra_body": {"prompt_logprobs": 1}}',
    "nested in a list": b'{"prompt": "a", "extra": [{"return_logprob": true}]}',
    "NaN": b'{"prompt": "a", "temperature": NaN}',
    "infinity": b'{"prompt": "a", "temperature": -Infinity}',
    "too large": b'{"prompt": "a", "temperature": 1e999}',
    "many digits": b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}",
    "deep": b'{"prompt": "a", "stream_options": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    "not so deep": b'{"prompt": "a", "stream_options": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}",
    "half a surrogate": b'{"prompt": "\\ud800"}',
    "no UTF-8": b'{"prompt": "\xff"}',
    "UTF-16": '{"prompt": "a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"prompt": "a"}',
    "no object": b'["prompt"]',
    "two objects": b'{"prompt": "a"}{"prompt": "b", "echo": true}',
    "nothing": b"",
    "prompts of two kinds": b'{"prompt": ["a", 5]}',
}


@pytest.mark.parametrize("unknown", list(PassOrDeny))
def test_no_trick_gets_around_the_policy(behind: Callable[..., Behind], unknown: PassOrDeny) -> None:
    guarded = behind(requests=RequestRules(unknown_fields=unknown))
    for name, body in TRICKS.items():
        answer = guarded.client.post("completions", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, name
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert guarded.server.received == []
    queries = guarded.recorded(len(TRICKS))
    assert [query.status for query in queries] == [400] * len(TRICKS)
    for query in queries:
        assert query_of_line(query_to_line(query).encode()).status == 400
        assert not re.search("NaN|Infinity", query_to_line(query))


def test_a_refusal_names_the_unknown_field_and_nothing_else_of_the_body(behind: Callable[..., Behind]) -> None:
    guarded = behind()
    answer = guarded.post(prompt="geheim", my_field="geheim")
    assert answer.json()["error"]["message"] == "The field 'my_field' is not allowed here: leave it out."
    odd: dict[str, Any] = {"\x1b[2J" + "x" * 500: 1}
    message = guarded.post(prompt="geheim", **odd).json()["error"]["message"]
    assert message == f"The field '?[2J{'x' * 36}…' is not allowed here: leave it out."
    hidden = behind(requests=RequestRules(unknown_fields=PassOrDeny.PASS)).post(prompt="a", extra={"echo": True})
    assert "The field 'extra' hides a known field" in hidden.json()["error"]["message"]


def test_the_log_says_why_a_request_was_refused_and_the_monitor_reads_it(behind: Callable[..., Behind]) -> None:
    guarded = behind(limits=LimitRules(requests_per_minute=3))
    asked: list[dict[str, Any]] = [{}, {"my_field": 1}, {"echo": True, "logprobs": 1}, {}]
    for fields in asked:
        guarded.post(prompt="a", **fields)
    queries = guarded.recorded(4)
    assert [query.refusal for query in queries] == [None, "unknown_field", "logprobs_denied", "rate_limit"]
    for query in queries:
        value = json.loads(query_to_line(query))
        assert ("refusal" in value) == (query.refusal is not None)
        assert GUARD_LOG.recognises(value)
        assert GUARD_LOG.queries(value)[0].refusal == query.refusal


def test_content_types_and_paths_have_one_meaning(behind: Callable[..., Behind]) -> None:
    guarded = behind(requests=RequestRules(paths=("/tokenize",)))
    body = b'{"prompt": "a"}'
    for kind, encoding in (
        ("text/plain", ""),
        ("multipart/form-data; boundary=x", ""),
        ("application/x-www-form-urlencoded", ""),
        ("application/json; charset=utf-7", ""),
        ("", ""),
        ("application/json", "gzip"),
        ("application/json", "identity, gzip"),
    ):
        headers = {"content-type": kind, **({"content-encoding": encoding} if encoding else {})}
        assert guarded.client.post("completions", content=body, headers=headers).status_code == 415
    place = urlsplit(guarded.address)
    head = b"Host: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n" + body
    for path in (
        "/v1/generate", "/v1//completions", "/v1/completions/", "/v1/./completions", "/v1/%63ompletions",
        "/v1/models/../completions", "/v1/models/%2e%2e/generate", "/generate", "/v2/completions", "/v1/Completions",
    ):  # fmt: skip
        assert guarded.raw(f"POST {path} HTTP/1.1\r\n".encode() + head).startswith(b"HTTP/1.1 404"), path
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = guarded.client.request(method, f"http://{place.netloc}/v1/completions")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert guarded.server.paths == []
    assert guarded.raw(b"POST /v1/completions?echo=true&logprobs=1 HTTP/1.1\r\n" + head).startswith(b"HTTP/1.1 200")
    assert guarded.post("tokenize", text="a", logprobs=1).status_code == 200
    assert guarded.server.paths == ["/v1/completions", "/v1/tokenize"]
    assert guarded.server.received[0] == {"prompt": "a"}


def test_headers_reach_the_server_only_by_name(behind: Callable[..., Behind]) -> None:
    guarded = behind()
    guarded.client.post(
        "completions",
        json={"prompt": "a"},
        headers={"authorization": "Bearer k", "x-vllm-echo": "1", "cookie": "a=b", "x-forwarded-for": "1.2.3.4"},
    )
    (headers,) = guarded.server.headers
    assert set(headers) == {"host", "authorization", "accept-encoding", "content-type", "content-length"}
    both = b"Host: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"f\r\n" + b'{"prompt": "a"}' + b"\r\n0\r\n\r\n"
    guarded.raw(b"POST /v1/completions HTTP/1.1\r\n" + both + chunks)
    assert all(received == {"prompt": "a"} for received in guarded.server.received)


def test_other_answers_are_masked(behind: Callable[..., Behind]) -> None:
    guarded = behind(requests=RequestRules(paths=("/score",)))
    models = guarded.client.get("models").json()
    assert models == {"object": "list", "data": [{"id": "m", "object": "model"}]}
    answer = guarded.post("embeddings", input="a")
    assert answer.json()["data"] == [{"index": 0, "object": "embedding", "embedding": [0.5, 0.25]}]
    assert DIGITS not in guarded.post("score", text="a").text


@pytest.mark.parametrize("body", [
    {"error": {"message": f"bad: logprob -{DIGITS}, context 2048", "type": "BadRequestError", "logprobs": [DIGITS]}},
    {"detail": [{"input": DIGITS}], "object": "error", "message": "context 2048"},
])  # fmt: skip
def test_errors_of_the_server_are_masked(behind: Callable[..., Behind], body: dict[str, Any]) -> None:
    guarded = behind(ModelServer(status=400, wrong=json.dumps(body).encode()))
    answer = guarded.post(prompt="a")
    assert answer.status_code == 400
    assert DIGITS not in answer.text
    assert "context 2048" in answer.json()["error"]["message"]
    guarded.server.wrong = b"<html>" + DIGITS.encode()
    assert DIGITS not in guarded.post(prompt="a").text
    guarded.server.status = 302
    assert guarded.post(prompt="a").status_code == 502


def test_compressed_answers_and_numbers_that_are_none(behind: Callable[..., Behind]) -> None:
    def with_none(answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0]["logprobs"]["token_logprobs"][:3] = [float("nan"), float("-inf"), "-1.2345678"]
        return answer

    guarded = behind(ModelServer(encoding="gzip", change=with_none))
    answer = guarded.post(prompt="a", logprobs=1)
    assert answer.json()["choices"][0]["logprobs"]["token_logprobs"][:3] == [None, -9999.0, None]
    guarded.server.encoding = "br"  # it is gzip, and nobody can read it
    assert guarded.post(prompt="a").status_code == 502


def test_a_streamed_answer_arrives_piece_by_piece(behind: Callable[..., Behind]) -> None:
    """The server sends an event only when the client has the event before, so a guard that waits would wait forever."""
    go_on = threading.Event()
    guarded = behind(ModelServer(go_on=go_on))
    events = []
    with guarded.client.stream("POST", "completions", json={"prompt": "a", "stream": True}) as answer:
        for line in answer.iter_lines():
            events += [line] if line.startswith("data: ") else []
            if line.startswith("data: {"):
                go_on.set()
    assert len(events) == 6
    assert events[-1] == "data: [DONE]"
    assert guarded.recorded(1)[0].completion_tokens == 5


def test_each_prompt_of_a_request_is_recorded(behind: Callable[..., Behind]) -> None:
    guarded = behind()
    guarded.post(prompt=["a", "b é"])
    guarded.post(prompt=[5, 60, 7])
    guarded.post(prompt=[[5, 60], [7]])
    guarded.post("chat/completions", messages=[{"role": "system", "content": "a"}, {"role": "user", "content": [
        {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "u"}}]}])  # fmt: skip
    guarded.post(prompt="a", temperature=10**400, seed=10**400, max_tokens=10**400)
    queries = guarded.recorded(7)
    assert queries.pop().temperature is None, "no float holds it"
    assert [query.prompt for query in queries] == ["a", "b é", "5 60 7", "5 60", "7", "a\nb"]
    assert [query.prompt_tokens for query in queries] == [None, None, 7, 2, 1, 7], "the server reports 7 of a request"
    assert [query.prompt_bytes for query in queries] == [1, 4, 6, 4, 1, 3]
    denied = behind(requests=RequestRules(token_prompts=PassOrDeny.DENY))
    assert [denied.post(prompt=prompt).status_code for prompt in ("a", ["a"], [5], [[5]])] == [200, 200, 403, 403]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_request(behind: Callable[..., Behind], stream: bool) -> None:
    guarded = behind(ModelServer(pause=5 if not stream else 0.05, text=" word" * 1000))
    body = json.dumps({"prompt": "a", "stream": stream}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    place = urlsplit(guarded.address)
    with socket.create_connection((place.hostname, place.port or 0)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        wait_until(lambda: bool(guarded.server.received))
        if stream:
            connection.recv(1000)
    wait_until(lambda: guarded.server.cancelled == 1)
    assert guarded.recorded(1)[0].status == 499


def wait_until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened"
        threading.Event().wait(0.005)


def test_a_server_that_is_down_or_slow(behind: Callable[..., Behind]) -> None:
    guarded = behind(ModelServer(pause=1), upstream=UpstreamRules(seconds=0.2))
    assert guarded.post(prompt="a").status_code == 504
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    policy = Policy()
    with served(configuration(Guard(policy, Upstream(f"http://127.0.0.1:{port}/v1", policy.upstream), Secret(b"s")),
                              policy)) as address:  # fmt: skip
        began = time.monotonic()
        assert httpx.post(f"{address}/completions", json={"prompt": "a"}, trust_env=False).status_code == 502
        assert time.monotonic() - began < 1


def test_limits_are_those_of_a_client(behind: Callable[..., Behind]) -> None:
    guarded = behind(limits=LimitRules(requests_per_minute=3))
    assert [guarded.post(prompt="a").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert guarded.post(prompt="a").headers["retry-after"] == "20"
    headers = {"authorization": "Bearer other"}
    assert guarded.client.post("completions", json={"prompt": ["a", "b"]}, headers=headers).status_code == 200
    assert guarded.client.post("completions", json={"prompt": ["a", "b"]}, headers=headers).status_code == 429
    assert (
        guarded.client.post("completions", content=b"?", headers={"authorization": "Bearer third"}).status_code == 415
    )
    assert guarded.client.get("none", headers={"authorization": "Bearer third"}).status_code == 404
    assert guarded.client.get("models", headers={"authorization": "Bearer third"}).status_code == 200
    assert guarded.client.get("none", headers={"authorization": "Bearer third"}).status_code == 429, "they count, too"
    by_address = behind(limits=LimitRules(requests_per_minute=1), clients=ClientRules(known_by=KnownBy.ADDRESS))
    assert by_address.post(prompt="a").status_code == 200
    assert by_address.client.post("completions", json={"prompt": "a"}, headers=headers).status_code == 429


def test_tokens_are_counted_by_what_the_server_reports(behind: Callable[..., Behind]) -> None:
    guarded = behind(limits=LimitRules(tokens_per_minute=24))  # an answer reports 12
    assert [guarded.post(prompt="a").status_code for _ in range(3)] == [200, 200, 429]
    other = {"authorization": "Bearer other"}
    without = [guarded.client.post("completions", json={"prompt": ""}, headers=other).status_code for _ in range(3)]
    assert without == [200, 200, 429], "the answer to an empty prompt costs tokens, too"


def test_every_text_that_a_chat_reads_is_in_the_log(behind: Callable[..., Behind]) -> None:
    guarded = behind()
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "d"}}
    messages = [
        {
            "role": "user",
            "content": ["a", {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "c"}], "tool_calls": [call]},
    ]
    guarded.post("chat/completions", messages=messages, documents=[{"title": "e", "text": "f"}])
    assert guarded.recorded(1)[0].prompt == "a\nb\nc\nf\nd\ne\nf"


def test_a_client_cannot_choose_its_address_behind_a_proxy(behind: Callable[..., Behind]) -> None:
    guarded = behind(clients=ClientRules(proxies=("127.0.0.1",)))
    head = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    for at in range(2):  # the proxy adds a header of its own below that of the client
        guarded.raw(head + b"X-Forwarded-For: 10.0.0.%d\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n" % at)
    for forwarded in (b"2001:db8::1", b"[2001:db8::2]:4711", b"x:::y, 2001:db8:0:0:ffff::"):
        guarded.raw(head + b"X-Forwarded-For: " + forwarded + b"\r\n\r\n")
    names = [query.client for query in guarded.recorded(5)]
    assert names[0] == names[1] != names[2] == names[3] == names[4], "a client has every address of its network"
    guarded.raw(head + b"X-Forwarded-For: x:::y\r\n\r\n")
    assert guarded.recorded(6)[5].client not in names


def test_a_key_of_any_bytes_reaches_the_server(behind: Callable[..., Behind]) -> None:
    guarded = behind()
    headers = {b"authorization": "Bearer é".encode(), b"content-type": b"application/json"}
    assert guarded.client.post("completions", content=b'{"prompt": "a"}', headers=headers).status_code == 200
    assert guarded.server.headers[-1]["authorization"] == "Bearer é"


def test_a_request_that_is_too_large_or_never_ends(behind: Callable[..., Behind]) -> None:
    guarded = behind(requests=RequestRules(max_bytes=1000, seconds=0.3, max_prompts=2, max_samples=2))
    assert guarded.post(prompt="a" * 1000).status_code == 413
    assert guarded.post(prompt=["a"] * 3).status_code == 400
    assert guarded.post(prompt="a", n=3).status_code == 400
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b" " * 1024 + b"\r\n"
    assert guarded.raw(head + chunks).startswith(b"HTTP/1.1 413")
    assert guarded.raw(head + b"Content-Length: 500\r\n\r\n{").startswith(b"HTTP/1.1 408")
    began = time.monotonic()
    assert guarded.raw(head) == b"", "the connection is cut off"
    assert time.monotonic() - began < 3
    assert cut_off_after(guarded, [head, *[b"X: y\r\n"] * 100]) < 4, "bytes that keep coming change nothing"
    assert guarded.server.received == []
    patient = behind(requests=RequestRules(max_bytes=1000))
    assert cut_off_after(patient, [head + b"X: " + b"y" * 70_000, *[b"y"] * 100]) < 4, "a long head is not held"


def cut_off_after(guarded: Behind, parts: Sequence[bytes]) -> float:
    """Seconds until the guard closes a connection on which *parts* come, a part every 0.05 seconds."""
    place, began = urlsplit(guarded.address), time.monotonic()
    with socket.create_connection((place.hostname, place.port or 0), timeout=0.05) as connection:
        for part in parts:
            try:
                connection.sendall(part)
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    return time.monotonic() - began
