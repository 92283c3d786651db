"""What the guard does to the numbers of an answer: noise, temperature, rounding; buckets, events and the log."""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import random
import resource
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, RawTestServer

from llm_mia.guard import (
    Buckets,
    Events,
    Guard,
    KeptPrompt,
    LogprobRules,
    LogRules,
    Policy,
    QueryLog,
    RequestRules,
    Rule,
    Secret,
    Upstream,
)
from llm_mia.queries import Query, query_of_line, sketch_prompts

from .model_servers import SECRETS, ModelServer

Position = tuple[str, float, dict[str, float]]


@asynccontextmanager
async def guarding(policy: Policy, server: BaseTestServer, secret: bytes = b"s") -> AsyncIterator[Guard]:
    """A guard in front of *server*."""
    upstream = Upstream(str(server.make_url("/v1")), policy.upstream)
    try:
        yield Guard(policy, upstream, Secret(secret))
    finally:
        await upstream.close()


def through(
    answers: Sequence[Any], requests: Sequence[dict[str, Any]], secret: bytes = b"s", **rules: Any
) -> list[Any]:
    """What a client gets for *requests*, where the server behind the guard gives *answers*."""
    left = iter(answers)
    policy = Policy(LogprobRules(prompt=Rule.PASS, **rules), RequestRules(paths=("/other",)))

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(next(left))

    async def ask() -> list[Any]:
        async with (
            RawTestServer(answer) as server,
            guarding(policy, server, secret) as guard,
            httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://guard/v1") as client,
        ):
            paths = ["chat/completions" if "messages" in request else "completions" for request in requests]
            return [(await client.post(path, json=each)).json() for path, each in zip(paths, requests, strict=True)]

    return asyncio.run(ask())


def completion(positions: Sequence[Position]) -> dict[str, Any]:
    return {
        "choices": [
            {
                "index": 0,
                "text": "".join(token for token, _, _ in positions),
                "logprobs": {
                    "tokens": [token for token, _, _ in positions],
                    "token_logprobs": [value for _, value, _ in positions],
                    "top_logprobs": [others for _, _, others in positions],
                    "text_offset": [0] * len(positions),
                },
            }
        ]
    }


def shown(answer: Any) -> Any:
    return answer["choices"][0]["logprobs"]


THE_SEA: Position = (" sea", -5.0, {" sea": -5.0, " sky": -6.0})


def test_the_same_token_after_the_same_text_has_the_same_noise() -> None:
    """So asking again, or changing the prompt far before, does not average the noise away."""
    near = "the words right before it, at least 32 characters"
    asked = [{"prompt": f"{far}{near}", "logprobs": 2} for far in ("", "", "another beginning ", "x" * 500)]
    first, *others = [shown(each) for each in through([completion([THE_SEA])] * 4, asked, noise=0.5)]
    assert others == [first] * 3
    assert first["token_logprobs"][0] == first["top_logprobs"][0][" sea"] != -5.0
    echoed = completion([(near, -1.0, {}), THE_SEA])
    chat = {
        "choices": [{"index": 0, "logprobs": {"content": [{"token": " sea", "logprob": -5.0, "top_logprobs": []}]}}]
    }
    positions = [None, {"1": {"logprob": -1, "decoded_token": near}}, {"7": {"logprob": -5.0, "decoded_token": " sea"}}]
    in_prompt = {"choices": [{"index": 0, "prompt_logprobs": positions}]}
    other_ways = [
        {"prompt": f"{near} sea", "echo": True, "logprobs": 2},
        {"messages": [{"role": "user", "content": near}], "logprobs": True},
        {"prompt": f"{near} sea", "prompt_logprobs": 1},
    ]
    by_echo, by_chat, by_prompt = through([echoed, chat, in_prompt], other_ways, noise=0.5)
    assert shown(by_echo)["token_logprobs"][1] == first["token_logprobs"][0]
    assert shown(by_chat)["content"][0]["logprob"] == first["token_logprobs"][0]
    assert by_prompt["choices"][0]["prompt_logprobs"][2]["7"]["logprob"] == first["token_logprobs"][0]


def test_noise_differs_by_text_token_and_secret() -> None:
    asked = [{"prompt": "a", "logprobs": 2}, {"prompt": "b", "logprobs": 2}]
    one, two = (shown(each) for each in through([completion([THE_SEA])] * 2, asked, noise=0.5))
    (three,) = (shown(each) for each in through([completion([THE_SEA])], asked[:1], b"another", noise=0.5))
    assert len({each["token_logprobs"][0] for each in (one, two, three)}) == 3
    assert one["top_logprobs"][0][" sky"] + 6 != pytest.approx(one["token_logprobs"][0] + 5)


