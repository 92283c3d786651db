"""The parts of a pass: named by what they hold, written in any order and by several workers, never silently wrong."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.errors import RunDirectoryError
from llm_mia.passages import read_passages
from llm_mia.records import IntArray, PassRecord, TokenSignals
from llm_mia.scoring import score
from llm_mia.signals import Inputs, Limits, PassProgress, PassSetup, score_positions, window_rule, write_signals
from llm_mia.store import RunDirectory, SignalsFolder, read_run, read_signals, signals_table

from .conftest import sentences

LISTS = ("token_ids", "logprob", "mean", "std", "top", "rank")


def fill(folder: SignalsFolder, *ranges: tuple[int, int]) -> None:
    """Parts with passages first to last, whose every value is the passage's position."""
    for first, last in ranges:
        ids = [f"p{position}" for position in range(first, last + 1)]
        signals = [
            TokenSignals(*(np.full(position % 5, position, np.float32) for _ in range(6)))  # type: ignore[arg-type]
            for position in range(first, last + 1)
        ]
        folder.append(first, [signals_table(ids, ids, signals)])


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(RunDirectoryError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> SignalsFolder:
    return SignalsFolder(tmp_path / "target", "t")


def test_what_is_missing_is_known_from_the_names(folder: SignalsFolder) -> None:
    assert folder.missing(0) == []
    assert folder.missing(10) == [range(10)]
    fill(folder, (3, 4), (7, 7))
    assert folder.missing(10) == [range(3), range(5, 7), range(8, 10)]
    assert folder.missing(6) == [range(3), range(5, 6)]
    assert folder.missing(8) == [range(3), range(5, 7)]
    fill(folder, (0, 2), (8, 9), (5, 6))
    assert folder.missing(10) == []
    assert [(part.first, part.last, len(part)) for part in folder.parts()] == [
        (0, 2, 3), (3, 4, 2), (5, 6, 2), (7, 7, 1), (8, 9, 2),
    ]  # fmt: skip


def test_chunks_end_at_multiples_and_where_passages_are_missing(folder: SignalsFolder) -> None:
    """Oracle: a loop over positions, for random parts, sizes of chunks and bounds."""
    rng = random.Random(2)
    stored, position = set[int](), 0
    for _ in range(40):
        first = position + rng.choice([0, 0, 0, 1, 7])
        position = first + rng.randint(1, 9)
        fill(folder, (first, position - 1))
        stored |= {*range(first, position)}
    for rows in (1, 2, 4, 7, 512):
        for start, stop in ((0, None), (5, None), (0, 60), (13, 101), (0, 10**6), (10**6, None)):
            wanted = sorted(at for at in stored if at >= start and (stop is None or at < stop))
            expected: list[list[int]] = []
            for at in wanted:
                if expected and at == expected[-1][-1] + 1 and at % rows:
                    expected[-1].append(at)
                else:
                    expected.append([at])
            for keys_only in (False, True):
                chunks = list(folder.chunks(rows, start=start, stop=stop, keys_only=keys_only))
                assert [[*range(c.first, c.first + len(c))] for c in chunks] == expected
                for chunk in chunks:
                    assert chunk.ids == [f"p{at}" for at in range(chunk.first, chunk.first + len(chunk))]
                    assert chunk.n_tokens.tolist() == [at % 5 for at in range(chunk.first, chunk.first + len(chunk))]
                    for row in range(0 if keys_only else len(chunk)):
                        assert set(chunk.signals(row).logprob) <= {chunk.first + row}


def test_parts_that_hold_the_same_passage_are_refused_by_name(folder: SignalsFolder) -> None:
    fill(folder, (0, 4), (4, 6))
    message = refusal(lambda: folder.missing(10))
    assert message == (
        f"{folder.path / 'part-000000004-000000006.parquet'}: holds passage 4, which part-000000000-000000004.parquet "
        "holds too; remove one of the two, and run the same command again"
    )
    assert refusal(lambda: list(folder)) == message


@pytest.mark.parametrize(
    "name", ["part-00000.parquet", "part-000000005-000000004.parquet", "part-0-1.parquet", "part-"]
)
def test_a_part_of_another_name_is_refused(name: str, folder: SignalsFolder) -> None:
    fill(folder, (0, 1))
    (folder.path / name).write_bytes(b"")
    message = refusal(folder.parts)
    assert message.startswith(f"{folder.path / name}: a part has a name such as")


def test_a_part_that_holds_less_than_its_name_says_is_refused(folder: SignalsFolder) -> None:
    fill(folder, (0, 4))
    (part,) = folder.parts()
    wrong = part.path.rename(part.path.with_name("part-000000000-000000005.parquet"))
    assert refusal(lambda: list(folder)) == (
        f"{wrong}: damaged (it holds 5 passages, its name states 6); remove it, and run the same command again"
    )


# Several workers


@pytest.fixture
def inputs(write_jsonl: Callable[..., str]) -> Inputs:
    texts = [f"{i} {text}" for i, text in enumerate(sentences(90, seed=6))]
    texts[50:70] = texts[:20]  # repeated, and in the range of another worker
    source = read_passages(write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(texts)]))
    return Inputs.of([source])


