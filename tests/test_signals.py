"""Signals as a stage: in memory what is on disk, models by role, and a precision that stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia import audit, extract, read_scores, score
from llm_mia.backends import Backend, ModelSpec, Report, load_model
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import ModelError, RunDirectoryError, UsageError
from llm_mia.passages import Passages, read_passages
from llm_mia.records import SCHEMA_VERSION, IntArray, TokenSignals, Window
from llm_mia.signals import Limits, Step, cut, join, signals_of, window_rule, write_signals
from llm_mia.store import RunDirectory, read_run, read_signals

from .conftest import sentences

LISTS = ("token_ids", "logprob", "mean", "std", "top", "rank")
TEXTS = [*sentences(30, seed=9), "", "x", *sentences(30, seed=9)[:10], " ".join(sentences(60, seed=3))]


@pytest.fixture
def source(write_jsonl: Callable[..., str]) -> Passages:
    rows = [{"id": f"p{i}", "text": text} for i, text in enumerate(text for text in TEXTS if text)]
    return read_passages(write_jsonl("in.jsonl", rows))


class Noting(FakeBackend):
    """Notes how many windows it is given."""

    windows = 0

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        self.windows += len(windows)
        return super().score(windows, report, prefix=prefix)


def assert_same(first: TokenSignals, second: TokenSignals) -> None:
    for name in LISTS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.tokenizer == second.tokenizer


# In memory


@pytest.mark.parametrize("limits", [None, Limits(block_passages=3), Limits(cached_bytes=0)])
@pytest.mark.parametrize("bos", [False, True])
def test_in_memory_is_what_is_on_disk(limits: Limits | None, bos: bool, source: Passages, tmp_path: Path) -> None:
    options: dict[str, Any] = {"window_tokens": 64, "limits": limits}
    write_signals(source, FakeBackend(0, bos=bos), out=tmp_path / "run", **options)
    stored = [row.signals for row in read_signals(tmp_path / "run", "target")]
    memory = signals_of(FakeBackend(0, bos=bos), (passage.text for passage in source), **options)
    assert len(stored) == len(memory) == len(TEXTS) - 1
    for signals_here, signals_there in zip(stored, memory, strict=True):
        assert_same(signals_here, signals_there)


def test_in_memory_is_the_model_on_each_window() -> None:
    """Oracle: cut, score and join each text alone."""
    model, rule = FakeBackend(0), window_rule(1024, 40)
    signals = signals_of(model, TEXTS, window_tokens=40)
    for text, signals_here in zip(TEXTS, signals, strict=True):
        windows = cut(model.encode([text])[0], rule)
        assert_same(signals_here, join([model.score([window])[0] for window in windows], model.info.tokenizer))
    assert [len(signals_here) for signals_here in signals] == [max(0, len(text.encode()) - 1) for text in TEXTS]


def test_a_text_that_occurs_twice_is_computed_once() -> None:
    model = Noting(0)
    signals_of(model, TEXTS)
    rule = window_rule(1024)
    assert model.windows == sum(len(cut(model.encode([text])[0], rule)) for text in set(TEXTS))


def test_progress_in_memory() -> None:
    steps: list[Step] = []
    signals_of(FakeBackend(0), TEXTS, progress=steps.append)
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    tokens = sum(max(0, len(text.encode()) - 1) for text in TEXTS)
    assert steps[-1] == Step("target", len(TEXTS), tokens, n_bytes, len(TEXTS), n_bytes)


def test_no_texts_and_a_single_string() -> None:
    assert signals_of(FakeBackend(0), []) == []
    with pytest.raises(UsageError, match="`texts` is a single string"):
        signals_of(FakeBackend(0), "a text")
    with pytest.raises(UsageError, match="`window_tokens` is 4096"):
        signals_of(FakeBackend(0), ["a"], window_tokens=4096)


def test_a_model_by_its_name(tiny: str) -> None:
    named = signals_of(ModelSpec(tiny, dtype="float32"), TEXTS[:5])
    loaded = signals_of(load_model(tiny, dtype="float32"), TEXTS[:5])
    for signals_here, signals_there in zip(named, loaded, strict=True):
        np.testing.assert_allclose(
            signals_here.logprob, signals_there.logprob, rtol=1e-5
        )  # compiled reductions sum in another order


# By role


def test_models_by_role(source: Passages, tmp_path: Path) -> None:
    models = {"target": Noting(0), "reference": Noting(1), "shadow-00": Noting(2), "shadow-01": Noting(3)}
    record = write_signals(source, models, out=tmp_path / "run")
    assert {role: of_role.model.id for role, of_role in record.passes.items()} == {
        "target": "fake-0", "reference": "fake-1", "shadow-00": "fake-2", "shadow-01": "fake-3",
    }  # fmt: skip
    for role, model in models.items():
        stored = [row.signals for row in read_signals(tmp_path / "run", role)]
        for signals_here, signals_there in zip(
            stored, signals_of(model, (passage.text for passage in source)), strict=True
        ):
            assert_same(signals_here, signals_there)
    before = {role: model.windows for role, model in models.items()}
    write_signals(source, {**models, "shadow-02": FakeBackend(4)}, out=tmp_path / "run")
    assert {role: model.windows for role, model in models.items()} == before, "what is there is not made again"
    assert "shadow-02" in read_run(tmp_path / "run").passes


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("reference", "the reference model is the target model itself"),
        ("shadow-07", "the target is shadow-07 of the shadow models itself"),
    ],
)
def test_a_model_of_another_role_that_is_the_target_is_refused(
    role: str, message: str, source: Passages, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        write_signals(source, {"target": FakeBackend(0), role: FakeBackend(0)}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write_signals(source, {"shadow-00": FakeBackend(0), "shadow-01": FakeBackend(0)}, out=tmp_path / "run")


def test_a_pass_that_is_not_there(source: Passages, tmp_path: Path) -> None:
    write_signals(source, FakeBackend(0), out=tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="has no pass 'reference'; it has target"):
        read_signals(tmp_path / "run", "reference")


def test_what_else_the_directory_holds_is_kept(source: Passages, tmp_path: Path) -> None:
    out = tmp_path / "run"
    score(source, FakeBackend(0), FakeBackend(1), attacks=["zlib", "reference"], out=out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    write_signals(source, FakeBackend(0), out=out)
    extract(source, FakeBackendTokenizer(), out=out, stretch=5)
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert before.items() <= after.items()
    assert {path.name for path in after.keys() - before.keys()} == {"extraction.json", "spans.csv"}


class FakeBackendTokenizer(FakeBackend):
    """The fake model, and where its tokens are in a text."""

    vocabulary = 257

    def __init__(self) -> None:
        super().__init__(0)
        self.fingerprint = self.info.tokenizer

    def spans(self, text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        places = [(at, at + 1) for at, character in enumerate(text) for _ in character.encode()]
        return np.array(places, dtype=np.int64).reshape(-1, 2)


# A precision that stays


@pytest.mark.parametrize("began", ["float32", "bfloat16"])
def test_a_run_that_continues_keeps_its_precision(
    began: str, tiny: str, source: Passages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever ``auto`` would lead now: to the precision that the directory names, for new passes too."""
    loaded: list[str] = []

    def load(name: str, *, dtype: str, **options: Any) -> Backend:
        loaded.append(dtype)
        return load_model(name, dtype=dtype, **options)

    out = tmp_path / "run"
    write_signals(source, ModelSpec(tiny, dtype=began), out=out)
    with RunDirectory(out) as run:  # as if auto had chosen it
        record = run.record.passes["target"]
        assert record.files is not None
        run.update(passes={"target": replace(record, files=replace(record.files, dtype="auto"))})
    read_signals(out, "target").parts()[0].path.unlink()
    monkeypatch.setattr("llm_mia.backends.loading.load_model", load)
    write_signals(source, tiny, out=out)
    score(source, tiny, attacks=["lowercase"], out=out)
    assert loaded == [began, began]
    assert {record.model.dtype for record in read_run(out).passes.values()} == {began}
    other = {"float32": "bfloat16", "bfloat16": "float32"}[began]
    with pytest.raises(RunDirectoryError, match=f"model dtype {began} there, {other} here"):
        write_signals(source, ModelSpec(tiny, dtype=other), out=out)


