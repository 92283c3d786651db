"""A run that is stopped at any instant, by any signal, continues with the same command and ends as if undisturbed."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.passages import read_passages
from llm_mia.scoring import score

from .conftest import pretend, sentences
from .forking import Forked, Program, forking, hear_interrupts

# The command line itself, with the fake model behind it, slowed down, and a part written for every four passages.
IMPORTS = """
import functools, resource, sys, time, types
import cattrs, huggingface_hub.hf_api, pyarrow.compute, pyarrow.parquet, pydantic.json_schema, rich.console
import llm_mia.auditing, llm_mia.backends.checking, llm_mia.report.html, llm_mia.scoring
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.signals import Limits
"""
PROGRAM = """
pause, limit, *arguments = sys.argv[1:]

class Slow(FakeBackend):
    def score(self, windows, report=None, *, prefix=None):
        print("scoring", flush=True)
        time.sleep(float(pause))
        return super().score(windows, report, prefix=prefix)

llm_mia.backends.checking.check_model = lambda *_, **__: None
llm_mia.backends.loading.load_model = lambda name, **_: Slow(len(name))
llm_mia.backends.ModelSpec.tokenizer = lambda _: types.SimpleNamespace(fingerprint=FakeBackend(0).info.tokenizer)
limits = Limits(block_passages=4, part_seconds=0.0)
llm_mia.scoring.score_to_disk = functools.partial(llm_mia.scoring.score_to_disk, limits=limits)
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.exit(main(arguments))
"""
PASSES = ("target", "lowered", "reference")
FIRST_PART = "signals/target/part-000000000-000000003.parquet"
NOTHING_KEPT = (
    "llm-mia: interrupted; nothing new could be kept yet; the same command starts again where this command started\n"
)


def command(passages: str, out: Path, pause: float = 0.0, limit: int = 0) -> list[str]:
    models = ["-m", "model", "-r", "another", "-a", "loss", "-a", "lowercase", "-a", "reference"]
    return [str(pause), str(limit), "score", passages, *models, "-q", "-o", str(out)]


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with forking(IMPORTS, PROGRAM) as runs:
        yield runs


def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=3000, check=False, preexec_fn=hear_interrupts
    )


def start(program: Program, arguments: Sequence[str]) -> Forked:
    """A run that has begun to score."""
    process = program.start(arguments)
    assert process.stdout.readline() in ("scoring\n", "")
    return process


def stop(process: subprocess.Popen[str] | Forked, how: signal.Signals) -> tuple[int | None, str]:
    """The exit code and what stands on stderr."""
    process.send_signal(how)
    _, errors = process.communicate()
    return process.returncode, errors


def kept_line(kept: dict[str, int]) -> str:
    """What the command says when it is stopped, where *kept* passages are on disk, of 160, by the name of the pass."""
    finished = [name for name in PASSES if kept[name] == 160]
    parts = [f"the finished pass{'es' if len(finished) > 1 else ''} {', '.join(finished)}"] if finished else []
    parts += [f"{kept[name]} of 160 passages of the pass {name}" for name in PASSES if 0 < kept[name] < 160]
    return f"llm-mia: interrupted; kept: {' and '.join(parts)}; the same command continues\n" if parts else NOTHING_KEPT


def scored_ids(out: Path, name: str) -> list[str]:
    parts = sorted((out / "signals" / name).glob("part-*.parquet"))
    return [name for part in parts for name in pq.read_table(part, columns=["id"]).column("id").to_pylist()]


def passages_on_disk(out: Path, name: str) -> int:
    """In parts, and in the block that was scored but not yet a part when the run was stopped; each has a window."""
    scored = scored_ids(out, name)
    blocks = [path for path in (out / "signals" / name).glob("unfinished-*") if f"p{int(path.stem[-9:])}" not in scored]
    return len(scored) + sum(int(pq.read_metadata(path).num_rows) for path in blocks)


def manifest(out: Path) -> Any:
    return {k: v for k, v in json.loads((out / "run.json").read_text()).items() if k != "wall_seconds"}


@pytest.fixture(scope="module")
def passages(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("input") / "in.jsonl"
    rows = [{"id": f"p{i}", "text": text} for i, text in enumerate(sentences(160, seed=7))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(program: Program, passages: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = program.run(command(passages, out))
    assert (done.returncode, done.stderr) == (0, "")
    return out


def assert_as_undisturbed(out: Path, undisturbed: Path) -> None:
    assert (out / "scores.parquet").read_bytes() == (undisturbed / "scores.parquet").read_bytes()
    assert manifest(out) == manifest(undisturbed)
    for name in PASSES:
        assert scored_ids(out, name) == [f"p{i}" for i in range(160)]
    assert not list(out.rglob(".writing-*"))


def test_stopped_at_twenty_instants(program: Program, passages: str, undisturbed: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    out = tmp_path / "out"
    stopped = 0
    for turn in range(20):
        process = start(program, command(passages, out, pause=0.04))
        time.sleep(rng.uniform(0.0, 0.15))
        how = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)[turn % 4]
        before = process.poll()
        code, errors = stop(process, how)
        if before is None and code != 0:
            stopped += 1
            kept = {name: passages_on_disk(out, name) for name in PASSES}
            assert (code, errors) == ((-how, "") if how == signal.SIGKILL else (128 + how, kept_line(kept)))
    assert stopped >= 12, "too few runs were stopped half-way for this to be a test"
    done = program.run(command(passages, out))
    assert (done.returncode, done.stderr) == (0, "")
    assert_as_undisturbed(out, undisturbed)


def test_at_most_one_part_is_redone(program: Program, passages: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(program, command(passages, out, pause=0.05))
    while len(scored_ids(out, "target")) < 12:
        assert process.poll() is None
        time.sleep(0.02)
    stop(process, signal.SIGKILL)
    kept = sum(len(scored_ids(out, name)) for name in PASSES)
    assert 0 < kept < 480
    done = program.run(command(passages, out))
    # One line a call of the model, which has four passages.
    assert done.stdout.count("scoring\n") == (480 - kept) / 4


def test_an_interrupt_is_one_line_at_the_real_command(
    tiny: str, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    texts = write_jsonl("in.jsonl", [{"text": f"{i} {text}"} for i, text in enumerate(sentences(20_000, seed=3))])
    llm_mia = Path(sys.executable).with_name("llm-mia")
    out = tmp_path / "out"
    # Nothing is to be compiled before the run begins.
    command = [str(llm_mia), "score", texts, "-m", tiny, "-a", "loss", "-q", "-o", str(out)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
        env={**os.environ, "TORCHDYNAMO_DISABLE": "1"},
    )
    while not (out / "run.json").exists():
        assert process.poll() is None
        time.sleep(0.02)
    code, errors = stop(process, signal.SIGINT)
    assert (code, errors.count("\n")) == (130, 1)
    assert re.fullmatch(
        r"llm-mia: interrupted; (nothing new could be kept|kept: [\d,]+ of 20,000 passages).*\n", errors
    )
    assert not (out / "scores.parquet").exists()


def test_an_interrupt_before_anything_is_scored_leaves_nothing(passages: str, tmp_path: Path) -> None:
    script = "import llm_mia.backends.checking, sys, os, signal\nfrom llm_mia.cli import main\n"
    script += "llm_mia.backends.checking.check_model = lambda *_, **__: None\n"
    script += "llm_mia.backends.loading.load_model = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
    script += "sys.exit(main(sys.argv[1:]))"
    done = run([sys.executable, "-c", script, "score", passages, "-m", "m", "-q", "-o", str(tmp_path / "a" / "b")])
    assert (done.returncode, done.stderr) == (130, NOTHING_KEPT)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_library_replaces_by_an_error_of_its_own(
    number: int, passages: str, tmp_path: Path
) -> None:
    """numpy does so where it reads the format of a buffer, and it is called by the classifiers of the checks."""
    script = "import llm_mia.backends.checking, sys, os, signal\nfrom llm_mia.cli import main\n"
    script += "llm_mia.backends.checking.check_model = lambda *_, **__: None\n"
    script += f"def load(*_, **__):\n    try:\n        os.kill(os.getpid(), {int(number)})\n"
    script += "    except KeyboardInterrupt:\n        raise ValueError('not a valid format') from None\n"
    script += "llm_mia.backends.loading.load_model = load\nsys.exit(main(sys.argv[1:]))"
    done = run([sys.executable, "-c", script, "score", passages, "-m", "m", "-q", "-o", str(tmp_path / "a")])
    assert (done.returncode, done.stderr) == (128 + number, NOTHING_KEPT)


def test_one_run_at_a_time(
    program: Program,
    passages: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch)
    out = tmp_path / "out"
    process = start(program, command(passages, out, pause=0.2))
    try:
        assert main(["score", passages, "-m", "model", "-q", "-o", str(out)]) == 1
        assert (
            capsys.readouterr().err
            == f"llm-mia: {out}: another run is writing here; wait for it or name another folder\n"
        )
    finally:
        stop(process, signal.SIGTERM)
    assert (out / "run.json").exists()
    assert program.run(command(passages, out)).returncode == 0


@pytest.mark.parametrize("what", ["run.json", "part", "scores"])
def test_disk_full(what: str, program: Program, passages: str, undisturbed: Path, tmp_path: Path) -> None:
    sizes = {
        "run.json": 100,
        "part": (undisturbed / FIRST_PART).stat().st_size - 1,
        "scores": (undisturbed / "scores.parquet").stat().st_size - 1,
    }
    out = tmp_path / "out"
    full = program.run(command(passages, out, limit=sizes[what]))
    file = {
        "run.json": "run.json",
        "part": "signals/target/part-000000000-000000003.parquet",
        "scores": "scores.parquet",
    }[what]
    assert full.returncode == 1
    assert full.stderr == (
        f"llm-mia: {out / file}: cannot be written (File too large); what was written before is kept; "
        "free space or fix the folder and run the same command\n"
    )
    assert not list(out.rglob(".writing-*"))
    assert not (out / file).exists()
    assert out.exists() == (what != "run.json")
    done = program.run(command(passages, out))
    assert (done.returncode, done.stderr) == (0, "")
    assert_as_undisturbed(out, undisturbed)
    assert done.stdout.count("scoring") == (0 if what == "scores" else 120)


def test_stdin_can_be_continued_too(passages: str, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    elsewhere = {**os.environ, "TMPDIR": str(tmp_path)}
    for pause in (0.02, 0.0):
        with Path(passages).open() as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", IMPORTS + PROGRAM, *command("-", out, pause)],
                stdin=stream,
                stdout=subprocess.PIPE,
                text=True,
                env=elsewhere,
            )
            assert process.stdout is not None
            if pause:
                process.stdout.readline()
                time.sleep(0.2)
                process.kill()
            process.communicate(timeout=3000)
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "nothing of standard input, though one was killed"
    assert (out / "scores.parquet").read_bytes() == (undisturbed / "scores.parquet").read_bytes()


def test_two_models_are_never_in_memory_together(
    tmp_path: Path, write_jsonl: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[FakeBackend]] = []

    def load(name: str, **_: object) -> FakeBackend:
        assert not any(ref() for ref in alive), "the first model is still held"
        backend = FakeBackend(len(name))
        alive.append(weakref.ref(backend))
        return backend

    pretend(monkeypatch)
    monkeypatch.setattr("llm_mia.backends.loading.load_model", load)
    score(read_passages(write_jsonl("p.jsonl", [{"text": "some text"}])), "m", "ref", out=tmp_path / "run")
    assert len(alive) == 2
