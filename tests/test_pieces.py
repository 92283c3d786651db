"""Ranges of workers that die on purpose: what is computed again, and which passages are left out."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from llm_mia import score, write_signals
from llm_mia.backends import Backend, ModelSpec
from llm_mia.distributed.pieces import MOST_LEFT_OUT, Ended, Finished, Piece, complete_by
from llm_mia.errors import WorkerError
from llm_mia.records import LeftOut
from llm_mia.signals import SharedPass, sharing
from llm_mia.store import RunDirectory, read_run, read_signals

from .test_parts import rows
from .test_sharing import LIMITS, TEXTS, Described, OfBatches

DEADLY = "A text that no worker survives."


class DyingCrew:
    """Two workers in this process; each dies at a passage with the text *deadly*, and as often as *kills* says."""

    def __init__(self, model: Backend, kills: int = 0, deadly: str = DEADLY) -> None:
        self.model, self.kills, self.deadly = model, kills, deadly
        self.queues: list[deque[Piece]] = [deque(), deque()]
        self.started = list[range]()
        self.turn = 0

    @property
    def has_room(self) -> bool:
        return any(len(queue) < 2 for queue in self.queues)

    def send(self, piece: Piece) -> None:
        min(self.queues, key=len).append(piece)

    def wait(self) -> Finished | Ended | None:
        self.turn += 1
        queue = self.queues[self.turn % 2]
        if not queue:
            return None
        piece = queue[0]
        self.started.append(range(piece.task.first, piece.task.first + len(piece.task.passages)))
        if self.kills or any(passage.text == self.deadly for passage in piece.task.passages):
            self.kills = max(0, self.kills - 1)
            pieces = list(queue)
            queue.clear()
            return Ended(pieces)
        return Finished(queue.popleft(), piece.task.run(self.model))


class ByCrew:
    leads = True

    def __init__(self, crew: DyingCrew) -> None:
        self.crew = crew

    def open_run(self, path: Path) -> RunDirectory:
        return RunDirectory(path)

    def load(self, source: ModelSpec, *, compiled: bool) -> tuple[Backend, str | None]:
        raise AssertionError("the tests give models, not their names")

    def complete(self, work: SharedPass) -> None:
        complete_by(self.crew, work, 2)

    def end_passes(self) -> None:
        pass


def write(texts: list[str], out: Path, *, kills: int = 0) -> DyingCrew:
    crew = DyingCrew(OfBatches(0), kills)
    with sharing(ByCrew(crew)):
        write_signals(texts, Described(0), out=out, limits=LIMITS)
    return crew


def test_workers_that_die_now_and_then_change_nothing(tmp_path: Path) -> None:
    write_signals(TEXTS, OfBatches(0), out=tmp_path / "alone", limits=LIMITS)
    crew = write(TEXTS, tmp_path / "shared", kills=1)
    assert rows(read_signals(tmp_path / "shared", "target")) == rows(read_signals(tmp_path / "alone", "target"))
    assert sorted(at for each in crew.started[1:] for at in each) == [*range(60)], "nothing is computed twice"
    assert read_run(tmp_path / "shared").passes["target"].left_out == ()


@pytest.mark.parametrize("kills", [0, 1])
def test_what_workers_still_have_of_another_call_changes_nothing(tmp_path: Path, kills: int) -> None:
    write_signals(TEXTS[:9], OfBatches(0), out=tmp_path / "alone", limits=LIMITS)
    crew = DyingCrew(OfBatches(0), kills)
    stopped = pytest.raises(KeyboardInterrupt), sharing(ByCrew(crew))
    with pytest.MonkeyPatch.context() as patch, stopped[0], stopped[1]:
        patch.setattr(crew, "wait", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        write_signals(TEXTS, Described(0), out=tmp_path / "stopped", limits=LIMITS)
    assert all(crew.queues)
    with sharing(ByCrew(crew)):
        write_signals(TEXTS[:9], Described(0), out=tmp_path / "shared", limits=LIMITS)
    assert rows(read_signals(tmp_path / "shared", "target")) == rows(read_signals(tmp_path / "alone", "target"))


def test_a_passage_on_which_workers_die_is_left_out_with_its_copies_and_nothing_else(tmp_path: Path) -> None:
    texts = [*TEXTS[:21], DEADLY, *TEXTS[21:], DEADLY]
    write(texts, tmp_path / "run")
    stored = list(read_signals(tmp_path / "run", "target"))
    assert len(stored) == len(texts)
    assert [at for at, each in enumerate(stored) if not len(each.signals)] == [21, 61]
    left_out = read_run(tmp_path / "run").passes["target"].left_out
    assert left_out == tuple(LeftOut(at, stored[at].id, f"row {at + 1}") for at in (21, 61))
    # Whole blocks elsewhere are those of a single process: its batches are, too.
    whole = [text if text != DEADLY else "Something else." for text in texts]
    write_signals(whole, OfBatches(0), out=tmp_path / "whole", limits=LIMITS)
    alone = rows(read_signals(tmp_path / "whole", "target"))
    shared = rows(read_signals(tmp_path / "run", "target"))
    assert [at for at in range(62) if shared[at] != alone[at]] in ([20, 21, 22, 23, 60, 61], [*range(20, 24), 60, 61])


def test_the_note_names_what_is_left_out_and_the_same_call_keeps_it(tmp_path: Path) -> None:
    texts = [*TEXTS[:9], DEADLY]
    with sharing(ByCrew(DyingCrew(OfBatches(0)))):
        table = score(texts, Described(0), attacks=["loss"], out=tmp_path / "run", limits=LIMITS)
    assert list(map(bool, table.column("loss") != table.column("loss"))) == [False] * 9 + [True]
    before = read_run(tmp_path / "run").passes["target"].left_out
    write_signals(texts, OfBatches(0), out=tmp_path / "run", limits=LIMITS)
    assert read_run(tmp_path / "run").passes["target"].left_out == before != ()


def test_what_was_left_out_and_is_no_longer_stored_is_computed_again(tmp_path: Path) -> None:
    texts = [*TEXTS[:9], DEADLY]
    write(texts, tmp_path / "run")
    for part in read_signals(tmp_path / "run", "target").parts():
        if part.last == 9:
            part.path.unlink()
    write_signals(texts, OfBatches(0), out=tmp_path / "run", limits=LIMITS)
    assert read_run(tmp_path / "run").passes["target"].left_out == ()
    assert all(len(each.signals) for each in read_signals(tmp_path / "run", "target"))


def test_workers_that_die_on_everything_are_no_fault_of_the_passages(tmp_path: Path) -> None:
    texts = [f"{at} a text" for at in range(MOST_LEFT_OUT * 8)]
    with pytest.raises(WorkerError, match="more than 20 passages of the pass target"):
        write(texts, tmp_path / "run", kills=1000)
    assert len(read_run(tmp_path / "run").passes["target"].left_out) == MOST_LEFT_OUT


def test_pieces_are_bounded_and_read_the_passages_once(tmp_path: Path) -> None:
    crew = write(TEXTS, tmp_path / "run")
    assert [each.start for each in crew.started] != []
    assert sum(map(len, crew.started)) == len(TEXTS)


def test_parts_of_blocks_copy_nothing(tmp_path: Path) -> None:
    seen = list[Piece]()

    class Watching(ByCrew):
        def complete(self, work: SharedPass) -> None:
            positions = work.ranges(2)[0]
            task = work.task(positions, list(islice(work.inputs, positions.start, positions.stop)))
            seen.append(Piece(task, [4, 8]))
            super().complete(work)

    with sharing(Watching(DyingCrew(OfBatches(0)))):
        write_signals(TEXTS, Described(0), out=tmp_path / "run", limits=LIMITS)
    piece = replace(seen[0], task=seen[0].task.part(0, 8, whole_blocks=True))
    blocks = piece.divided()
    assert [(each.task.first, len(each.task.passages)) for each in blocks] == [(0, 4), (4, 4)]
    halves = blocks[1].divided()
    assert [(each.task.first, len(each.task.passages)) for each in halves] == [(4, 2), (6, 2)]
    assert all(each.task.copies.copied == frozenset() for each in halves)
