"""Models behind an endpoint, against a small server that is exact: what they give is what the model gives."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llm_mia import ModelSpec, load_model, read_scores, score
from llm_mia.backends import RemoteBackend
from llm_mia.backends.endpoint import Budget, ContinuingEndpoint, Patience, connect
from llm_mia.cli import main
from llm_mia.errors import (
    AttackError,
    BudgetError,
    LlmMiaError,
    ModelError,
    RunDirectoryError,
    ServerError,
    UsageError,
)
from llm_mia.records import TokenSignals, Window, WindowRule
from llm_mia.scoring import score_to_disk
from llm_mia.signals import Supplies, cut, join, signals_of
from llm_mia.store import to_json

from .conftest import sentences
from .endpoint_server import Server, model, running

TEXTS = [*sentences(6, seed=3), "naïve “quotes” — 東京 🙂!", "x"]
QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.05, timeout=5.0)


def exact(text: str, seed: int = 0) -> TokenSignals:
    """What the model gives to each byte of *text*."""
    backend = model(seed)
    window = Window(np.array([256, *text.encode()], np.int32), 1)
    return backend.score([window])[0]


@pytest.mark.parametrize("server", [Server(), Server(vllm=True, bos="shown"), Server(vllm=True), Server(bos="hidden")])
def test_signals_are_those_of_the_model(server: Server) -> None:
    with running(server):
        backend = connect(server.name, patience=QUICK)
        assert isinstance(backend, RemoteBackend)
        before = len(server.requests)
        for text, signals in zip(TEXTS, signals_of(backend, TEXTS), strict=True):
            first = 0 if server.bos == "shown" else 1
            assert len(signals) == len(text.encode()) - first
            np.testing.assert_allclose(signals.logprob, exact(text).logprob[first:], atol=1e-5)
            if server.vllm:
                np.testing.assert_array_equal(signals.rank, exact(text).rank[first:])
        assert len(server.requests) - before == len(TEXTS), "a request for each passage"


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ("generated only", "log-probabilities of generated tokens only"),
        ("no log-probabilities", "it gives no log-probabilities"),
        ("template", "chat template"),
        ("cutting", "it cuts the prompt"),
        ("NaN", "it gives NaN, or no number, as the log-probability of 1 tokens"),
        ("positive", "it gives 0.7 as a log-probability"),
        ("caching", "tokens that it has cached"),
        ("no probabilities", "sum to 1.98: they are no probabilities"),
        ("chat only", "and not at /completions: it serves chats alone"),
        ("cutting answers off", "cuts its answers off"),
    ],
)
def test_a_server_that_lies_is_refused_by_what_it_does(lie: str, problem: str) -> None:
    with running(Server(lie=lie)) as server:
        try:
            backend = connect(server.name, patience=QUICK)
        except LlmMiaError as error:
            said = str(error)
        else:
            assert isinstance(backend, ContinuingEndpoint), "it may still continue texts"
            assert backend.offers == {"continuations"}
            said = backend.problem
    assert problem in said
    assert "\n" not in said
    assert server.url in said


def test_a_server_that_is_wrong_by_a_position_is_asked_with_an_opening() -> None:
    """As the Python server of llama.cpp with a model that puts no token before a text."""
    with running(Server(lie="shifted")) as server:
        backend = connect(server.name, patience=QUICK)
        assert backend.info.opening_text == ("<s>",)
        [signals] = signals_of(backend, TEXTS[:1])
        np.testing.assert_allclose(signals.logprob, exact(TEXTS[0]).logprob[1:], atol=1e-5)


@pytest.mark.parametrize("bos", ["shown", "none"])
@pytest.mark.parametrize("vllm", [True, False])
def test_windows_and_prefixes_are_those_of_the_model(bos: str, vllm: bool) -> None:
    """A long passage in windows, and passages after a prefix: by token ids, and by texts where no ids are taken."""
    text = " ".join(sentences(12, seed=5)) + " naïve 東京 🙂 façade. " * 3
    rule = WindowRule(64, 16)
    with running(Server(vllm=vllm, bos=bos, context=300)) as server:
        backend = connect(server.name, patience=QUICK)
        assert backend.info.endpoint is not None
        assert (backend.info.endpoint.sends == "token ids") == vllm
        [tokens] = backend.encode([text])
        windows = cut(tokens, rule, opening=backend.opening)
        signals = join(backend.score(windows), backend.info.tokenizer)
        local = model()
        own = cut(np.array([*text.encode()], np.int32), rule, opening=(256,) if bos == "shown" else ())
        wanted = local.score([Window(w.tokens, w.first_scored) if bos == "shown" else _opened(w) for w in own])
        np.testing.assert_allclose(signals.logprob, join(wanted, "").logprob, atol=1e-4)
        [before, short] = backend.encode(["Anna counts. ", TEXTS[0]])
        prefix = np.array([*backend.opening, *before], np.int32)
        [after] = backend.score([Window(short, 0)], prefix=prefix)
        data = b"Anna counts. "
        [expected] = local.score([Window(np.array([256, *data, *TEXTS[0].encode()], np.int32), 1 + len(data))])
        np.testing.assert_allclose(after.logprob, expected.logprob, atol=1e-4)


def _opened(window: Window) -> Window:
    """The window as the model of a server without an opening of its tokens reads it."""
    return Window(np.array([256, *window.tokens], np.int32), window.first_scored + 1)


# What the user reads when something is wrong


def refused(name: str) -> str:
    with pytest.raises(LlmMiaError) as error:
        connect(name, patience=QUICK)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_addresses_that_are_wrong() -> None:
    with running() as server:
        port = server.url.rpartition(":")[2].removesuffix("/v1")
        assert "write" in refused(f"openai:tiny@http://127.0.0.1:{port}")
        assert refused(f"openai:tiny@http://127.0.0.1:{port}").endswith(f"write http://127.0.0.1:{port}/v1")
        assert "it usually ends in /v1" in refused(f"openai:tiny@http://127.0.0.1:{port}/api")
        assert "there is no model 'big'; it has tiny" in refused(f"openai:big@{server.url}")
        assert "does not speak TLS: write http://" in refused(f"openai:tiny@https://127.0.0.1:{port}/v1")
    assert "no server answers: start it, or correct the address" in refused(server.name)
    for name in ("openai:tiny", "openai:@http://127.0.0.1/v1", "openai:tiny@http://", "openai:tiny@http://a:b/v1"):
        with pytest.raises(UsageError, match="write openai:MODEL@URL"):
            ModelSpec(name)
    with pytest.raises(UsageError, match="holds a user, a password or a query") as error:
        ModelSpec("openai:tiny@http://user:geheim@127.0.0.1:1/v1?key=geheim")
    assert "geheim" not in str(error.value)


def test_a_key_comes_from_the_environment_and_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("LLM_MIA_API_KEY", raising=False)
    with running(Server(key="sk-right")) as server:
        assert "asks for a key: put it into the environment variable LLM_MIA_API_KEY" in refused(server.name)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
        assert "refuses the key in the environment variable OPENAI_API_KEY" in refused(server.name)
        assert "sk-wrong" not in refused(server.name)
        monkeypatch.setenv("LLM_MIA_API_KEY", "sk-right")
        backend = connect(server.name, patience=QUICK)
        assert "sk-right" not in to_json(backend.info)


def test_parameters_that_no_server_takes_are_refused() -> None:
    with pytest.raises(UsageError, match="`revision` is only for a model of the hub"):
        ModelSpec("openai:tiny@http://127.0.0.1:1/v1", revision="main")
    with pytest.raises(UsageError, match=r"`temperature` is 0\.5"):
        load_model("openai:tiny@http://127.0.0.1:1/v1", temperature=0.5)


# Failures that pass


def test_requests_are_sent_again_and_never_more_at_once_than_allowed() -> None:
    with running() as server:
        backend = connect(server.name, Budget(concurrency=3), patience=QUICK)
        server.statuses = [429, 503, 500]
        server.delay = 0.02
        server.most_under_way = 0
        for text, signals in zip(TEXTS, signals_of(backend, TEXTS), strict=True):
            np.testing.assert_allclose(signals.logprob, exact(text).logprob[1:], atol=1e-5)
        assert server.most_under_way == 3
        server.statuses, server.retry_after = [429], "0.4"
        start = time.monotonic()
        signals_of(backend, ["another text"])
        assert time.monotonic() - start >= 0.4
        server.statuses = [503] * 50
        with pytest.raises(ServerError, match=r"answers with status 503: not now \(3 attempts\)"):
            signals_of(backend, ["a third text"])


def test_a_limit_of_the_rate_lowers_how_many_requests_are_sent_at_once() -> None:
    texts = sentences(16, seed=3)
    with running() as server:
        backend = connect(server.name, Budget(concurrency=8), patience=QUICK)
        # 8 at once, then 4, then 2: more refusals of a request than the attempts that `QUICK` allows.
        server.statuses, server.delay = [429] * (8 + 4 + 2), 0.01
        assert len(signals_of(backend, texts[:8])) == 8
        server.most_under_way = 0
        signals_of(backend, texts[8:15])
        assert server.most_under_way == 1, "it is remembered"
        server.statuses = [429] * 50
        with pytest.raises(ServerError, match=r"limits the rate: .*`concurrency`, .* are kept, .* continues .* \(3 "):
            signals_of(backend, texts[15:])


def test_a_budget_stops_and_the_same_call_continues(tmp_path: Path) -> None:
    texts = sentences(30, seed=9)
    with running() as server:
        spent = Budget()
        connect(server.name, spent, patience=QUICK)
        spec = ModelSpec(server.name, budget=Budget(max_requests=spent.requests + 12, concurrency=2))
        kept = r"`max_requests` is \d+, and \d+ are used; all answers are kept, .* continues .* with a new budget$"
        with pytest.raises(BudgetError, match=kept):
            score_to_disk(texts, spec, attacks=["loss"], out=tmp_path / "run")
        server.requests.clear()
        with pytest.raises(BudgetError, match="`max_tokens` is"):
            score_to_disk(
                texts, ModelSpec(server.name, budget=Budget(max_tokens=spent.tokens + 500)), out=tmp_path / "other"
            )
        server.requests.clear()
        score_to_disk(texts, ModelSpec(server.name), attacks=["loss"], out=tmp_path / "run")
        passages = [body for body in server.requests if body["prompt"] in texts]
        assert len(passages) == 30 - 12, "what was paid for is not asked again"
        assert not list((tmp_path / "run").glob("answers/*"))
        whole = score(texts, model(), attacks=["loss"], out=tmp_path / "whole")
        np.testing.assert_allclose(
            read_scores(tmp_path / "run").column("loss"), [exact(text).logprob[1:].mean() for text in texts], atol=1e-5
        )
        assert len(whole) == 30


def test_another_model_behind_the_same_address_is_refused(tmp_path: Path) -> None:
    with running(Server(lie="noise")) as server:
        score_to_disk(TEXTS, ModelSpec(server.name), attacks=["loss"], out=tmp_path / "run")
        score_to_disk([*TEXTS], ModelSpec(server.name), attacks=["loss", "min_k"], out=tmp_path / "run")
        server.backend = model(seed=1)
        with pytest.raises(RunDirectoryError, match="belongs to another run"):
            score_to_disk(TEXTS, ModelSpec(server.name), attacks=["loss", "zlib"], out=tmp_path / "run")


def test_attacks_that_need_more_are_refused_by_name_before_any_passage_is_sent(tmp_path: Path) -> None:
    with running() as server:
        with pytest.raises(AttackError, match=r"attack 'min_k\+\+' cannot run: the target model gives no mean, std$"):
            score_to_disk(TEXTS, ModelSpec(server.name), attacks=["min_k++"], out=tmp_path / "run")
        assert not [body for body in server.requests if body["prompt"] in TEXTS]


def test_continuations_need_no_log_probabilities(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with running(Server(lie="generated only")) as server:
        done = score_to_disk(
            TEXTS[:3], ModelSpec(server.name), attacks=["samia"], supplies=Supplies(samples=2), out=run
        )
        assert done.attacks == ("samia",)
        with pytest.raises(
            AttackError, match=r"'loss' cannot run: the target model gives no logprob; model 'tiny' at .*"
        ):
            score_to_disk(TEXTS, ModelSpec(server.name), attacks=["loss"], out=tmp_path / "other")
        with pytest.raises(ModelError, match="log-probabilities of generated tokens only"):
            score_to_disk(TEXTS, ModelSpec(server.name), out=tmp_path / "other")


def test_continuations_are_asked_for_once(tmp_path: Path) -> None:
    with running() as server:
        backend = connect(server.name, patience=QUICK)
        backend.keep_answers(tmp_path / "answers.jsonl")
        settings = {"number": 3, "max_tokens": 4, "temperature": 1.0, "seed": 0}
        first = backend.sample(["The river", "Anna"], **settings)  # type: ignore[arg-type]
        assert [len(texts) for texts in first] == [3, 3]
        before = len(server.requests)
        assert backend.sample(["The river", "Anna"], **settings) == first  # type: ignore[arg-type]
        assert len(server.requests) == before
        assert len({body["seed"] for body in server.requests[-6:]}) == 6
        assert backend.sample(["The"], **{**settings, "temperature": 0.0})[0][0:2]  # type: ignore[arg-type]
        assert len(server.requests) == before + 1, "at temperature 0 all continuations are the same"


def test_commands_take_endpoints_and_estimate_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], write_jsonl: Callable[..., str]
) -> None:
    texts = write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(sentences(12, seed=7))])
    arguments = ["score", texts, "-a", "loss", "-o", str(tmp_path / "run"), "--price", "2"]
    with running() as server:
        assert main([*arguments, "-m", server.name, "--dry-run", "--json"]) == 0
        (planned,) = json.loads(capsys.readouterr().out)["passes"]
        assert planned["requests"] == 12
        spent = Budget()
        connect(server.name, spent)
        assert planned["probes"] == spent.requests + 1, "the last shows whether the model is still the same"
        assert main([*arguments, "-m", server.name, "--dry-run"]) == 0
        printed = capsys.readouterr()
        assert f"endpoints: {13 + spent.requests} requests, about" in printed.out
        assert "endpoints:" not in printed.err, "the estimate that is not measured is left out"
        assert planned["price"] == pytest.approx(2e-6 * planned["tokens"])
        assert sum(body["prompt"].startswith(("The river", "<s>")) for body in server.requests) < len(server.requests)
        assert main([*arguments, "-m", server.name, "--max-requests", str(13 + spent.requests)]) == 0
        assert "endpoints: 12 requests, about" in capsys.readouterr().err
        assert main([*arguments, "-m", server.name, "--max-requests", "3", "-a", "zlib"]) == 1
        refused = capsys.readouterr().err
        assert "the budget is spent: --max-requests is 3, and 3 are used; this is not enough to test" in refused
        assert main([*arguments, "-m", f"openai:other@{server.url}"]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["extract", texts, "-m", server.name, "-o", str(tmp_path / "extracted")]) == 1
    assert "give a model whose files are on this machine" in capsys.readouterr().err


def test_a_passage_that_no_token_spells_is_named(tmp_path: Path) -> None:
    class Odd(Server):
        def cut(self, text: str) -> list[bytes]:
            return super().cut(text.replace("odd", "even"))

    with running(Odd()) as server, pytest.raises(ModelError, match=r"passage '2'.*its tokens do not spell the text"):
        signals_of(connect(server.name, patience=QUICK), ["a", "b", "an odd text"])


@pytest.mark.slow
def test_a_killed_command_pays_only_for_what_was_under_way(tmp_path: Path, write_jsonl: Callable[..., str]) -> None:
    rows = [{"id": f"p{i}", "text": text} for i, text in enumerate(dict.fromkeys(sentences(60, seed=11)))]
    texts, passages = write_jsonl("in.jsonl", rows), {str(row["text"]) for row in rows}

    def sent(server: Server) -> list[str]:
        return [body["prompt"] for body in server.requests if body["prompt"] in passages]

    with running(Server(delay=0.02)) as server:
        command = [sys.executable, "-m", "llm_mia", "score", texts, "-a", "loss", "-o", str(tmp_path / "run")]
        command += ["-m", server.name, "--concurrency", "4"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(sent(server)) < len(passages) // 2:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        assert len(passages) <= len(sent(server)) <= len(passages) + 4, "at most what was under way is asked again"
    assert np.isfinite(read_scores(tmp_path / "run").column("loss")).all()
