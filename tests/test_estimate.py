"""How long a call will take is known before it runs, and finding it out writes nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from llm_mia import audit, extract, score, write_signals
from llm_mia.backends import Report, ngram
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.cli.dry_run import only_estimating
from llm_mia.cli.forecast import Forecast
from llm_mia.cli.parameters import running
from llm_mia.cli.progress import Lines
from llm_mia.errors import CalibrationError, LlmMiaError, PassageError
from llm_mia.perplexities import write_perplexities
from llm_mia.records import IntArray, TokenSignals, Window
from llm_mia.signals import Estimate, Estimated, PassEstimate, PassWork, Step, estimate
from llm_mia.store import read_run, read_signals

from .conftest import pretend, sentences
from .test_schemas import Reader

TEXTS = [f"{number} {text}" for number, text in enumerate(sentences(240, seed=5))]


class Slow(FakeBackend):
    """Takes its time for each token, and longer for its first batch."""

    def __init__(self, seed: int, seconds_per_token: float) -> None:
        super().__init__(seed)
        self.seconds_per_token, self.batches = seconds_per_token, 0

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        time.sleep(self.seconds_per_token * sum(len(window.tokens) for window in windows))
        time.sleep(0.0 if self.batches else 0.05)
        self.batches += 1
        return super().score(windows, report, prefix=prefix)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def tokens(run: Path, name: str = "target") -> int:
    return sum(len(row.signals) for row in read_signals(run, name))


def test_the_time_and_the_tokens_are_those_of_the_run(tmp_path: Path) -> None:
    """Models that sleep, so most of the time does not depend on the machine."""
    texts = TEXTS[:120]
    arguments: dict[str, Any] = {"attacks": ["loss", "reference"], "out": tmp_path / "run"}
    expected = estimate(score, texts, Slow(0, 1e-4), Slow(1, 2e-5), **arguments)
    assert not files(tmp_path)
    start = time.perf_counter()
    score(texts, Slow(0, 1e-4), Slow(1, 2e-5), **arguments)
    assert time.perf_counter() - start == pytest.approx(expected.seconds, rel=0.5)
    target, reference = expected.passes
    assert (target.name, reference.name) == ("target", "reference")
    assert target.tokens == reference.tokens == tokens(tmp_path / "run")
    assert target.seconds > 2.5 * reference.seconds, "each model has its pace"
    assert expected.attacks == ("loss", "reference")
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("run/signals/*/part-*"))
    assert expected.bytes_on_disk == pytest.approx(on_disk, rel=0.25)


def test_stored_signals_and_copies_are_not_computed_again(tmp_path: Path) -> None:
    write_signals(TEXTS, FakeBackend(0), out=tmp_path / "run")
    run = tmp_path / "run"
    before = {path: path.read_bytes() for path in files(run) if path.is_file()}
    done = estimate(score, TEXTS, FakeBackend(0), attacks=["loss"], out=run)
    assert done.passes == ()
    (only,) = estimate(score, TEXTS, FakeBackend(0), FakeBackend(1), attacks=["loss"], out=run).passes
    assert (only.name, only.passages) == ("reference", 240)
    assert {path: path.read_bytes() for path in files(run) if path.is_file()} == before
    (twice,) = estimate(write_signals, [*TEXTS, *TEXTS], FakeBackend(0), out=tmp_path / "new").passes
    assert twice.passages == 240
    assert twice.tokens == pytest.approx(tokens(run), rel=0.01)


def audit_arguments(tmp_path: Path, **changes: object) -> dict[str, Any]:
    sets = {"nonmembers": TEXTS[100:200], "members": TEXTS[200:], "target": FakeBackend(0), "reference": FakeBackend(1)}
    return {**sets, "stand_in": "none", "out": tmp_path / "run", "history": tmp_path / "history", **changes}


def test_an_audit_is_refused_or_estimated_without_a_trace(tmp_path: Path) -> None:
    def estimated(**changes: object) -> Estimate:
        return estimate(audit, TEXTS[:100], **audit_arguments(tmp_path, **changes))

    sealed = [f"sealed {text}" for text in TEXTS[:40]]
    plain, with_control = estimated(), estimated(control=sealed)
    assert [each.passages for each in plain.passes] == [240, 240]
    assert plain.loading.keys() == {"target", "reference"}
    assert 0 < sum(plain.loading.values()) < plain.seconds
    assert [each.passages for each in with_control.passes] == [280, 280]
    with pytest.raises(CalibrationError, match="at least 99 are needed"):
        estimated(fpr=0.01, nonmembers=TEXTS[100:150])
    with pytest.raises(PassageError, match="remove one of the two"):
        estimated(members=[*TEXTS[200:], TEXTS[150]])
    assert not files(tmp_path)


def test_every_call_with_a_model_is_estimated(tmp_path: Path) -> None:
    of_extract = estimate(extract, TEXTS, Reader(0), out=tmp_path / "run")
    of_perplexities = estimate(
        write_perplexities, TEXTS, FakeBackend(0), FakeBackend(1), out=tmp_path / "perplexity.csv"
    )
    assert [each.name for each in of_extract.passes] == ["target"]
    assert [each.name for each in of_perplexities.passes] == ["target", "reference"]
    assert not files(tmp_path)
    with pytest.raises(TypeError, match="runs no pass"):
        estimate(sentences, 3)


# The command line


def test_dry_run_prints_the_plan(
    write_jsonl: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    texts, run = write_jsonl("in.jsonl", [{"text": text} for text in TEXTS]), tmp_path / "run"
    command = ["score", texts, "-m", "m", "-a", "loss", "-o", str(run)]
    assert main([*command, "--dry-run"]) == 0
    first, of_target, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("240 passages, about ")
    assert re.search(r" tokens, 1 pass: about \d+ s$", first)
    assert of_target.startswith("  target  240 passages, ")
    assert rest == ["  scores by loss", "Measured on the first batches of each pass; nothing was written."]
    assert not run.exists()
    assert main([*command, "--dry-run", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    assert printed["passes"][0]["tokens"] == tokens(run)
    capsys.readouterr()
    assert main([*command, "--dry-run"]) == 0
    assert "240 passages: nothing to compute by a model" in capsys.readouterr().out
    assert main(["perplexity", texts, "-m", "m", "-o", str(tmp_path / "p.csv"), "--dry-run"]) == 0
    assert not list(tmp_path.glob("p.csv*"))
    assert len(read_run(run).passes) == 1


@pytest.mark.parametrize(
    ("model", "seconds", "shown"), [("small", 12.0, True), ("small", 3.0, False), (ngram.NAME, 12.0, False)]
)
def test_dry_run_says_where_the_stand_in_takes_most_of_the_time(
    model: str, seconds: float, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    passes = [PassEstimate("target", "target", "m", 50, 900, 4.0, 100)]
    passes.append(PassEstimate("stand-in", "stand-in", model, 50, 900, seconds, 100))
    expected = Estimate(50, 8.0 + seconds, tuple(passes), (), loading={"target": 1.0, "stand-in": 2.0})
    assert expected.share_of("stand-in") == pytest.approx((2 + seconds) / (8 + seconds))
    with running({"stand_in": "--stand-in"}), pytest.raises(typer.Exit), only_estimating(True):
        raise Estimated(expected)
    line = "  stand-in: 70 % of the time; --stand-in ngram is faster, and notices less"
    assert (line in capsys.readouterr().out.splitlines()) == shown


def test_dry_run_has_the_exit_code_of_a_refusal(
    write_jsonl: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    few = write_jsonl("few.jsonl", [{"text": text} for text in TEXTS[:10]])
    candidates = write_jsonl("in.jsonl", [{"text": text} for text in TEXTS[20:60]])
    command = ["audit", candidates, "--nonmembers", few, "-m", "m", "-o", str(tmp_path / "run")]
    codes, messages = set(), set()
    for options in ([], ["--dry-run"]):
        codes.add(main([*command, *options]))
        messages.add(capsys.readouterr().err.splitlines()[-1])
    assert codes == {1}
    assert len(messages) == 1
    assert not (tmp_path / "run").exists()


# With a simulated clock

PLAN = (PassWork("target", "target", 1000, 100_000), PassWork("reference", "reference", 1000, 100_000))


def steps(name: str, seconds: float, start: float, batches: int = 20) -> list[tuple[float, Step]]:
    """A pass that takes *seconds* from the time *start* on."""
    shares = [at / batches for at in range(batches + 1)]
    return [
        (
            start + seconds * share,
            Step(name, 1000 * (share == 1), round(25_000 * share), round(100_000 * share), 1000, 100_000),
        )
        for share in shares
    ]


def test_the_whole_is_forecast_from_the_first_batches_with_the_loading_of_each_model() -> None:
    forecast = Forecast()
    forecast.add(0.0, Step("planning the passes", 0, 0, 0, 0, 0, work=PLAN))
    of_target = steps("target", 40, start=6.0)
    lines = []
    for now, step in of_target:
        forecast.add(now, step)
        lines.append(forecast.line(now))
    assert lines[:3] == [None, None, None], "the first batch does not count, and two more are needed"
    # 6 s of loading and 40 s of a pass, twice
    whole = "1,000 passages, about 25,000 tokens, 2 passes: about 1 min 32 s (measured on the first batches)"
    assert set(lines[3:]) == {whole}
    assert forecast.seconds_left() == pytest.approx(46)
    for now, step in steps("reference", 10, start=50.0)[:11]:
        forecast.add(now, step)
    assert forecast.seconds_left() == pytest.approx(5), "corrected when the model has begun"


def test_what_is_stored_took_no_time_and_what_is_short_needs_no_line() -> None:
    forecast, half = Forecast(), PassWork("target", "target", 500, 50_000)
    forecast.add(0.0, Step("planning the passes", 0, 0, 0, 0, 0, work=(half,)))
    for now, step in steps("target", 40, start=-20.0)[10:16]:
        forecast.add(now, step)
    assert forecast.seconds_left() == pytest.approx(10)
    short = Forecast()
    short.add(0.0, Step("planning the passes", 0, 0, 0, 0, 0, work=PLAN[:1]))
    for now, step in steps("target", 4, start=0.5):
        short.add(now, step)
        assert short.line(now) is None


def test_a_model_that_takes_no_time_and_passes_that_a_model_rewrites() -> None:
    work = (
        PLAN[0],
        PassWork("stand-in", "stand-in", 1000, 100_000, cost=0.0, loads=False),
        PassWork("neighbour-00", "target", 1000, 100_000, cost=2.0),
    )
    forecast = Forecast()
    forecast.add(0.0, Step("planning the passes", 0, 0, 0, 0, 0, work=work))
    for now, step in steps("target", 40, start=0.0):
        forecast.add(now, step)
    assert forecast.seconds_left() == pytest.approx(80)


def test_the_line_comes_once_before_the_passes_are_finished() -> None:
    written: list[str] = []
    clock = {"now": 0.0}
    lines = Lines(written.append, lambda: clock["now"])
    lines(Step("planning the passes", 0, 0, 0, 0, 0, work=PLAN))
    for name, start in (("target", 1.0), ("reference", 45.0)):
        for now, step in steps(name, 40, start):
            clock["now"] = now
            lines(step)
            lines.tick()
    (line,) = [line for line in written if "measured" in line]
    assert line.endswith("2 passes: about 1 min 22 s (measured on the first batches)")
    assert written.index(line) < 3


def test_errors_of_a_dry_run_are_those_of_the_library() -> None:
    with pytest.raises(LlmMiaError):
        estimate(write_signals, "no-such-file.jsonl", FakeBackend(0), out="run")
