"""Processes that make the same call: they share its passes, and none waits for a process that has died."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llm_mia import read_scores, write_signals
from llm_mia.cli import main
from llm_mia.signals import Limits
from llm_mia.store import read_run, read_signals

from .ranks_program import Ending
from .test_parts import rows
from .test_sharing import TEXTS

ROOT = Path(__file__).parent.parent


def together(out: Path, how: str = "well") -> list[str]:
    """What two processes print that compute the signals of `TEXTS`, of which one may end as *how* names it."""
    lines = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks_program", str(index), str(line.fileno()), str(out), how],
            cwd=ROOT,
            pass_fds=[line.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, line in enumerate(lines)
    ]
    printed = list[str]()
    try:
        for process in processes:
            output, errors = process.communicate(timeout=120)
            assert "Traceback" not in errors, errors
            printed += output.splitlines()
    finally:
        for process, line in zip(processes, lines, strict=True):
            process.kill()
            line.close()
    return sorted(printed)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> object:
    out = tmp_path_factory.mktemp("ranks") / "alone"
    write_signals(TEXTS, Ending("", 0), out=out, limits=Limits(block_passages=4))
    return rows(read_signals(out, "target"))


def test_two_processes_write_what_a_single_process_writes(whole: object, tmp_path: Path) -> None:
    assert together(tmp_path / "run") == ["0 led", "1 followed"]
    assert rows(read_signals(tmp_path / "run", "target")) == whole
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "run.json", "signals"]


def test_the_first_process_removes_the_signals_when_the_scores_are_written(tmp_path: Path) -> None:
    for _ in range(2):  # the second time all is finished
        assert together(tmp_path / "run", "none kept") == ["0 led", "1 followed"]
        assert read_run(tmp_path / "run").passes["target"].kept_fields == ()
        assert len(list(read_signals(tmp_path / "run", "target", ()).text_digests())) == len(TEXTS)
        assert len(read_scores(tmp_path / "run")) == len(TEXTS)


@pytest.mark.parametrize(
    ("how", "printed"),
    [
        ("killed 1", ["0 rank 1 of 2 has ended while it computed passages "]),
        pytest.param(
            "failing 1",
            ["0 rank 1 of 2: the card is out of memory", "1 the card is out of memory"],
            marks=pytest.mark.slow,
        ),
        pytest.param("interrupted 0", ["0 interrupted", "1 .*rank 0.* has ended"], marks=pytest.mark.slow),
        pytest.param("killed 0", ["1 rank 0 of 2 has ended"], marks=pytest.mark.slow),
    ],
)
def test_a_process_that_ends_stops_the_others_and_the_same_call_goes_on(
    how: str, printed: list[str], whole: object, tmp_path: Path
) -> None:
    lines = together(tmp_path / "run", how)
    assert len(lines) == len(printed)
    assert all(re.match(wanted, line) for line, wanted in zip(lines, printed, strict=True)), lines
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("signals/target/part-*")}
    assert together(tmp_path / "run") == ["0 led", "1 followed"]
    assert all((tmp_path / "run/signals/target" / name).read_bytes() == part for name, part in kept.items())
    assert rows(read_signals(tmp_path / "run", "target")) == whole


@pytest.mark.parametrize("rank", [0, 1])
def test_commands_that_are_not_computed_together_are_refused_in_a_line(
    rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", str(rank))
    assert main(["audit", "passages.jsonl", "--target", "model", "-o", "run"]) == 2
    audit = capsys.readouterr()
    assert main(["score", "-", "--target", "model", "-o", "run"]) == 2
    standard_input = capsys.readouterr()
    assert audit.out == standard_input.out == ""
    lines = [audit.err.splitlines(), standard_input.err.splitlines()]
    assert [len(each) for each in lines] == ([1, 1] if rank == 0 else [0, 0])
    if rank == 0:
        assert "then 'llm-mia audit' without it" in audit.err
        assert "cannot all read the standard input" in standard_input.err


def test_accelerate_that_starts_a_single_process_is_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("ACCELERATE_MIXED_PRECISION", "no"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    assert main(["score", "no-such-file.jsonl", "--target", "model", "-o", "run"]) == 1
    assert "accelerate started a single process" in capsys.readouterr().err


@pytest.mark.slow
def test_accelerate_starts_processes_whose_scores_are_those_of_one(tmp_path: Path, tiny: str) -> None:
    passages = tmp_path / "in.txt"
    passages.write_text("\n".join(TEXTS), encoding="utf-8")
    words = [str(passages), "--target", tiny, "-a", "loss", "-a", "lowercase", "-q", "-o"]
    options = ["--multi_gpu", "--num_machines", "1", "--num_processes", "2", "--mixed_precision", "no"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", *options, "--dynamo_backend", "no", "-m", "llm_mia"]
    done = subprocess.run(
        [*launch, "score", *words, str(tmp_path / "shared")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passages scored by") == 1, "the first process alone prints"
    assert main(["score", *words, str(tmp_path / "alone")]) == 0
    tables = [(tmp_path / run / "scores.parquet").read_bytes() for run in ("shared", "alone")]
    assert tables[0] == tables[1]
