"""What a person sees while a command runs: how far it is, how long it will take, and never silence."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_mia.cli.pace import Pace
from llm_mia.cli.progress import Lines, kept_words, noting_steps, progress_bars
from llm_mia.durations import duration
from llm_mia.signals import Step, report_activity

from .conftest import sentences

# The command line with the fake model behind it, which takes its time to load and to score.
DRIVER = """
import sys, time, types
import llm_mia.backends.checking
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main

class Slow(FakeBackend):
    def score(self, windows, report=None, *, prefix=None):
        time.sleep(0.12)
        return super().score(windows, report, prefix=prefix)

def load(name, **_):
    time.sleep(float(sys.argv[1]))
    return Slow(len(name))

llm_mia.backends.checking.check_model = lambda *_, **__: None
llm_mia.backends.loading.load_model = load
llm_mia.backends.ModelSpec.tokenizer = lambda _: types.SimpleNamespace(fingerprint=FakeBackend(0).info.tokenizer)
sys.exit(main(sys.argv[2:]))
"""


def at(share: float, name: str = "target", passages: int = 1000) -> Step:
    return Step(name, round(share * passages), round(share * 10_000), round(share * 40_000), passages, 40_000)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


# With a simulated clock


def test_the_time_left_of_work_at_a_steady_pace() -> None:
    """10,000 tokens in 400 seconds, reported in 100 steps: what is left is known from the first of them on."""
    pace = Pace()
    pace.add(0.0, at(0.0))
    assert pace.seconds_left(2.0, 40_000) is None, "nothing was computed yet"
    for step in range(1, 101):
        pace.add(4.0 * step, at(step / 100))
        assert pace.seconds_left(4.0 * step, 40_000) == pytest.approx(400 - 4.0 * step)
        assert pace.tokens_per_second(4.0 * step) == pytest.approx(25)


def test_what_an_earlier_run_left_does_not_count_as_fast() -> None:
    pace = Pace()
    for share in (0.0, 0.3, 0.6):
        pace.add(0.01 * share, at(share))  # read from disk
    pace.add(50.0, at(0.6))  # the model is loaded, and begins
    pace.add(60.0, at(0.7))
    assert pace.seconds_left(60.0, 40_000) == pytest.approx(30)


def test_a_pace_that_changes_is_known_two_minutes_later() -> None:
    pace = Pace()
    for second in range(0, 1000, 10):  # 40 bytes a second, then 4
        pace.add(second, Step("target", 0, 0, 40 * second if second < 500 else 18_000 + 4 * second, 10, 100_000))
    assert pace.seconds_left(990, 100_000) == pytest.approx((100_000 - 18_000 - 4 * 990) / 4, rel=0.02)


def lines_until(seconds: float, step: Callable[[float], Step | None], every: float = 0.5) -> list[tuple[float, str]]:
    """What `Lines` writes, each with its time, where *step* gives the step of a time."""
    clock, written = Clock(), list[tuple[float, str]]()
    lines = Lines(lambda line: written.append((clock.now - 100, line)), clock)
    while clock.now < 100 + seconds:
        current = step(clock.now - 100)
        if current is not None:
            lines(current)
        lines.tick()
        clock.now += every
    return written


def test_without_a_terminal_a_line_soon_and_then_a_line_a_minute() -> None:
    def step(now: float) -> Step | None:
        return at(min(now / 400, 1.0)) if now % 4 == 0 else None

    written = lines_until(500, step)
    times = [now for now, _ in written]
    assert times == [3.0, 63.0, 123.0, 183.0, 243.0, 303.0, 363.0, 400.0]
    assert written[0][1] == "target model: 0 % of 1,000 passages"
    assert written[2][1] == "target model: 30 % of 1,000 passages, 24 tokens/s, about 4 min 47 s left"
    assert written[-1][1] == "target model: 1,000 passages, 10,000 tokens"


def test_what_takes_no_time_needs_no_line_and_what_does_is_named_within_three_seconds() -> None:
    def step(now: float) -> Step | None:
        names = {0.0: "reading the passages", 1.0: "loading model m", 80.0: "deciding"}
        return Step(names[now], 0, 0, 0, 0, 0) if now in names else None

    assert lines_until(100, step) == [(4.0, "loading model m …"), (64.0, "loading model m …"), (83.0, "deciding …")]


def test_a_finished_pass_has_a_single_line() -> None:
    assert lines_until(60, lambda now: at(1.0)) == [(0.0, "target model: 1,000 passages, 10,000 tokens")]


def test_quiet_is_silent_and_still_knows_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with noting_steps() as steps, progress_bars(quiet=True) as progress:
        assert kept_words(steps).startswith("nothing new could be kept yet; ")
        report_activity(progress, "reading")
        for name, kept in (("target", 5000), ("reference", 1204), ("scores", 0)):
            progress(Step(name, kept, 0, 0, 5000, 1, kept))
    assert kept_words(steps) == (
        "kept: the finished pass target and 1,204 of 5,000 passages of the pass reference; the same command continues"
    )
    with noting_steps() as steps, progress_bars(quiet=True) as progress:
        for number in range(5):
            progress(Step(f"neighbour-{number:02d}", 7, 0, 0, 7, 1, 7 if number < 4 else 3))
    assert kept_words(steps).startswith("kept: 4 finished passes and 3 of 7 passages of the pass neighbour-04; ")
    assert capsys.readouterr() == ("", "")


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.4, 60, 3599, 3600, 90_000)] == [
        "1 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "1 d 1 h",
    ]  # fmt: skip


# For real


def score_command(seconds_of_loading: str, texts: str, folder: Path) -> list[str]:
    arguments = ["score", texts, "-m", "m", "-a", "loss", "-o", str(folder / "run")]
    return [sys.executable, "-c", DRIVER, seconds_of_loading, *arguments]


@pytest.mark.parametrize("width", [80, 50])
def test_bars_in_a_terminal_show_the_time_left(width: int, write_jsonl: Callable[..., str], tmp_path: Path) -> None:
    """Oracle: the bar is fed for real, by 20 calls of a model that takes 0.12 s for each."""
    texts = write_jsonl("in.jsonl", [{"text": f"{i} {text}"} for i, text in enumerate(sentences(220, seed=3))])
    leader, follower = pty.openpty()
    command = score_command("1.5", texts, tmp_path)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(width)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=environment)
    os.close(follower)
    shown, times = b"", [time.monotonic()]
    while select.select([leader], [], [], 30)[0]:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        shown += piece
        times.append(time.monotonic())
    os.close(leader)
    assert process.wait(30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "reading the passages" in text
    assert "loading model m" in text
    lefts = [int(left) for left in re.findall(r"target model .*?(\d+) s left", text)]
    assert len(set(lefts)) >= 2, "it is shown, and changes"
    assert lefts[-1] == min(lefts) <= 2
    assert "-:--" not in text
    assert re.search(r"target model .*100 % *.*finished", text)
    assert ("tokens/s" in text) == (width == 80)


def test_a_pipe_gets_lines(write_jsonl: Callable[..., str], tmp_path: Path) -> None:
    texts = write_jsonl("in.jsonl", [{"text": text} for text in sentences(40, seed=3)])
    command = score_command("4.5", texts, tmp_path)
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    tokens = sum(len(text.encode()) - 1 for text in sentences(40, seed=3))
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("preparing")]  # on a slow machine
    assert lines == [
        "loading model m …",
        *(f"{name}: 40 passages, {tokens:,} tokens" for name in ("target model", "scores")),
    ]
