"""Processes that make the same call, and share its passes by the run directory: the first leads, the others follow."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from .. import __version__
from ..backends import Backend, ModelSpec
from ..errors import LlmMiaError, WorkerError
from ..records import Passage
from ..store import RunDirectory
from ._board import Board, RankState
from ._inputs import Inputs
from ._progress import PassProgress
from ._rank_runs import FollowedRun, LedRun
from ._sharing import SharedPass

__all__ = ["Greeting", "PassesFinished", "Ranks"]

T = TypeVar("T")
LOOK_EVERY, WAIT = 0.5, 0.05
"""Seconds between two looks at the other processes while this one computes, and while it waits."""
SEEN_WITHIN = 10.0
"""Seconds in which a folder that another machine has created must be seen on this one."""


class PassesFinished(Exception):  # noqa: N818 - no error: it ends a call in a process that only follows
    """Ends a call, when its passes are finished, in a process that only took part in them."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What each process shows the others before the first pass."""

    token: str
    """Of the process that leads: names the folder by which they share out the work."""
    host: str
    version: str
    """Of llm_mia."""
    problem: str = ""
    """Why the process cannot take part."""


Exchange = Callable[[Greeting], Sequence[Greeting]]
"""Gives each process the greetings of all, by their number."""


class Ranks:
    """The processes that make the same call; see `Sharing`.

    Args:
        index: the number of this process; 0 leads.
        count: how many there are.
        exchange: shows a greeting to all and returns those of all; every process calls it equally often.
        ends_calls: whether a call of a process that follows ends by `PassesFinished`.
    """

    def __init__(self, index: int, count: int, exchange: Exchange, *, ends_calls: bool = True) -> None:
        self.index, self.count = index, count
        self.leads = index == 0
        self._exchange, self._ends_calls = exchange, ends_calls
        self.met = False
        """Whether the processes have exchanged their first greetings."""
        self.leads_elsewhere = False
        """Whether the process that leads is on another machine."""
        self._board: Board | None = None
        self._state = RankState()
        self._seen: dict[int, RankState] = {}
        self._look_at = 0.0
        self._ended = False

    # Before the passes

    def open_run(self, path: Path) -> RunDirectory:
        """The run directory: locked by the process that leads, and only read by the others.

        Raises:
            RunDirectoryError: see `RunDirectory`.
            WorkerError: another process cannot take part.
        """
        return self._lead(path) if self.leads else self._follow(path)

    def _lead(self, path: Path) -> RunDirectory:
        run = LedRun(path)
        try:
            self._board = run.board = board = Board(path, uuid4().hex[:12], 0)
            board.create()
            board.join()
            self._refuse_problems(self.meet(token=board.path.name))
            self._refuse_problems(self._exchange(self._greeting()))
        except BaseException:
            run.__exit__(None, None, None)
            raise
        return run

    def _follow(self, path: Path) -> RunDirectory:
        greetings = self.meet()
        leader = greetings[0]
        if any(greeting.problem for greeting in greetings):
            raise PassesFinished  # the process that leads says why
        self._board = Board(path, leader.token.removeprefix(".ranks-"), self.index)
        problem = self._problem(path, leader)
        self._refuse_problems(self._exchange(self._greeting(problem)))
        return FollowedRun(path, self)

    def _problem(self, path: Path, leader: Greeting) -> str:
        """Joins the board; returns why this process cannot take part."""
        assert self._board is not None
        if leader.version != __version__:
            return (
                f"has llm_mia {__version__}, and rank 0 has {leader.version}: install the same version on all machines"
            )
        deadline = time.monotonic() + SEEN_WITHIN
        while not self._board.path.exists():
            if time.monotonic() > deadline:
                return f"does not see the folder {path} of rank 0: name an `out` that all machines share"
            time.sleep(WAIT)
        try:
            self._board.join()
        except LlmMiaError as error:
            return str(error)
        return ""

    def meet(self, *, token: str = "", problem: str = "") -> Sequence[Greeting]:
        """The first greetings of all processes."""
        self.met = True
        greetings = self._exchange(self._greeting(problem, token))
        self.leads_elsewhere = greetings[0].host != socket.gethostname()
        return greetings

    def _greeting(self, problem: str = "", token: str = "") -> Greeting:
        return Greeting(token, socket.gethostname(), __version__, problem)

    def _refuse_problems(self, greetings: Sequence[Greeting]) -> None:
        for index, greeting in enumerate(greetings):
            if greeting.problem:
                raise WorkerError(f"rank {index} of {self.count}: {greeting.problem}")

    # The passes

    def load(self, source: ModelSpec, *, compiled: bool) -> tuple[Backend, str | None]:
        """The model, in this process."""
        # The digest comes second: until it was loaded, a model of the hub may not have been on this machine.
        return source.load(compiled=compiled), source.sha256()

    def complete(self, work: SharedPass) -> None:
        """Compute ranges of *work* until none is left; the process that leads waits for the ranges of the others.

        Raises:
            WorkerError: another process has ended before its work was finished.
        """
        board = self._joined()
        self._state, self._seen = RankState(work.name), {}
        if self.leads:
            ranges = work.ranges(self.count)
            board.publish(work.name, ranges)
        else:
            ranges = self.wait_for(lambda: board.published(work.name))
        work.report.watch = self._look
        passages = _Passages(work.inputs)
        for positions in ranges:
            if board.claim(work.name, positions):
                self._state.first, self._state.stop = positions.start, positions.stop
                self._write(work.report)
                work.score(positions, passages.at(positions))
                self._write(work.report)
                board.finish(work.name, positions)
        if self.leads:
            while board.finished(work.name) < len(ranges):
                self._look(work.report)
                time.sleep(WAIT)
            self._look_at = 0.0
            self._look(work.report)
        work.report.watch = None

    def end_passes(self) -> None:
        """Ends the call of a process that follows."""
        if not self.leads and self._ends_calls:
            raise PassesFinished

    def _look(self, report: PassProgress) -> None:
        """Show the others how far this process is, and see how far they are."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        if not self.leads:
            self._write(report)
        if problem := self.problem():
            raise WorkerError(problem)
        if self.leads:
            self._add_others(report)

    def _write(self, report: PassProgress) -> None:
        self._state.passages, self._state.tokens, self._state.bytes = report.sums
        self._state.kept = report.kept
        self._joined().write(self._state)

    def _add_others(self, report: PassProgress) -> None:
        """Add to *report* what the others have finished since the last look."""
        for index in range(1, self.count):
            before, state = self._seen.get(index, RankState()), self._joined().state(index)
            if state.name == self._state.name and state != before:
                self._seen[index] = state
                report.kept += state.kept - before.kept
                report.add(state.passages - before.passages, state.tokens - before.tokens, state.bytes - before.bytes)

    # How the others are

    def problem(self) -> str:
        """Why this process cannot go on: another has failed or died; empty where all is well."""
        if self._board is None:
            return ""
        again = "what is finished is kept: run the same command again, with any number of processes"
        for index in range(1, self.count) if self.leads else [0]:
            state = self._board.state(index)
            if state.failure:
                return f"rank {index} of {self.count}: {state.failure}"
            if not state.left and not self._board.is_alive(index):
                if self._board.state(index).left:
                    continue
                doing = f" while it computed passages {state.first:,} to {state.stop - 1:,} of the pass {state.name}"
                return f"rank {index} of {self.count} has ended{doing if state.stop else ''}; {again}"
        return ""

    def leader_died(self) -> bool:
        """Whether the process that leads has died, so that it can say nothing."""
        board = self._board
        # Where it ended otherwise, it has removed the folder.
        return board is not None and board.path.exists() and not board.is_alive(0) and board.path.exists()

    def wait_for(self, get: Callable[[], T | None]) -> T:
        """What *get* returns, as soon as it is there.

        Raises:
            WorkerError: the process that leads has ended.
        """
        while (value := get()) is None:
            if problem := self.problem():
                raise WorkerError(problem)
            time.sleep(WAIT)
        return value

    def leave(self, failure: str = "") -> None:
        """Show the others that this process ends, and why if it is a *failure*."""
        if self._ended:
            return
        self._ended = True
        if self._board is None:
            if failure and not self.met:
                self.meet(problem=failure)
            return
        self._state.left, self._state.failure = not failure, failure
        try:
            self._board.write(self._state)
        except (WorkerError, OSError):  # there is nobody left to be shown anything
            return

    def _joined(self) -> Board:
        assert self._board is not None, "the run directory is opened before its passes run"
        return self._board


class _Passages:
    """The passages of ranges that ascend; the input is read once."""

    def __init__(self, inputs: Inputs) -> None:
        self._rest, self._at = iter(inputs), 0

    def at(self, positions: range) -> Iterator[Passage]:
        """The passages at *positions*, all of which must be taken before the next range."""
        skipped, self._at = positions.start - self._at, positions.stop
        return islice(self._rest, skipped, skipped + len(positions))
