"""Passes that several processes compute: bit for bit what a single process computes, whoever takes what and when."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest

from llm_mia import score, write_signals
from llm_mia.backends import Backend, ModelSpec, Report
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages
from llm_mia.records import BlockSize, IntArray, TokenSignals, Window
from llm_mia.signals import Inputs, Limits, SharedPass, Supplies, missing_blocks, share_out, sharing
from llm_mia.store import RunDirectory, read_signals

from .conftest import sentences
from .test_parts import rows

LIMITS = Limits(block_passages=4)
TEXTS = [f"{i} {text}" for i, text in enumerate(sentences(60, seed=6))]
for at in (*range(9, 60, 5), 50, 51):
    TEXTS[at] = TEXTS[at % 7]  # in the same block, in the next, and far away
for at in range(3, 60, 4):
    TEXTS[at] = TEXTS[at].lower()


class OfBatches(FakeBackend):
    """A model whose signals depend on which windows are computed together, as those of a real model do a little."""

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        mates = sum(int(window.tokens.sum()) for window in windows)
        signals = super().score(windows, report, prefix=prefix)
        for of_window in signals:
            of_window.logprob[:] -= mates % 1009
        return signals


class Described(OfBatches):
    """What a process that holds no model knows of it."""

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        raise AssertionError("computed by the process that leads")


class ToWorkers:
    """Sends each range to a worker that has neither the input nor the run directory, the last range first."""

    leads = True

    def __init__(self, worker: Backend) -> None:
        self.worker, self.ranges = worker, list[range]()

    def open_run(self, path: Path) -> RunDirectory:
        return RunDirectory(path)

    def load(self, source: ModelSpec, *, compiled: bool) -> tuple[Backend, str | None]:
        raise AssertionError("the tests give models, not their names")

    def complete(self, work: SharedPass) -> None:
        for positions in reversed(work.ranges(3, most_passages=20)):
            self.ranges.append(positions)
            task = work.task(positions, list(islice(work.inputs, positions.start, positions.stop)))
            scored = pickle.loads(pickle.dumps(task)).run(self.worker)
            pickle.loads(pickle.dumps(scored)).write(work)

    def end_passes(self) -> None:
        pass


class ToItself(ToWorkers):
    """Computes each range in this process, the last range first."""

    def complete(self, work: SharedPass) -> None:
        for positions in reversed(work.ranges(3)):
            self.ranges.append(positions)
            work.score(positions)


@pytest.mark.parametrize("kind", [ToWorkers, ToItself])
@pytest.mark.parametrize("cached_bytes", [100_000_000, 4_000])
def test_ranges_in_any_order_give_what_a_single_process_gives(
    kind: type[ToWorkers], cached_bytes: int, tmp_path: Path
) -> None:
    limits = Limits(block_passages=4, cached_bytes=cached_bytes)
    write_signals(TEXTS, OfBatches(0), out=tmp_path / "alone", limits=limits)
    processes = kind(OfBatches(0))
    backend = Described(0) if kind is ToWorkers else OfBatches(0)
    with sharing(processes):
        write_signals(TEXTS, backend, out=tmp_path / "shared", limits=limits)
    assert len(processes.ranges) > 6
    alone, shared = (read_signals(tmp_path / name, "target") for name in ("alone", "shared"))
    assert rows(shared) == rows(alone)
    assert not [*shared.path.glob("unfinished-*")]


def test_rewrites_and_prefixes_too(tmp_path: Path) -> None:
    shots = tmp_path / "shots.jsonl"
    shots.write_text('{"text": "A shot about geese."}\n')
    names, supplies = ["loss", "lowercase", "recall"], Supplies(shots=shots)
    score(TEXTS, OfBatches(0), attacks=names, supplies=supplies, out=tmp_path / "alone", limits=LIMITS)
    with sharing(ToWorkers(OfBatches(0))):
        score(TEXTS, Described(0), attacks=names, supplies=supplies, out=tmp_path / "shared", limits=LIMITS)
    for name in ("target", "lowered", "prefixed"):
        alone, shared = (read_signals(tmp_path / run, name) for run in ("alone", "shared"))
        assert rows(shared) == rows(alone)
    scores = [(tmp_path / run / "scores.parquet").read_bytes() for run in ("alone", "shared")]
    assert scores[0] == scores[1]


def test_a_run_that_a_single_process_began_is_continued_by_several_and_the_reverse(tmp_path: Path) -> None:
    often = Limits(block_passages=4, part_seconds=0.0)
    write_signals(TEXTS, OfBatches(0), out=tmp_path / "alone", limits=LIMITS)
    whole = rows(read_signals(tmp_path / "alone", "target"))
    for name in ("then-several", "then-alone"):
        write_signals(TEXTS, OfBatches(0), out=tmp_path / name, limits=often)
        parts = read_signals(tmp_path / name, "target").parts()
        for part in (*parts[2:5], *parts[9:]):
            part.path.unlink()
    processes = ToWorkers(OfBatches(0))
    with sharing(processes):
        write_signals(TEXTS, Described(0), out=tmp_path / "then-several", limits=LIMITS)
    write_signals(TEXTS, OfBatches(0), out=tmp_path / "then-alone", limits=LIMITS)
    for name in ("then-several", "then-alone"):
        assert rows(read_signals(tmp_path / name, "target")) == whole


def test_a_range_is_of_whole_blocks_and_more_processes_than_blocks_are_none_the_worse() -> None:
    inputs = Inputs.of([Passages.of(TEXTS)])
    model = OfBatches(0)
    size = BlockSize(4, 1 << 20, model.tokens_per_batch)
    blocks = missing_blocks(inputs, size, [range(8, 30), range(40, 60)])
    assert [block.start for block in blocks] == [*range(8, 30, 4), *range(40, 60, 4)]
    for processes in (1, 2, 5, 500):
        ranges = share_out(blocks, processes)
        assert [at for each in ranges for at in each] == [at for each in blocks for at in each]
        assert {each.start for each in ranges} <= {each.start for each in blocks}
        lengths = [len(each) for each in ranges if each.start < 30][:-1]
        assert lengths == sorted(lengths, reverse=True)
    assert len(share_out(blocks, 500)) == len(blocks)