# Every reader


@pytest.mark.parametrize("reader", ["scores", "record", "signals", "write", "score", "extract", "audit"])
def test_a_directory_of_another_schema_is_refused_by_every_reader(
    reader: str, source: Passages, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    score(source, FakeBackend(0), attacks=["loss"], out=out)
    record = out / "run.json"
    record.write_text(record.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def known(label: int) -> Passages:
        rows = [{"text": f"{label} {text}"} for text in sentences(120, seed=label)]
        return read_passages(write_jsonl(f"known{label}.jsonl", rows), label=label)

    acts: dict[str, Callable[[], object]] = {
        "scores": lambda: read_scores(out),
        "record": lambda: read_run(out),
        "signals": lambda: read_signals(out, "target"),
        "write": lambda: write_signals(source, FakeBackend(0), out=out),
        "score": lambda: score(source, FakeBackend(0), attacks=["loss"], out=out),
        "extract": lambda: extract(source, FakeBackendTokenizer(), out=out, stretch=5),
        "audit": lambda: audit(source, nonmembers=known(0), target=FakeBackend(0), attacks=["loss"], out=out),
    }
    with pytest.raises(RunDirectoryError) as refused:
        acts[reader]()
    assert str(refused.value) == (
        f"{record}: has schema version 99, and this release reads {SCHEMA_VERSION}; name another folder, "
        "and run the same command there"
    )
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_backend_that_gives_other_tokens_or_no_numbers_is_refused() -> None:
    class Short(FakeBackend):
        def score(self, *windows: Any, **more: Any) -> list[TokenSignals]:
            return [signals.take(slice(1, None)) for signals in super().score(*windows, **more)]

    class NotANumber(FakeBackend):
        def score(self, *windows: Any, **more: Any) -> list[TokenSignals]:
            return [replace(each, logprob=each.logprob * np.nan) for each in super().score(*windows, **more)]

    with pytest.raises(ModelError, match="'fake-0': `score` gave signals of 4 tokens in 1 windows, and 5 in 1 were"):
        signals_of(Short(0), ["a text"])
    with pytest.raises(ModelError, match=r"passage '1': model 'fake-0' gives nan as the log-probability of the token"):
        signals_of(NotANumber(0), ["", "a text"])
