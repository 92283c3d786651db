"""Ranges of a pass that are sent to workers which may die: who computes what again, and which passage is to blame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from ..errors import WorkerError
from ..signals import RangeTask, ScoredRange, SharedPass

__all__ = ["Crew", "Ended", "Finished", "Piece", "complete_by", "pieces_of"]

MOST_PASSAGES, MOST_BYTES = 4096, 4 << 20
"""Of a piece, unless a single block has more: they bound the memory of the process that leads."""
DEATHS = 2
"""So many workers must end on the same passages before these are divided, or a passage is left out; of a part of such
passages, which is no single passage, a further worker."""
MOST_LEFT_OUT = 20
"""Passages of a pass that may end their worker; of more, something else is the cause."""


@dataclass(eq=False)
class Piece:
    """Consecutive passages of a pass, which a worker computes at once."""

    task: RangeTask
    block_ends: Sequence[int] = ()
    """Where its blocks end, counted in the piece; none where it is a part of a block."""
    is_part: bool = False
    """Whether it was divided from a piece that has ended several workers."""
    deaths: int = 0
    """Workers that have ended while they computed it."""

    @property
    def is_to_blame(self) -> bool:
        """Whether so many workers have ended on these passages that they are the cause."""
        return self.deaths >= (1 if self.is_part and len(self.task.passages) > 1 else DEATHS)

    def divided(self) -> list[Piece]:
        """Its blocks; of a single block, or of a part of a block, its halves."""
        task = self.task
        if len(self.block_ends) > 1:
            edges = zip([0, *self.block_ends], self.block_ends, strict=False)
            return [
                Piece(task.part(start, end, whole_blocks=True), (end - start,), is_part=True) for start, end in edges
            ]
        n = len(task.passages)
        halves = ((0, n // 2), (n // 2, n))
        return [Piece(task.part(start, end, whole_blocks=False), is_part=True) for start, end in halves]


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker has computed a piece."""

    piece: Piece
    scored: ScoredRange


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has ended; of the *pieces* that it had it was computing the first."""

    pieces: Sequence[Piece]


class Crew(Protocol):
    """Workers that compute pieces, each in the order in which it gets them.

    They may still have pieces of an earlier call that ended early.
    """

    @property
    def has_room(self) -> bool:
        """Whether a worker would take a further piece."""

    def send(self, piece: Piece) -> None:
        """Give the piece to a worker that has room."""

    def wait(self) -> Finished | Ended | None:
        """What has happened next; None after a short time, or where a worker has become ready."""


def complete_by(crew: Crew, work: SharedPass, workers: int) -> None:
    """Have a *crew* compute what is missing of *work*, and write it.

    A piece whose worker ends is computed again. Where it ends its workers each time, it is divided, until the passage
    is known that does so; that passage is left without signals, and recorded.

    Raises:
        WorkerError: more than `MOST_LEFT_OUT` passages end their workers.
    """
    rest, left_out = pieces_of(work, workers), 0
    waiting = deque(islice(rest, 1))
    sent = set[Piece]()
    while waiting or sent:
        while waiting and crew.has_room:
            sent.add(waiting[0])
            crew.send(waiting.popleft())
            waiting = waiting or deque(islice(rest, 1))
        happened = crew.wait()
        if isinstance(happened, Finished):
            if happened.piece in sent:  # else it is of another call, whose folder is another, too
                sent.remove(happened.piece)
                happened.scored.write(work)
        elif isinstance(happened, Ended):
            again = [piece for piece in happened.pieces if piece in sent]
            sent.difference_update(again)
            if again and again[0] is happened.pieces[0]:
                blamed = again.pop(0)
                blamed.deaths += 1
                if not blamed.is_to_blame:
                    again = [blamed, *again]
                elif len(blamed.task.passages) > 1:
                    again = [*blamed.divided(), *again]
                else:
                    left_out += 1
                    _leave_out(work, blamed.task, left_out)
            waiting.extendleft(reversed(again))
            waiting = waiting or deque(islice(rest, 1))


def _leave_out(work: SharedPass, task: RangeTask, number: int) -> None:
    passage = task.passages[0]
    if number > MOST_LEFT_OUT:
        raise WorkerError(
            f"more than {MOST_LEFT_OUT} passages of the pass {work.name} end every worker that computes them (the "
            f"last: {passage.id!r}, {passage.where}): the cause is probably the model, or too little memory (try fewer "
            "`processes`); what is finished is kept"
        )
    work.leave_out(task.first, passage)


def pieces_of(work: SharedPass, workers: int) -> Iterator[Piece]:
    """The pieces of *work*, in the order of its passages, which are read once, as they are needed."""
    passages, at = iter(work.inputs), 0
    for blocks in _bounded(work, workers):
        start, stop = blocks[0].start, blocks[-1].stop
        here = list(islice(passages, start - at, stop - at))
        at = stop
        yield Piece(work.task(range(start, stop), here), [block.stop - start for block in blocks])


def _bounded(work: SharedPass, workers: int) -> Iterator[list[range]]:
    """The blocks of each piece: those of a range of `SharedPass.ranges`, of `MOST_BYTES` at most."""
    sums = np.concatenate([[0], np.cumsum(work.inputs.sizes, dtype=np.int64)])
    blocks = iter(work.blocks)
    for positions in work.ranges(workers, most_passages=MOST_PASSAGES):
        here: list[range] = []
        at = positions.start
        while at < positions.stop:
            block = next(blocks)
            if here and sums[block.stop] - sums[here[0].start] > MOST_BYTES:
                yield here
                here = []
            here.append(block)
            at = block.stop
        yield here