def test_noise_is_normal_and_keeps_log_probabilities_below_zero() -> None:
    words = [f" w{at}" for at in range(2000)]
    asked = [{"prompt": "a", "logprobs": 0}]
    (far,) = through([completion([(word, -50.0, {}) for word in words])], asked, noise=0.5)
    noise = [value + 50 for value in shown(far)["token_logprobs"]]
    # The standard error of the mean is .5/√2000 = .011, that of the standard deviation .5/√4000 = .008: four of each.
    assert abs(statistics.fmean(noise)) < 0.045
    assert abs(statistics.stdev(noise) - 0.5) < 0.032
    assert abs(statistics.fmean(math.copysign(1, each) for each in noise)) < 4 / math.sqrt(2000)
    (near,) = through([completion([(word, -0.01, {}) for word in words])], asked, noise=0.5)
    assert max(shown(near)["token_logprobs"]) == 0


def test_alternatives_are_in_the_order_of_what_is_shown() -> None:
    others = {f" w{at}": -5 - at / 100 for at in range(20)}
    position: Position = (" w0", -5.0, others)
    (answer,) = through([completion([position])], [{"prompt": "a", "logprobs": 20}], noise=1.0, top=20)
    values = list(shown(answer)["top_logprobs"][0].values())
    assert values == sorted(values, reverse=True)
    assert list(shown(answer)["top_logprobs"][0]) != list(others)


def test_a_temperature_keeps_a_distribution() -> None:
    position: Position = (" a", math.log(0.5), {" a": math.log(0.5), " b": math.log(0.3)})
    (answer,) = through([completion([position])], [{"prompt": "a", "logprobs": 2}], temperature=2.0)
    norm = sum(math.sqrt(share) for share in (0.5, 0.3, 0.2))
    expected = {" a": math.log(math.sqrt(0.5) / norm), " b": math.log(math.sqrt(0.3) / norm)}
    assert shown(answer)["top_logprobs"][0] == pytest.approx(expected, abs=1e-12)
    assert shown(answer)["token_logprobs"][0] == pytest.approx(expected[" a"], abs=1e-12)
    certain: Position = (" a", 0.0, {" a": 0.0, " b": -9999.0})
    (answer,) = through([completion([certain])], [{"prompt": "a", "logprobs": 2}], temperature=2.0)
    assert shown(answer)["token_logprobs"][0] == 0


@pytest.mark.parametrize(
    "logprobs", [[], "a text", 5, {"tokens": 5}, {"content": "a text"}, {"content": [5, {"token": 5}]}, {"tokens": [5]}]
)
def test_log_probabilities_of_no_known_form_are_removed(logprobs: Any) -> None:
    answer = {"choices": [{"index": 0, "text": "a", "logprobs": logprobs}, "no choice", None], "usage": "none"}
    (got,) = through([answer], [{"prompt": "a", "logprobs": 5}])
    assert "a text" not in json.dumps(got)
    assert len(got["choices"]) == 1


@pytest.mark.parametrize("answer", [5, "a text", None, [], {"choices": 5}, {"choices": {"0": 1}}, {"error": "0.12345"}])
def test_answers_of_no_known_form_are_removed(answer: Any) -> None:
    (got,) = through([answer], [{"prompt": "a"}])
    assert "a text" not in json.dumps(got)
    assert "0.12345" not in json.dumps(got)


HIDDEN = -0.7071
NAMES = """id object created model choices usage index text finish_reason logprobs tokens token_logprobs top_logprobs
text_offset message delta content refusal role tool_calls function name arguments prompt_logprobs token logprob bytes
prompt_tokens total_tokens stop_reason token_ids prompt_token_ids data embedding score other function_call"""


def hidden_anywhere(generator: random.Random, depth: int = 0) -> Any:
    """A value in which each number is `HIDDEN`, with the names of fields that the guard knows, and others."""
    kind = generator.randrange(4 if depth < 4 else 1)
    if kind == 0:
        return generator.choice([HIDDEN, HIDDEN, "", None, True])
    inner = [hidden_anywhere(generator, depth + 1) for _ in range(generator.randrange(4))]
    return inner if kind == 1 else dict(zip(generator.sample(NAMES.split(), len(inner)), inner, strict=True))