def rows(folder: SignalsFolder) -> list[tuple[str, str, list[bytes]]]:
    return [(row.id, row.text_sha256, [getattr(row.signals, name).tobytes() for name in LISTS]) for row in folder]


def test_two_workers_write_what_a_single_worker_writes(inputs: Inputs, tmp_path: Path) -> None:
    limits = Limits(block_passages=4, part_seconds=0.0)
    write_signals(inputs.sources, FakeBackend(0), out=tmp_path / "alone", limits=limits)
    model = FakeBackend(0)
    setup = PassSetup(model, window_rule(model.info.context), limits.block_size(model.tokens_per_batch))
    with RunDirectory(tmp_path / "run") as run:
        run.claim("target", PassRecord(model.info, setup.rule, setup.size))
    ranges = [range(45, 90), range(45)]

    def work(positions: range) -> None:
        folder = read_signals(tmp_path / "run", "target")
        score_positions(folder, setup, inputs, positions, PassProgress("target", 90, 0, None), limits)

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(work, ranges))
    together, alone = read_signals(tmp_path / "run", "target"), read_signals(tmp_path / "alone", "target")
    assert together.missing(90) == []
    assert rows(together) == rows(alone)
    assert len(together.parts()) == 24, "each range ends with a part of its own"
    write_signals(inputs.sources, FakeBackend(0), out=tmp_path / "run", limits=limits)
    assert len(read_run(tmp_path / "run").inputs) == 1, "a later run checks what is there, and keeps it"


@pytest.mark.parametrize("removed", [[0], [5], [22], [3, 4, 9], [0, 22], [*range(23)]])
def test_parts_that_are_missing_are_made_again_wherever_they_were(
    removed: list[int], inputs: Inputs, tmp_path: Path
) -> None:
    class Counting(FakeBackend):
        passages = 0

        def encode(self, texts: Sequence[str]) -> list[IntArray]:
            self.passages += len(texts)
            return super().encode(texts)

    limits, out = Limits(block_passages=4, part_seconds=0.0), tmp_path / "run"
    write_signals(inputs.sources, FakeBackend(0), out=out, limits=limits)
    folder = read_signals(out, "target")
    parts, before = folder.parts(), rows(folder)
    for part in removed:
        parts[part].path.unlink()
    model = Counting(0)
    write_signals(inputs.sources, model, out=out, limits=limits)
    assert model.passages == sum(len(parts[part]) for part in removed)
    assert rows(folder) == before
    assert folder.parts() == parts


def test_the_lock_is_released_when_its_process_dies(tmp_path: Path) -> None:
    script = "import sys; from llm_mia.store import RunDirectory; r = RunDirectory(sys.argv[1]); r.update()\n"
    script += "print('locked', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    assert "another run is writing here" in refusal(lambda: RunDirectory(tmp_path / "run"))
    process.kill()
    process.communicate()
    RunDirectory(tmp_path / "run").__exit__()


def test_windows_of_the_record_are_those_of_the_model(inputs: Inputs, tmp_path: Path) -> None:
    record = write_signals(inputs.sources, FakeBackend(0, context=64), out=tmp_path / "run", window_tokens=32)
    assert record.passes["target"].window == window_rule(64, 32)
    assert record == read_run(tmp_path / "run")


def test_a_part_of_another_pass_or_of_another_run_is_refused(tmp_path: Path) -> None:
    texts = ["The River bends.", "A Stone bridge."]
    for run, seed in (("a", 0), ("b", 1)):
        score(texts, FakeBackend(seed), attacks=["loss", "lowercase"], out=tmp_path / run)
    part = "part-000000000-000000001.parquet"
    target = tmp_path / "a/signals/target" / part
    own = target.read_bytes()
    for other in (tmp_path / "a/signals/lowered" / part, tmp_path / "b/signals/target" / part):
        target.write_bytes(other.read_bytes())
        message = refusal(lambda: score(texts, FakeBackend(0), attacks=["zlib"], out=tmp_path / "a"))
        assert message.startswith(f"{target}: damaged (it belongs to another pass, or to another run)")
    target.write_bytes(own)
    score(texts, FakeBackend(0), attacks=["zlib"], out=tmp_path / "a")
