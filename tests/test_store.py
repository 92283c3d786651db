"""The run directory: whole files or none, nobody else's signals, and one line where it cannot be."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia import scoring
from llm_mia.backends import Backend, ModelSpec, Report
from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import RunDirectoryError
from llm_mia.passages import read_passages
from llm_mia.records import SCHEMA_VERSION, IntArray, TokenSignals, Window
from llm_mia.scores import ScoreTable
from llm_mia.scoring import ModelSource
from llm_mia.store import RunDirectory, SignalsFolder, StoredSignals, replacing, signals_table, write_text

from .conftest import sentences

TEXTS = sentences(40, seed=4)


class Counting(FakeBackend):
    """Counts the windows that it was asked for."""

    windows = 0

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        self.windows += len(windows)
        return super().score(windows, report, prefix=prefix)


Score = Callable[..., ScoreTable]


@pytest.fixture
def run(write_jsonl: Callable[..., str], tmp_path: Path) -> Score:
    """Score *texts* with a fake model into the folder ``run``."""

    def run(texts: Sequence[str] = TEXTS, model: ModelSource | None = None, **options: Any) -> ScoreTable:
        path = write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(texts)])
        options = {"attacks": ["loss"], "out": tmp_path / "run", **options}
        return scoring.score(read_passages(path), model or FakeBackend(0), **options)

    return run


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(RunDirectoryError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_text(path, "before\r\n")

    def stopped() -> None:
        with replacing(path) as beside:
            beside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert everything(tmp_path) == {str(path): b"before\r\n"}


@pytest.mark.parametrize("place", ["file/run", "/proc/run", "/dev/null/run", "file"])
def test_a_folder_that_cannot_be_written_to(place: str, run: Score, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    model = Counting(0)
    message = refusal(lambda: run(model=model, out=tmp_path / place))
    assert message.startswith(f"{tmp_path / place}: cannot be written (")
    assert message.endswith("free space or fix the folder and run the same command")
    assert model.windows == 0


def test_signals_come_back_as_they_went(tmp_path: Path) -> None:
    def signals(n: int) -> TokenSignals:
        rng = np.random.default_rng(n)
        floats = {name: rng.normal(size=n).astype(np.float32) for name in ("logprob", "mean", "std", "top")}
        ids = rng.integers(0, 2**31 - 1, size=n, dtype=np.int32)
        return TokenSignals(token_ids=ids, rank=ids[::-1].copy(), tokenizer="t", **floats)

    rows = [StoredSignals(f"p{i}", f"sha{i}", signals(n)) for i, n in enumerate([3, 0, 1, 0, 2000, 0])]
    folder = SignalsFolder(tmp_path, "t")
    for first, some in ((2, rows[2:]), (0, rows[:2])):
        ids, digests, signals_of = zip(*((row.id, row.text_sha256, row.signals) for row in some), strict=True)
        folder.append(first, [signals_table(ids, digests, signals_of)])
    names = ["part-000000000-000000001.parquet", "part-000000002-000000005.parquet"]
    assert [part.path.name for part in folder.parts()] == names
    for before, after in zip(rows, folder, strict=True):
        assert (before.id, before.text_sha256, "t") == (after.id, after.text_sha256, after.signals.tokenizer)
        for name in ("token_ids", "logprob", "mean", "std", "top", "rank"):
            old, new = getattr(before.signals, name), getattr(after.signals, name)
            assert old.dtype == new.dtype
            assert np.array_equal(old, new)


# One folder, one run


def test_a_second_run_is_turned_away(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run") as first:
        first.update()
        message = refusal(lambda: RunDirectory(tmp_path / "run"))
    assert message == f"{tmp_path / 'run'}: another run is writing here; wait for it or name another folder"
    RunDirectory(tmp_path / "run").__exit__()


def test_leftovers_go_and_nothing_else(run: Score, tmp_path: Path) -> None:
    ours = [
        tmp_path / "run" / name
        for name in (".writing-run.json", "signals/target/.writing-part-000000000-000000039.parquet")
    ]
    theirs = [tmp_path / "run" / name for name in ("notes.txt", "deep/down/there/.writing-novel")]
    for path in (*ours, *theirs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    run()
    assert [path.exists() for path in ours] == [False, False]
    assert [path.read_text() for path in theirs] == ["half", "half"]


@pytest.mark.parametrize("before", [[], ["run"], ["run", "run/mine.txt"]], ids=["no folder", "empty", "full"])
def test_a_run_that_fails_leaves_all_as_it_was(before: list[str], run: Score, tmp_path: Path) -> None:
    for name in before:
        path = tmp_path / name
        path.write_text("mine") if path.suffix else path.mkdir()

    class Broken(ModelSpec):
        def load(self, *, compiled: bool = True) -> Backend:
            raise RuntimeError("no model")

    for out in ("run", "run/deeper/still"):
        with pytest.raises(RuntimeError, match="no model"):
            run(model=Broken("m"), out=tmp_path / out)
        left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.name != "in.jsonl")
        assert left == before


# Whose signals


def renamed(**changes: str) -> Counting:
    model = Counting(0)
    model.info = replace(model.info, **changes)  # type: ignore[arg-type]
    return model


OTHERS: dict[str, tuple[FakeBackend, int | None, str]] = {
    "model": (FakeBackend(1), None, "model fake-0 there, fake-1 here; model weights_sha256 seed 0 there, seed 1 here"),
    "tokenizer": (
        FakeBackend(0, bos=True),
        None,
        "model opening () there, (256,) here; model tokenizer bytes, BOS None there, bytes, BOS 256 here",
    ),
    "context": (FakeBackend(0, context=512), 512, "model context 1024 there, 512 here; window context 256 there"),
    "window": (FakeBackend(0), 32, "window context 256 there, 8 here; window tokens 1024 there, 32 here"),
    "dtype": (renamed(dtype="bfloat16"), None, "model dtype float64 there, bfloat16 here"),
}


@pytest.mark.parametrize(("model", "window", "expected"), OTHERS.values(), ids=OTHERS)
def test_another_run_is_refused(
    model: FakeBackend, window: int | None, expected: str, run: Score, tmp_path: Path
) -> None:
    run()
    before = everything(tmp_path / "run")
    message = refusal(lambda: run(model=model, window_tokens=window))
    assert message.startswith(f"{tmp_path / 'run'}: belongs to another run (target: {expected}")
    assert message.endswith("); name another folder")
    assert everything(tmp_path / "run") == before


def test_the_same_model_by_another_name(run: Score, tmp_path: Path) -> None:
    run()
    model = renamed(id="renamed", revision="main")
    run(model=model)
    assert model.windows == 0
    assert json.loads((tmp_path / "run/run.json").read_text())["passes"]["target"]["model"]["id"] == "renamed"


def test_input_that_changed(run: Score, tmp_path: Path) -> None:
    run()
    changed = [*TEXTS[:17], TEXTS[17] + " ", *TEXTS[18:]]
    message = refusal(lambda: run(changed))
    assert message.startswith(f"{tmp_path / 'run'}: holds signals of 'p17' where the input has 'p17' (")
    assert message.endswith("in.jsonl line 18), or their texts differ; name another folder")
    assert TEXTS[17][:10] not in message
    swapped = [TEXTS[1], TEXTS[0], *TEXTS[2:]]
    assert "holds signals of 'p0'" in refusal(lambda: run(swapped))
    message = refusal(lambda: run(TEXTS[:30]))
    assert (
        message
        == f"{tmp_path / 'run'}: holds signals of 'p30' and later passages that the input lacks; name another folder"
    )


def test_input_that_grew_is_continued(run: Score) -> None:
    run(TEXTS[:30])
    model = Counting(0)
    grown = run(model=model)
    assert model.windows == 10
    assert np.array_equal(grown.column("loss"), run(out=grown.name + "-anew").column("loss"))


def test_new_attacks_on_a_finished_run(run: Score, tmp_path: Path) -> None:
    run()
    target, reference = Counting(0), Counting(1)
    table = run(model=target, attacks=["min_k:k=0.3", "zlib", "loss"])
    assert (target.windows, list(table.columns)) == (0, ["loss", "min_k:k=0.3", "zlib"])
    table = run(model=target, attacks=["lowercase", "reference"], reference=reference)
    assert (target.windows, reference.windows) == (sum(text != text.lower() for text in TEXTS), 40)
    assert sorted(path.name for path in (tmp_path / "run/signals").iterdir()) == ["lowered", "reference", "target"]
    fresh = run(attacks=["lowercase", "reference"], reference=FakeBackend(1), out=tmp_path / "fresh")
    assert list(table.columns) == ["loss", "min_k:k=0.3", "zlib", *fresh.columns]
    for name in fresh.columns:
        assert np.array_equal(table.column(name), fresh.column(name))


# Damage


def damaged(whole: bytes) -> Iterator[bytes]:
    """Seeded: a bit flipped, the end cut off, a stretch of zeros."""
    rng = random.Random(5)
    for _ in range(40):
        at = rng.randrange(len(whole) - 64)
        yield whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
        yield whole[:at]
        yield whole[:at] + bytes(64) + whole[at + 64 :]


def test_damage_is_seen(run: Score, tmp_path: Path) -> None:
    """Never a traceback, never another score: a part is refused, or the damage touched nothing that is read."""
    run = partial(run, attacks=["loss", "gap_k", "camia"])  # which together read nearly all that a part holds
    run()
    part, scores = tmp_path / "run/signals/target/part-000000000-000000039.parquet", tmp_path / "run/scores.parquet"
    whole, before = part.read_bytes(), scores.read_bytes()
    seen = 0
    for content in damaged(whole):
        part.write_bytes(content)
        scores.unlink(missing_ok=True)  # or the column would be copied, and its signals not read
        try:
            run()
        except RunDirectoryError as error:
            message = str(error)
            assert message.startswith(f"{part}: damaged (")
            assert message.endswith("); remove it, and run the same command again")
            assert "\n" not in message
            assert not scores.exists()
            seen += 1
        else:
            assert scores.read_bytes() == before
    assert seen > 100
    part.unlink()
    run()
    assert (scores.read_bytes(), part.read_bytes()) == (before, whole)
    pq.write_table(pa.table({"id": ["p0"], "text_sha256": ["x"]}), part)
    assert "its columns are not those of signals" in refusal(run)


VERSION = f'{{"schema_version": {SCHEMA_VERSION}'.encode()
RECORDS = {
    "empty": (b"", "is not JSON"),
    "cut short": (VERSION + b', "pas', "is not JSON"),
    "not json": (b"hello", "is not JSON"),
    "not utf-8": (b'{"schema_version": "\xff"}', "is not JSON"),
    "a list": (b"[]", "names no schema version"),
    "null": (b"null", "names no schema version"),
    "of nothing": (b"{}", "names no schema version"),
    "short of entries": (VERSION + b"}", "is damaged ('passes' is missing from RunRecord"),
    "passes a list": (VERSION + b', "passes": [1]}', "is damaged ("),
    "a pass a number": (VERSION + b', "passes": {"target": 3}}', "is damaged ("),
}


@pytest.mark.parametrize(("content", "problem"), RECORDS.values(), ids=RECORDS)
def test_a_damaged_record(content: bytes, problem: str, run: Score, tmp_path: Path) -> None:
    run()
    record = tmp_path / "run/run.json"
    record.write_bytes(content)
    message = refusal(run)
    assert message.startswith(f"{record}: {problem}")
    assert message.endswith("; name another folder, and run the same command there")
    assert record.read_bytes() == content


def test_a_record_of_another_time(run: Score, tmp_path: Path) -> None:
    run()
    record = tmp_path / "run/run.json"
    record.write_text(record.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    assert refusal(run).startswith(
        f"{record}: has schema version 99, and this release reads {SCHEMA_VERSION}; name another folder"
    )
    record.unlink()
    assert "holds signals but no run.json, so their model is unknown" in refusal(run)
    assert not record.exists()
    record.mkdir()
    assert "cannot be read (Is a directory)" in refusal(run)
