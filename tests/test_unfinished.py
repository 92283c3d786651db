"""A block that is stopped half-way keeps its finished windows, and ends with the same bytes as if undisturbed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from llm_mia import score
from llm_mia.backends import Backend, Report, load_model
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages, read_passages
from llm_mia.records import IntArray, TokenSignals, Window
from llm_mia.signals import (
    Inputs,
    Limits,
    PassProgress,
    PassSetup,
    Step,
    Supplies,
    score_positions,
    window_rule,
)
from llm_mia.store import SignalsFolder

from .conftest import sentences
from .forking import Program, forking

Source = Callable[[Sequence[str]], Passages]
TEXTS = [f"{i} {text}" for i, text in enumerate(sentences(60, seed=5))]
OFTEN = Limits(part_seconds=0.0)


@pytest.fixture
def source(write_jsonl: Callable[..., str]) -> Source:
    return lambda texts: read_passages(
        write_jsonl("in.jsonl", [{"id": str(i), "text": t} for i, t in enumerate(texts)])
    )


class Stopped(FakeBackend):
    """Computes few tokens at once, notes its windows, and is stopped by Ctrl-C, or fails, at a call."""

    def __init__(self, seed: int = 0, stop: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> None:
        super().__init__(seed)
        self.tokens_per_batch = 300
        self.batches: list[list[bytes]] = []
        self._stop, self._error, self.stopped_at = stop, error, 0.0

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        if len(self.batches) == self._stop:
            self.stopped_at = time.monotonic()
            raise self._error
        self.batches.append([window.tokens.tobytes() for window in windows])
        return super().score(windows, report, prefix=prefix)


def unfinished(out: Path) -> list[str]:
    return [path.name for path in out.rglob("unfinished-*")]


@pytest.mark.parametrize("limits", [OFTEN, Limits()], ids=["written often", "written when it is stopped"])
def test_no_batch_is_computed_twice(limits: Limits, source: Source, tmp_path: Path) -> None:
    whole = Stopped()
    score(source(TEXTS), whole, attacks=["loss"], out=tmp_path / "whole")
    assert len(whole.batches) > 20
    assert max(sum(len(window) // 4 for window in batch) for batch in whole.batches) <= 300
    out, batches = tmp_path / "out", list[list[bytes]]()
    for _ in range(50):
        stopped = Stopped(stop=4)
        try:
            score(source(TEXTS), stopped, attacks=["loss"], out=out, limits=limits)
        except KeyboardInterrupt:
            assert unfinished(out) == ["unfinished-000000000.parquet"]
        batches += stopped.batches
        if len(stopped.batches) < 4:
            break
    assert batches == whole.batches
    assert (out / "scores.parquet").read_bytes() == (tmp_path / "whole/scores.parquet").read_bytes()
    assert not unfinished(out)


def test_what_is_kept_is_reported(source: Source, tmp_path: Path) -> None:
    """Oracle: the passages whose only window is in a finished batch."""
    steps: list[Step] = []
    stopped = Stopped(stop=9)
    with pytest.raises(KeyboardInterrupt):
        score(source(TEXTS), stopped, attacks=["loss"], out=tmp_path / "run", progress=steps.append)
    assert steps[-1].kept == sum(map(len, stopped.batches)) > 9
    assert steps[-1].total_passages == 60


def test_a_model_that_fails_loses_what_was_not_yet_written_and_no_more(source: Source, tmp_path: Path) -> None:
    stopped, again = Stopped(stop=9, error=ZeroDivisionError), Stopped()
    with pytest.raises(ZeroDivisionError):
        score(source(TEXTS), stopped, attacks=["loss"], out=tmp_path / "run", limits=OFTEN)
    score(source(TEXTS), again, attacks=["loss"], out=tmp_path / "run")
    whole = Stopped()
    score(source(TEXTS), whole, attacks=["loss"], out=tmp_path / "whole")
    assert again.batches == whole.batches[9:]


@pytest.mark.parametrize("harm", ["truncated", "of another pass", "of another text"])
def test_what_was_kept_is_used_only_where_it_is_of_the_same_windows(harm: str, source: Source, tmp_path: Path) -> None:
    out, texts = tmp_path / "run", list(TEXTS)
    with pytest.raises(KeyboardInterrupt):
        score(source(texts), Stopped(stop=9), attacks=["loss"], out=out)
    (kept,) = out.rglob("unfinished-*")
    if harm == "truncated":
        kept.write_bytes(kept.read_bytes()[:-200])
    elif harm == "of another pass":
        with pytest.raises(KeyboardInterrupt):
            score(source(texts), Stopped(seed=3, stop=9), attacks=["loss"], out=tmp_path / "another")
        (other,) = (tmp_path / "another").rglob("unfinished-*")
        kept.write_bytes(other.read_bytes())
    else:
        texts[0] = max(texts, key=len) + " Another end."
    again = Stopped()
    score(source(texts), again, attacks=["loss"], out=out)
    score(source(texts), Stopped(), attacks=["loss"], out=tmp_path / "fresh")
    if harm != "of another text":
        assert len(again.batches) > 20, "all are computed"
    assert (out / "scores.parquet").read_bytes() == (tmp_path / "fresh/scores.parquet").read_bytes()


def test_long_passages_prefixes_rewrites_and_repeated_texts(source: Source, tmp_path: Path) -> None:
    """Stopped after every third batch of every pass: recall's shots, lower case, neighbours, windows that overlap."""
    texts = [*TEXTS[:20], " ".join(TEXTS[20:40]), *TEXTS[:5], TEXTS[21].lower()]
    (tmp_path / "shots.jsonl").write_text('{"text": "A shot about geese."}\n')
    supplies = Supplies(shots=tmp_path / "shots.jsonl", neighbours=2)

    def run(out: Path, stop: int | None) -> Stopped:
        target = Stopped(stop=stop)
        attacks = ["loss", "recall", "lowercase", "neighbour"]
        try:
            score(source(texts), target, attacks=attacks, supplies=supplies, out=out, window_tokens=200)
        except KeyboardInterrupt:
            return target
        return Stopped()

    run(tmp_path / "whole", None)
    stops = 0
    while run(tmp_path / "run", 3).batches:
        stops += 1
        assert stops < 100
    assert stops > 10
    assert (tmp_path / "run/scores.parquet").read_bytes() == (tmp_path / "whole/scores.parquet").read_bytes()
    assert not unfinished(tmp_path / "run")


