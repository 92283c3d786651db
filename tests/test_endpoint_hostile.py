"""Servers, addresses and environments that are hostile or wrong: an error in a line, and no request to elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from llm_mia.backends.endpoint import Patience, connect
from llm_mia.errors import LlmMiaError, ModelError, ServerError, UsageError
from llm_mia.signals import signals_of

from .endpoint_server import Server, running

QUICK = Patience(attempts=1, first_wait=0.01, longest_wait=0.02, timeout=5.0)
NOWHERE = "http://127.0.0.1:9"
HUGE = 10**400


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM_MIA_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_passages_go_to_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    with running() as server:
        backend = connect(server.name, patience=QUICK)
        assert len(signals_of(backend, ["a text"])) == 1
    monkeypatch.setenv("HTTPS_PROXY", "none://user:geheim@example.org")
    with pytest.raises(UsageError, match=r"cannot be used.* server example\.org in NO_PROXY") as error:
        connect("openai:tiny@https://example.org/v1", patience=QUICK)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-geheim\n2", "sk-geheim 2", "sk-géheim"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError, match="OPENAI_API_KEY holds a character that no key has") as error:
        connect(f"openai:tiny@{NOWHERE}/v1", patience=QUICK)
    assert "heim" not in str(error.value)


def test_certificates_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authorities.pem")
    with pytest.raises(UsageError, match="SSL_CERT_FILE"):
        connect("openai:tiny@https://127.0.0.1:9/v1", patience=QUICK)


@pytest.mark.parametrize("host", ["a" * 70 + ".org", "a..b", "-ü-.org", "a b", "☃.invalid"])
def test_hosts_that_cannot_be(host: str) -> None:
    with pytest.raises((UsageError, ServerError)) as error:
        connect(f"openai:tiny@http://{host}/v1", patience=QUICK)
    assert "correct" in str(error.value)


def test_a_key_in_the_address_is_in_no_message() -> None:
    for url in (
        "http://u:geheim@h:bad/v1",
        "http://u:geheim@http://h:bad/v1",
        "http://u:geheim@h/v1",
        "http://[geheim",
    ):
        with pytest.raises(UsageError) as error:
            connect(f"openai:tiny@{url}", patience=QUICK)
        assert "geheim" not in str(error.value)


class Changed(Server):
    """A server whose answers are changed."""

    def __init__(self, change: Callable[[dict[str, Any], dict[str, Any]], None], **more: Any) -> None:
        super().__init__(**more)
        self.change = change

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = super().complete(body)
        self.change(answer, answer["choices"][0])
        return answer


def _logprobs(choice: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(choice.get("logprobs"), dict):
        choice["logprobs"][name] = [value for _ in choice["logprobs"][name]]


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "huge number": lambda _, choice: _logprobs(choice, "token_logprobs", HUGE),
    "huge number of an alternative": lambda _, choice: _logprobs(choice, "top_logprobs", {"a": HUGE}),
    "number of an alternative that no exponential has": lambda _, choice: _logprobs(
        choice, "top_logprobs", {"a": 5000}
    ),
    "half a surrogate": lambda _, choice: _logprobs(choice, "tokens", "\ud800"),
    "half a surrogate as the text": lambda _, choice: choice.update(text="\ud800", logprobs=None),
    "lists in place of objects": lambda _, choice: choice.update(prompt_logprobs=[[1], "x", 5] * 60),
    "huge ids": lambda _, choice: choice.update(prompt_token_ids=[HUGE] * 500),
    "texts as ids": lambda _, choice: choice.update(prompt_token_ids=["1"] * 500),
    "huge ids and ranks in objects": lambda _, choice: choice.update(
        prompt_logprobs=[{str(HUGE): {"logprob": -1.0, "rank": HUGE}, "5": {"logprob": -1.0, "rank": HUGE}}] * 500
    ),
    "huge counts": lambda answer, _: answer.update(usage=dict.fromkeys(answer["usage"], HUGE)),
    "counts below zero": lambda answer, _: answer.update(usage=dict.fromkeys(answer["usage"], -5)),
    "no object as usage": lambda answer, _: answer.update(usage=[1]),
    "no object as a choice": lambda answer, _: answer.update(choices=[[1]]),
}


def test_answers_of_any_form_are_read_or_refused() -> None:
    server = Changed(lambda *_: None, lists_context=False, context=400)
    with running(server):
        good = connect(server.name, patience=QUICK)
        for name, server.change in CHANGES.items():
            for use in (lambda: signals_of(good, ["a text"]), lambda: connect(server.name, patience=QUICK)):
                try:
                    use()
                except LlmMiaError as error:
                    words = str(error)
                else:
                    words = "it is read"
                assert words.isprintable(), name


def test_a_log_probability_above_zero_is_refused_whenever_it_comes() -> None:
    with running() as server:
        backend = connect(server.name, patience=QUICK)
        server.lie = "positive"
        with pytest.raises(ModelError, match=r"gives 0\.7 as a log-probability"):
            list(signals_of(backend, ["a text of several words"]))


def test_what_a_server_writes_steers_no_terminal() -> None:
    with running(Server(names=("\x1b[2J`x`", "y" * 5000))) as server, pytest.raises(ModelError) as error:
        connect(server.name, patience=QUICK)
    assert str(error.value).isprintable()
    assert "`x`" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_context_that_holds_no_passage_is_refused() -> None:
    class Short(Server):
        async def models(self, request: Request) -> Response:
            return Response(json.dumps({"data": [{"id": "tiny", "max_model_len": 20}]}))

    with running(Short()) as server, pytest.raises(ModelError, match="its context of 20 tokens is too short"):
        connect(server.name, patience=QUICK)


class Raw(Server):
    """A server that answers with bytes."""

    parts: list[bytes]
    pause = 0.0

    async def _completions(self, request: Request) -> Response:
        async def sent() -> AsyncIterator[bytes]:
            for part in self.parts:
                yield part
                await asyncio.sleep(self.pause)

        return StreamingResponse(sent(), media_type="application/json")


def test_answers_that_never_end_that_are_huge_or_deep() -> None:
    server = Raw()
    with running(server):
        server.parts, server.pause = [b" "] * 200, 0.02  # each byte within the time for a byte
        with pytest.raises(ServerError, match="has not answered in time"):
            connect(server.name, patience=Patience(attempts=1, timeout=0.2))
        server.pause = 0.0
        for server.parts in ([b"[" * 200_000], [b'{"choices": ' + b"9" * 5000 + b"}"], [b"\xff"]):
            with pytest.raises(ServerError, match="cuts its answers off"):
                connect(server.name, patience=QUICK)
        server.parts = [b" " * 100_000] * 20
        with pytest.raises(ServerError, match="an answer is larger than 1 MB"):
            connect(server.name, patience=Patience(attempts=1, largest=1_000_000))
