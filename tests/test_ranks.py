"""Processes that make the same call: they share its passes, and none waits for a process that has died."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_mia import write_signals
from llm_mia.signals import Limits
from llm_mia.store import read_signals

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
            output, errors = process.communicate(timeout=60)
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


@pytest.mark.parametrize(
    ("how", "printed"),
    [
        ("killed 1", ["0 rank 1 of 2 has ended while it computed passages "]),
        ("failing 1", ["0 rank 1 of 2: the card is out of memory", "1 the card is out of memory"]),
        ("interrupted 0 1", ["0 interrupted", "1 interrupted"]),
        ("killed 0", ["1 rank 0 of 2 has ended"]),
    ],
)
def test_a_process_that_ends_stops_the_others_and_the_same_call_goes_on(
    how: str, printed: list[str], whole: object, tmp_path: Path
) -> None:
    start = time.monotonic()
    lines = together(tmp_path / "run", how)
    assert time.monotonic() - start < 40, "seconds of imports, on a busy machine, and no wait for what has died"
    assert len(lines) == len(printed)
    assert all(line.startswith(wanted) for line, wanted in zip(lines, printed, strict=True)), lines
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("signals/target/part-*")}
    assert together(tmp_path / "run") == ["0 led", "1 followed"]
    assert all((tmp_path / "run/signals/target" / name).read_bytes() == part for name, part in kept.items())
    assert rows(read_signals(tmp_path / "run", "target")) == whole