def test_an_interrupt_does_not_wait_until_a_block_is_rewritten(source: Source, tmp_path: Path) -> None:
    """A block of 640 texts takes 2 s to rewrite; the next two are being rewritten when the first is scored."""

    def rewrite(texts: Sequence[str]) -> list[str]:
        time.sleep(0.1)
        return [text.upper() for text in texts]

    inputs = Inputs.of([source(TEXTS * 40)])
    backend, limits = Stopped(stop=0), Limits(block_passages=640)
    folder = SignalsFolder(tmp_path / "rewritten", "t")
    setup = PassSetup(backend, window_rule(1024), limits.block_size(300), rewrite)
    with pytest.raises(KeyboardInterrupt):
        score_positions(folder, setup, inputs, range(2400), PassProgress("r", 2400, inputs.bytes, None), limits)
    assert time.monotonic() - backend.stopped_at < 1.0


@pytest.mark.precision
def test_a_real_model_gives_the_same_bytes(tiny: str, source: Source, tmp_path: Path) -> None:
    def model() -> Backend:
        return load_model(tiny, tokens_per_batch=64, compiled=False)

    score(source(TEXTS), model(), attacks=["loss", "min_k++"], out=tmp_path / "whole")
    most, stops = 0, 0

    def stop(step: Step) -> None:
        nonlocal most
        if step.name == "target" and step.tokens > most + 150:
            most = step.tokens
            raise KeyboardInterrupt

    for _ in range(40):
        try:
            score(source(TEXTS), model(), attacks=["loss", "min_k++"], out=tmp_path / "run", progress=stop)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 4
    assert (tmp_path / "run/scores.parquet").read_bytes() == (tmp_path / "whole/scores.parquet").read_bytes()


# The command line, stopped by signals in the first of its blocks

IMPORTS = """
import sys, time
import cattrs, huggingface_hub.hf_api, pyarrow.compute, pyarrow.parquet, pydantic.json_schema, rich.console
import llm_mia.auditing, llm_mia.backends.checking, llm_mia.report.html, llm_mia.scoring
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
"""
PROGRAM = """
class Slow(FakeBackend):
    def score(self, windows, report=None, *, prefix=None):
        print("scoring", flush=True)
        time.sleep(0.2)
        return super().score(windows, report, prefix=prefix)

    def spans(self, text):
        raise NotImplementedError

llm_mia.backends.checking.check_model = lambda *_, **__: None
llm_mia.backends.loading.load_model = lambda name, **_: Slow(len(name))
class Tokenizer:
    fingerprint, bos, vocabulary = FakeBackend(0).info.tokenizer, None, 256
llm_mia.backends.ModelSpec.tokenizer = lambda _: Tokenizer()
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with forking(IMPORTS, PROGRAM) as runs:
        yield runs


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("score", signal.SIGINT),
        ("score", signal.SIGHUP),
        ("audit", signal.SIGTERM),
        ("extract", signal.SIGINT),
        ("perplexity", signal.SIGTERM),
    ],
)
def test_a_command_that_is_stopped_says_what_it_kept(
    name: str, how: signal.Signals, program: Program, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    texts = write_jsonl("in.jsonl", [{"text": text} for text in TEXTS])
    known = write_jsonl("known.jsonl", [{"text": f"{text} {i}"} for i, text in enumerate(sentences(30, seed=8))])
    out = tmp_path / ("out.csv" if name == "perplexity" else "run")
    more = ["--nonmembers", known] if name == "audit" else []
    process = program.start([name, texts, "-m", "m", "-q", "-o", str(out), *more])
    for _ in range(3):  # two batches are finished
        assert process.stdout.readline() == "scoring\n"
    process.send_signal(how)
    _, errors = process.communicate()
    assert process.returncode == 128 + how
    folder = tmp_path / "out.csv.signals" if name == "perplexity" else out
    kept = pq_rows(folder)
    total = 90 if name == "audit" else 60
    assert kept > 0
    assert errors == (
        f"llm-mia: interrupted; kept: {kept} of {total} passages of the pass target; the same command continues\n"
    )


def pq_rows(folder: Path) -> int:
    import pyarrow.parquet as pq

    (path,) = folder.rglob("unfinished-*")
    return len(pq.read_table(path).column("id").to_pylist())
