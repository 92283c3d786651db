"""The policy of a guard as a file, its secret, and the command."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import llm_mia.guard
from llm_mia.cli import main
from llm_mia.errors import MissingExtraError, UsageError
from llm_mia.guard import (
    SECRET_VARIABLE,
    KeptPrompt,
    LogprobRules,
    LogRules,
    Policy,
    RequestRules,
    Rule,
    Secret,
    Served,
    Upstream,
    UpstreamRules,
    policy_text,
    read_policy,
    serve_guard,
)

from .model_servers import ModelServer, plain, served


@pytest.fixture(autouse=True)
def _no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


def test_the_printed_policy_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guard", "--print-policy"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "guard.toml").write_text(printed, "utf-8")
    assert read_policy(tmp_path / "guard.toml") == Policy()
    # What is commented out because it has no default is possible, too.
    (tmp_path / "all.toml").write_text(re.sub(r"^# (\w+ = \d+)$", r"\1", printed, flags=re.MULTILINE), "utf-8")
    assert main(["guard", "--print-policy", "--policy", str(tmp_path / "all.toml")]) == 0
    assert not re.search(r"^# \w+ =", capsys.readouterr().out, re.MULTILINE)
    assert max(map(len, printed.splitlines())) <= 100


def test_a_policy_survives_its_file(tmp_path: Path) -> None:
    policy = Policy(
        LogprobRules(prompt=Rule.REMOVE, digits=1, noise=0.5, clients=("key-1", "key-2")),
        RequestRules(paths=('/with "quotes"',), seconds=2),
        log=LogRules(KeptPrompt.DROP),
    )
    (tmp_path / "guard.toml").write_text(policy_text(policy), "utf-8")
    assert read_policy(tmp_path / "guard.toml") == policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[logprob]", "the section 'logprob', which does not exist; did you mean 'logprobs'?"),
        ("[zzz]", "there are logprobs, requests, clients, limits, log, upstream"),
        ("logprobs = 1", r"'logprobs' is no section: write \[logprobs\] on a line of its own"),
        ("[logprobs]\ndigit = 1", r"\[logprobs\] has the key 'digit', which does not exist; did you mean 'digits'"),
        ('[logprobs]\nprompt = "hide"', r'\[logprobs\] prompt is "hide": give "pass", "remove" or "deny"'),
        ("[logprobs]\nprompt = false", 'prompt is false: give "pass", "remove" or "deny"'),
        ("[logprobs]\ntop = 2.5", r"\[logprobs\] top is 2.5: give a whole number"),
        ("[logprobs]\ntop = true", r"\[logprobs\] top is true: give a whole number"),
        ("[logprobs]\ntop = -1", r"\[logprobs\] top is -1: it must be at least 0"),
        ("[logprobs]\nnoise = nan", r"\[logprobs\] noise is nan: it must be at least 0 and at most 100"),
        ('[logprobs]\nclients = "all"', r"clients is \"all\": give a list of texts"),
        ("[limits]\nrequests_per_minute = 0", "requests_per_minute is 0: it must be at least 1"),
        ("[upstream]\nseconds = " + "9" * 400, "seconds is too large a number: give a smaller"),
        ("[logprobs", "is no TOML"),
        ("\x00", "is no TOML"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_read_starts_nothing(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, log = tmp_path / "guard.toml", tmp_path / "queries.jsonl"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=message):
        read_policy(file)
    typed = ["guard", "--upstream", "http://127.0.0.1:9/v1", "--policy", str(file), "--log", str(log)]
    assert main([*typed, "--secret", str(tmp_path / "secret")]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == [file]


def test_a_policy_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guard", "--print-policy", "--policy", str(tmp_path / "missing.toml")]) == 2
    assert "cannot be read (No such file or directory): name a TOML file as --policy" in capsys.readouterr().err
    assert main(["guard"]) == 2
    assert "name the model server as --upstream" in capsys.readouterr().err


def test_a_secret_is_written_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    first = Secret.read(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert Secret.read(file).sketch_key == first.sketch_key
    assert first.key("client") != first.sketch_key
    assert file.read_text("utf-8").strip() not in repr(first)
    file.chmod(0o640)
    with pytest.raises(UsageError, match="others may read this secret: run chmod 600"):
        Secret.read(file)
    file.chmod(0o600)
    file.write_text("short", "utf-8")
    with pytest.raises(UsageError, match="fewer than 16 characters"):
        Secret.read(file)
    monkeypatch.setenv(SECRET_VARIABLE, "short too")
    with pytest.raises(UsageError, match="fewer than 16 characters"):
        Secret.read(file)
    monkeypatch.setenv(SECRET_VARIABLE, "a secret of the environment")
    assert Secret.read(tmp_path / "none").sketch_key != first.sketch_key
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://a/v1", "http://", "http://a/v1?x=1", "http://user:word@a/v1", "file:///etc"]
)
def test_an_upstream_must_be_an_address(url: str) -> None:
    with pytest.raises(UsageError, match="`upstream`") as raised:
        Upstream(url, UpstreamRules())
    assert "word" not in str(raised.value).replace("password", "")


def test_what_cannot_be_listened_on_or_written(tmp_path: Path) -> None:
    there = "http://127.0.0.1:9/v1"
    in_use = r"cannot listen on `host` 127\.0\.0\.1, `port` \d+ \(Address already"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match=in_use):
        serve_guard(there, Policy(), secret=Secret(b"s"), port=taken.getsockname()[1])
    with pytest.raises(UsageError, match="cannot listen on `host` no such host"):
        serve_guard(there, Policy(), secret=Secret(b"s"), host="no such host")
    with pytest.raises(UsageError, match=r"cannot be written .*: name another file as `log`"):
        serve_guard(there, Policy(), secret=Secret(b"s"), port=0, log=tmp_path / "none" / "log")


def test_a_missing_extra_names_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.endswith("guard._app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'llm-mia[guard]'")):
        _ = llm_mia.guard.Guard
    with pytest.raises(AttributeError, match="no attribute 'Gard'"):
        _ = llm_mia.guard.Gard


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with served(plain(ModelServer())) as upstream:
        process = start(tmp_path, upstream)
        try:
            address = listening(process)
            asked: dict[str, Any] = {"model": "m", "prompt": "The sea", "logprobs": 5, "user": "u"}
            for _ in range(2):
                headers = {"authorization": "Bearer a secret key"}
                answer = httpx.post(f"{address}/completions", json=asked, headers=headers, trust_env=False)
                assert answer.status_code == 200
            assert httpx.get(f"{address}/elsewhere", trust_env=False).status_code == 404
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == ["3 requests, by HTTP status: 2 × 200, 1 × 404", "queries.jsonl: 3 lines written"]
    log = (tmp_path / "queries.jsonl").read_text("utf-8")
    assert "The sea" not in log
    assert "secret" not in log
    assert "127.0.0.1" not in log
    assert log.count('"sketch":') == 2
    assert (tmp_path / "queries.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_guard_names_what_is_in_force_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(*_: Any, started: Callable[[str], None], **__: Any) -> Served:
        started("http://127.0.0.1:1/v1")
        return Served({}, 0, 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(llm_mia.guard, "serve_guard", serve)
    Secret.read("guard.secret")
    assert main(["guard", "--upstream", "http://127.0.0.1:9/v1"]) == 0
    by_default = "default policy (prompt deny, top 5), no log (--log names a file), secret guard.secret\n"
    assert capsys.readouterr().err.endswith(by_default)
    monkeypatch.setenv(SECRET_VARIABLE, "a secret of the environment")
    assert main(["guard", "--upstream", "http://127.0.0.1:9/v1"]) == 0
    assert capsys.readouterr().err.endswith(f"no log (--log names a file), secret from {SECRET_VARIABLE}\n")


def start(folder: Path, upstream: str) -> subprocess.Popen[str]:
    (folder / "guard.toml").write_text("[logprobs]\ndigits = 1\n", "utf-8")
    typed = ["guard", "--upstream", upstream, "--policy", "guard.toml", "--log", "queries.jsonl", "--port", "0"]
    return subprocess.Popen(
        [sys.executable, "-m", "llm_mia", *typed],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(llm_mia.__file__).parents[1])},
    )


def listening(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    match = re.match(r"guard: (http://\S+) in front of http://\S+; interrupt it to stop$", line)
    assert match, line
    in_force = "policy guard.toml (prompt deny, top 5), log queries.jsonl, secret guard.secret (new)\n"
    assert process.stderr.readline() == in_force
    return match[1]