def spoiled(generator: random.Random, value: Any) -> Any:
    """*value* with some of its parts replaced by, and some of its objects extended by, what hides `HIDDEN`."""
    if generator.random() < 0.05:
        return hidden_anywhere(generator)
    if isinstance(value, dict):
        further = {name: hidden_anywhere(generator) for name in generator.sample(NAMES.split(), 3)}
        return further | {name: spoiled(generator, each) for name, each in value.items()}
    return [spoiled(generator, each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("request_", [{"prompt": "a"}, {"messages": [{"role": "user", "content": "a"}]}])
def test_no_number_passes_wherever_it_is(request_: dict[str, Any]) -> None:
    generator = random.Random(0)
    path = "/chat/completions" if "messages" in request_ else "/completions"
    whole = ModelServer(text=" the").answer(path, request_)
    answers = [spoiled(generator, whole) for _ in range(150)]
    assert sum(str(HIDDEN) in json.dumps(answer) for answer in answers) > 100
    for got in through(answers, [request_] * len(answers)):
        assert str(HIDDEN) not in json.dumps(got)
        assert str(SECRETS) not in json.dumps(got)


def test_a_client_that_leaves_closes_the_connection_to_the_server() -> None:
    async def ask() -> bool:
        begun, closed = asyncio.Event(), asyncio.Event()

        async def stream(request: web.BaseRequest) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await answer.prepare(request)
            await answer.write(b"data: {}\n\n")
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:  # the server ends what it does for a client that has closed its connection
                closed.set()
            return answer

        sent = iter([{"type": "http.request", "body": b'{"prompt": "a", "stream": true}'}])

        async def receive() -> Any:
            for message in sent:
                return message
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            pass

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/completions",
            "headers": [(b"content-type", b"application/json")],
            "client": ("127.0.0.1", 5),
        }
        async with RawTestServer(stream) as server, guarding(Policy(), server) as guard:
            await guard(scope, receive, send)
            async with asyncio.timeout(10):
                await closed.wait()
            return guard.statuses == {499: 1}

    assert asyncio.run(ask())


def test_tool_calls_pass_and_what_is_in_them_does_not() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}", "p": 0.5}, "logprob": -1.5}
    message = {"role": "assistant", "content": None, "tool_calls": [call, 5], "function_call": {"name": "g", "p": 1}}
    (got,) = through([{"choices": [{"message": message}]}], [{"messages": [{"role": "user", "content": "a"}]}])
    assert got["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "function_call": {"name": "g"},
    }


def test_a_bucket_holds_a_minute_and_is_refilled() -> None:
    now = [0.0]
    buckets = Buckets(60, lambda: now[0])
    assert [buckets.take("a", 30) for _ in range(3)] == [0, 0, 30]
    assert buckets.take("b", 60) == 0, "each client has its bucket"
    now[0] = 29.5
    assert buckets.take("a", 30) == 1
    now[0] = 30
    assert buckets.take("a", 30) == 0
    now[0] = 90
    assert buckets.take("a", 600) == 0, "more than a bucket holds is possible when it is full"
    assert buckets.take("a", 1) == 541
    buckets.correct("a", -540)
    assert buckets.take("a", 1) == 1


def test_a_client_never_gets_more_than_its_allowance() -> None:
    """In any span of t seconds at most 60 + t, whatever the client does."""
    generator = random.Random(0)
    now = [0.0]
    buckets = Buckets(60, lambda: now[0])
    taken: list[tuple[float, float]] = []
    for _ in range(3000):
        now[0] += generator.choice([0.0, 0.1, 3.0, generator.expovariate(1)])
        amount = generator.choice([1, 5, 60])
        if not buckets.take("a", amount):
            taken.append((now[0], amount))
    for first in range(0, len(taken), 7):
        total = 0.0
        for at, used in taken[first : first + 200]:
            total += used
            assert total <= 60 + (at - taken[first][0]) + 1e-6


def test_buckets_that_are_full_again_are_forgotten() -> None:
    now = [0.0]
    buckets = Buckets(60, lambda: now[0])
    for at in range(50_000):
        now[0] = at / 100
        buckets.take(f"client {at}", 1)
    assert len(buckets) < 300, "a bucket of which 1 was taken is full after a second, in which 100 others come"
    buckets.take("debtor", 6000)
    for at in range(3000):
        now[0] += 1
        buckets.take(f"other {at}", 1)
    assert buckets.take("debtor", 60) > 1, "a debt is not forgotten"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_are_cut_anywhere(end: bytes) -> None:
    lines = [
        b"data: {}",
        b"",
        b": comment",
        b"event: x",
        b"data:two",
        b"data: lines",
        b"",
        b"",
        b"id: 5",
        b"",
        b"data: last",
    ]
    stream = end.join(lines)
    for step in range(1, 12):
        events = Events(1000)
        got = [each for at in range(0, len(stream), step) for each in events.feed(stream[at : at + step])]
        assert got == [b"{}", b"two\nlines"]
        assert events.end() == [b"last"]
        assert events.end() == []
    with pytest.raises(ValueError, match="too large"):
        [Events(1000).feed(b"x" * 1001)]
    events = Events(1000)
    with pytest.raises(ValueError, match="too large"):
        [events.feed(b"data: " + b"x" * 100 + b"\n") for _ in range(20)]


