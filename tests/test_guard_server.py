"""The guard in front of a real server: llama.cpp's, with the embedded model. By name: pytest -m server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_mia.backends.embedded import gguf_file
from llm_mia.guard import Guard, LogprobRules, Policy, Rule, Secret, Upstream, configuration

from .model_servers import free_port, served

pytestmark = pytest.mark.server

PYTHON = os.environ.get("LLM_MIA_SERVER_PYTHON", sys.executable)
"""The interpreter that has llama-cpp-python[server]."""
TEXT = "The tide comes in twice a day, and nobody who lives here looks at a clock."


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    port, log = free_port(), tmp_path_factory.mktemp("llama") / "log"
    options = {"--model": gguf_file(), "--logits_all": "true", "--n_ctx": 256, "--n_threads": 1, "--port": port}
    words = [str(word) for option in options.items() for word in option]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("wb") as out, subprocess.Popen(
        [PYTHON, "-m", "llama_cpp.server", *words], stdout=out, stderr=out, env=environment
    ) as process:  # fmt: skip
        address = f"http://127.0.0.1:{port}/v1"
        try:
            for _ in range(1200):
                assert process.poll() is None, log.read_text("utf-8")[-2000:]
                try:
                    httpx.get(f"{address}/models", trust_env=False, timeout=60)
                except httpx.TransportError:
                    time.sleep(0.5)
                else:
                    break
            yield address
        finally:
            process.terminate()


@contextmanager
def guarded(upstream: str, **rules: Any) -> Iterator[httpx.Client]:
    policy = Policy(LogprobRules(**rules))
    guard = Guard(policy, Upstream(upstream, policy.upstream), Secret(b"secret"))
    with (
        served(configuration(guard, policy)) as address,
        httpx.Client(base_url=address, timeout=300, trust_env=False) as client,
    ):
        yield client


def direct(upstream: str, path: str, **fields: Any) -> Any:
    return httpx.post(f"{upstream}/{path}", json=fields, timeout=300, trust_env=False).json()


def test_a_policy_that_lets_everything_pass_changes_no_number(llama: str) -> None:
    asked: dict[str, Any] = {"prompt": TEXT, "echo": True, "max_tokens": 1, "logprobs": 2, "temperature": 0}
    true = direct(llama, "completions", **asked)["choices"][0]
    with guarded(llama, prompt=Rule.PASS) as client:
        (choice,) = client.post("completions", json=asked).json()["choices"]
        assert client.get("models").json()["data"][0]["id"]
    assert choice["text"] == true["text"]
    assert choice["logprobs"]["token_logprobs"] == true["logprobs"]["token_logprobs"]
    assert len(choice["logprobs"]["token_logprobs"]) > 15
    for shown, before in zip(choice["logprobs"]["top_logprobs"], true["logprobs"]["top_logprobs"], strict=True):
        assert shown is before is None or shown.items() <= before.items()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_removed_is_removed_and_rounded_is_rounded(llama: str, path: str, stream: bool) -> None:
    chat = path.startswith("chat")
    prompt = {"messages": [{"role": "user", "content": TEXT}]} if chat else {"prompt": TEXT}
    wanted = {"logprobs": True, "top_logprobs": 3} if chat else {"logprobs": 3}
    asked = {**prompt, **wanted, "max_tokens": 4, "temperature": 0, "stream": stream}
    for rules, digits in (({"generated": Rule.REMOVE}, None), ({"digits": 1, "top": 2}, 1)):
        with guarded(llama, **rules) as client:
            answer = client.post(path, json=asked)
        assert answer.status_code == 200, answer.text
        events = (
            [each[6:] for each in answer.text.split("\n\n") if each.startswith("data: {")] if stream else [answer.text]
        )
        text, numbers = "", list[float]()
        for choice in (json.loads(event)["choices"][0] for event in events):
            part = choice.get("delta", choice.get("message", choice))
            text += part.get("content", part.get("text")) or ""
            numbers += fractions(choice)
        assert text
        assert bool(numbers) == (digits is not None)
        assert all(number == round(number, 1) for number in numbers)


def fractions(value: Any) -> list[float]:
    """Every number with a fraction within *value*."""
    if isinstance(value, float):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [number for each in inner for number in fractions(each)]


def test_log_probabilities_of_the_prompt_are_denied(llama: str, tmp_path: Path) -> None:
    with guarded(llama) as client:
        answer = client.post("completions", json={"prompt": TEXT, "echo": True, "logprobs": 1, "max_tokens": 1})
        too_long = client.post("completions", json={"prompt": TEXT * 100, "max_tokens": 1})
    assert answer.status_code == 403
    assert 400 <= too_long.status_code < 600
    assert "256" in too_long.json()["error"]["message"], "the server's reason is passed on"
