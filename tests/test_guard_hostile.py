"""Clients and servers that try to get more out of the guard than its policy shows, or to hold it up."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from llm_mia.guard import LogprobRules, PassOrDeny, RequestRules, Rule

from .model_servers import ModelServer
from .test_guard import DIGITS, Behind, behind, wait_until

__all__ = ["behind"]

QUICK = 2.0
"""Seconds for what takes milliseconds, and took minutes where the time grew with the square of a text."""


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_is_null_is_no_error(behind: Callable[..., Behind], stream: bool) -> None:
    guarded = behind(ModelServer(change=lambda answer: answer | {"error": None}))
    answer = guarded.post(prompt="a", stream=stream)
    assert "sky" in answer.text
    assert "refused" not in answer.text


def test_an_error_that_repeats_many_digits_holds_nobody_up(behind: Callable[..., Behind]) -> None:
    for message in ("1" * 100_000, f"bad {' 0.5' * 200}{' ' * 195}-1.2345", "a" * 997 + "-1.2345"):
        guarded = behind(ModelServer(status=400, wrong=json.dumps({"error": {"message": message}}).encode()))
        began = time.monotonic()
        answer = guarded.post(prompt="a")
        assert time.monotonic() - began < QUICK
        assert answer.status_code == 400
        assert "1" not in answer.json()["error"]["message"], "also of a number that is cut off, nothing is shown"


def test_halves_of_a_character_arrive_as_they_were_sent(behind: Callable[..., Behind]) -> None:
    def half(answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0]["text"] = "é \ud83d"
        return answer

    guarded = behind(ModelServer(change=half))
    assert guarded.post(prompt="a").json()["choices"][0]["text"] == "é \ud83d"
    assert "upstream_broken" not in guarded.post(prompt="a", stream=True).text


def test_an_unknown_field_may_decide_the_tokens(behind: Callable[..., Behind]) -> None:
    passing = RequestRules(unknown_fields=PassOrDeny.PASS)
    guarded = behind(requests=passing)
    for field in ({"custom_logit_processor": "x"}, {"force_words": ["a"]}, {"token_bias": {"5": 100}}):
        answer = guarded.post(prompt="a", logprobs=1, **field)
        assert answer.status_code == 200
        assert DIGITS not in answer.text
        assert guarded.server.received[-1] == {"model": "m", "prompt": "a", **field}
    everything = behind(requests=passing, logprobs=LogprobRules(constrained=Rule.PASS))
    assert DIGITS in everything.post(prompt="a", logprobs=1, force_words=["a"]).text


def test_a_long_name_holds_nobody_up(behind: Callable[..., Behind]) -> None:
    guarded = behind(requests=RequestRules(unknown_fields=PassOrDeny.PASS))
    began = time.monotonic()
    name = "a" + "\u0301\u0316" * 10_000  # to bring these into their order takes the square of their number
    field: dict[str, Any] = {name: 1}
    assert guarded.post(prompt="a", **field).status_code == 400
    assert guarded.post(prompt="a", extra={"e_c_h_o" + "_" * 200: 1}).status_code == 400
    assert time.monotonic() - began < QUICK


def test_every_text_that_the_model_reads_beside_messages_is_in_the_log(
    behind: Callable[..., Behind],
) -> None:
    guarded = behind()
    tool = {"type": "function", "function": {"name": "f", "description": "in a tool", "parameters": {"title": "in it"}}}
    call = {"function": {"name": "g", "arguments": {"x": "in an argument"}}}
    messages = [{"role": "user", "content": "a", "name": "as a name"}, {"role": "assistant", "tool_calls": [call]}]
    guarded.post("chat/completions", messages=messages, tools=[tool], chat_template_kwargs={"x": "in a template"})
    guarded.post(prompt=["b", "c"], suffix="after it")
    queries = guarded.recorded(3)
    for text in ("in a tool", "in it", "in an argument", "as a name", "in a template"):
        assert text in str(queries[0].prompt)
    assert [query.prompt for query in queries[1:]] == ["b\nafter it", "c\nafter it"]


def test_fields_that_a_template_does_not_read_draw_no_new_noise(behind: Callable[..., Behind]) -> None:
    """Else the mean over many requests would have ever less noise, although the model reads the same."""
    guarded = behind(logprobs=LogprobRules(noise=1.0))

    def shown(last: dict[str, Any] | None = None, **fields: Any) -> float:
        message = {"role": "user", "content": "What is the sea?"} | (last or {})
        messages = [{"role": "system", "content": "a"}, message]
        if "more" in fields:
            messages.append(fields.pop("more"))
        answer = guarded.post("chat/completions", messages=messages, logprobs=True, **fields)
        return float(answer.json()["choices"][0]["logprobs"]["content"][0]["logprob"])

    plain = shown()
    assert shown(documents=[{"title": "x"}]) == plain
    assert shown({"refusal": "x"}) == plain
    assert shown({"name": "x"}) == plain
    assert shown({"content": "What is the sea?  \n"}) == plain
    assert (
        shown({"content": [{"type": "text", "text": "What is the sea?"}, {"type": "refusal", "refusal": "x"}]}) == plain
    )
    assert shown(more={"role": "x", "content": "y"}) == plain
    assert shown(chat_template_kwargs={"x": "y"}) == plain
    assert shown({"content": "What is the sky?"}) != plain


def test_the_values_of_a_request_are_not_held_while_the_server_answers(
    behind: Callable[..., Behind],
) -> None:
    guarded = behind(ModelServer(pause=0.5))
    sent = json.dumps({"messages": [{"role": "user", "content": [{"needle": []}]}] * 1000}).encode()
    asking = threading.Thread(
        target=lambda: guarded.client.post(
            "chat/completions", content=sent, headers={"content-type": "application/json"}
        )
    )
    asking.start()
    wait_until(lambda: bool(guarded.server.received))
    guarded.server.received.clear()
    held = sum(type(each) is dict and "needle" in each for each in gc.get_objects())
    asking.join()
    assert held <= 1000, "those of the server, in this process, but none of the guard"