def lines_of(file: Path) -> list[Query]:
    return [query_of_line(line) for line in file.read_bytes().splitlines()]


def query(at: int = 0, prompt: str | None = "a secret prompt") -> Query:
    return Query(float(at), "key-1", prompt=prompt, prompt_bytes=15)


@pytest.mark.parametrize("kept", list(KeptPrompt))
def test_the_log_keeps_of_a_prompt_what_the_policy_says(tmp_path: Path, kept: KeptPrompt) -> None:
    file = tmp_path / "log"
    log = QueryLog(file, LogRules(kept), b"key", pytest.fail)
    log.write(query())
    log.write(query(prompt=None))
    log.close()
    first, second = lines_of(file)
    assert (log.written, log.lost) == (2, 0)
    assert (first.prompt is not None) == (kept is KeptPrompt.KEEP)
    expected = sketch_prompts(["a secret prompt"], b"key")[0]
    assert (first.sketch is not None and bytes(first.sketch) == bytes(expected)) == (kept is KeptPrompt.HASH)
    assert second.sketch is None
    assert first.prompt_bytes == 15


def test_the_log_begins_anew_at_its_size(tmp_path: Path) -> None:
    file = tmp_path / "log"
    log = QueryLog(file, LogRules(KeptPrompt.KEEP, max_bytes=1000, files=2), b"key", pytest.fail)
    for at in range(60):
        log.write(query(at))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    times = [each.time for name in ("log.2", "log.1", "log") for each in lines_of(tmp_path / name)]
    assert times == list(range(60 - len(times), 60)), "the newest, none missing and none twice"
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    again = QueryLog(file, LogRules(KeptPrompt.KEEP), b"key", pytest.fail)
    again.write(query(60))
    again.close()
    assert lines_of(file)[-1].time == 60
    assert len(lines_of(file)) > 1, "a new start appends"


def test_a_log_that_was_moved_away_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "log"
    log = QueryLog(file, LogRules(), b"key", pytest.fail)
    file.rename(tmp_path / "moved")
    log.write(query())
    log.close()
    assert len(lines_of(file)) == 1


def test_a_full_disk_stops_no_request_and_is_reported(tmp_path: Path) -> None:
    """A limit of the size of files stands for the disk: a write beyond it is cut short, and the next fails."""
    file, notes = tmp_path / "log", list[str]()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        log = QueryLog(file, LogRules(KeptPrompt.KEEP), b"key", notes.append)
        for at in range(40):
            log.write(query(at))
        while log.written + log.lost < 40:
            os.sched_yield()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    before = log.written
    assert 0 < before < 40
    log.write(query(40))
    log.close()
    assert [each.time for each in lines_of(file)] == [*range(before), 40], "no line is cut off"
    assert len(notes) == 2
    assert "cannot be written" in notes[0]
    assert f"is written again; {40 - before} requests are missing" in notes[1]
    assert os.strerror(errno.EFBIG) in notes[0] or "no space left" in notes[0]


def test_requests_that_come_faster_than_the_disk_are_lost_and_counted(tmp_path: Path) -> None:
    notes = list[str]()
    os.mkfifo(tmp_path / "log")  # a file that nobody reads: a write waits
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    log = QueryLog(tmp_path / "log", LogRules(KeptPrompt.KEEP), b"key", notes.append)
    for at in range(12_000):
        log.write(query(at))
    assert log.lost > 0
    assert notes == [
        f"{tmp_path / 'log'}: requests come faster than they can be written: some are missing from the log"
    ]
    os.set_blocking(reader, True)
    closing = asyncio.run(_close(log, reader))
    os.close(reader)
    assert closing + log.lost == 12_000


async def _close(log: QueryLog, reader: int) -> int:
    """Close *log* while its lines are read, and return their number."""
    closing = asyncio.ensure_future(asyncio.to_thread(log.close))
    lines = 0
    while chunk := await asyncio.to_thread(os.read, reader, 1 << 20):
        lines += chunk.count(b"\n")
    await closing
    return lines
