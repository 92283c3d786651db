"""The workers of a Ray cluster: they are started, given models and ranges, and replaced when they end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from .. import __version__
from ..errors import WorkerError
from .pieces import Ended, Finished, Piece
from .workers import Description, Worker, checked

__all__ = ["Assignment", "RayCrew"]

DEPTH = 2
"""Pieces of a worker: the second is on its way while the first is computed."""
TICK = 0.5
"""Seconds after which a wait ends, so that an interrupt is noticed."""
PATIENCE = 600.0
"""Seconds in which the cluster must give a first worker."""
SILENCE = 300.0
"""Seconds without an answer of any worker after which a reader learns of it: large pieces take long, too."""
ATTEMPTS = 3
"""So many times as many workers as there are may end, one after another, before they have loaded the model."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The model that all workers hold."""

    key: str
    source: Any
    """A `ModelSpec`, or a reference to a model in the store of the cluster."""
    compiled: bool
    expected: Description | None


@dataclass(frozen=True, slots=True)
class _Call:
    """What a worker was sent."""

    answer: Any
    """A reference to it."""
    method: str
    piece: Piece | None
    """Of ``run``."""
    key: str
    """Of the model of ``prepare``."""


@dataclass(eq=False)
class _Member:
    """A worker."""

    handle: Any
    sent: deque[_Call] = field(default_factory=deque)
    """What it has not answered, in order."""
    has_greeted: bool = False
    key: str = ""
    """Of the model that it holds."""

    def call(self, method: str, *arguments: Any, piece: Piece | None = None, key: str = "") -> None:
        self.sent.append(_Call(getattr(self.handle, method).remote(*arguments), method, piece, key))


class RayCrew:
    """A `llm_mia.distributed.Crew` of *count* actors; a worker that ends is replaced.

    Actors are not restarted by Ray, because then it would not be known on which passages they end.

    Args:
        count: how many workers.
        cards: CUDA devices of each.
        folder: where relative paths of models begin.
        report: called with a sentence while no worker answers for long.
    """

    def __init__(self, count: int, cards: int, folder: str, report: Callable[[str], None]) -> None:
        import ray

        self._ray: Any = ray
        self._folder = folder
        self._actors = ray.remote(num_cpus=1, num_gpus=cards, max_restarts=0, max_task_retries=0)(Worker)
        self.assignment: Assignment | None = None
        """What workers that start get; `assign_to_all` gives it to those that are there."""
        self._ended_early = 0
        self._report = report
        self._waits_since = self._heard_at = time.monotonic()
        self.members = [self._hire() for _ in range(count)]

    def _hire(self) -> _Member:
        member = _Member(self._actors.remote(self._folder))
        member.call("greet")
        return member

    # Work

    @property
    def has_room(self) -> bool:
        """Whether a worker that holds the model would take a further piece."""
        return self._free() is not None

    def _free(self) -> _Member | None:
        ready = [m for m in self.members if self._holds_model(m) and len(m.sent) < DEPTH]
        return min(ready, key=lambda member: len(member.sent), default=None)

    def _holds_model(self, member: _Member) -> bool:
        return self.assignment is not None and member.key == self.assignment.key

    def send(self, piece: Piece) -> None:
        """Give the piece to the worker that has the fewest."""
        member = self._free()
        assert member is not None
        member.call("run", piece.task, piece=piece)

    def assign_to_all(self) -> None:
        """Let all workers hold the model that is assigned."""
        self._waits_since = time.monotonic()
        for member in self.members:
            # Otherwise it has the model, or is about to load it.
            if member.has_greeted and not self._holds_model(member) and not member.sent:
                self._prepare(member)

    def _prepare(self, member: _Member) -> None:
        if (given := self.assignment) is not None:
            member.call("prepare", given.key, given.source, given.compiled, given.expected, key=given.key)

    def wait(self) -> Finished | Ended | None:
        """What has happened next; None after a short time, or where a worker has become ready.

        Raises:
            WorkerError: the cluster gives no worker, or its workers are of no use.
            LlmMiaError: what a worker has raised.
        """
        waiting = {member.sent[0].answer: member for member in self.members if member.sent}
        ready, _ = self._ray.wait([*waiting], num_returns=1, timeout=TICK) if waiting else ([], [])
        if not ready:
            self._refuse_to_wait_longer()
            self._report_silence()
            return None
        self._heard_at = time.monotonic()
        member = waiting[ready[0]]
        try:
            answer = self._ray.get(ready[0])
        except self._ray.exceptions.RayTaskError as error:
            _refuse_failed(error)
        except self._ray.exceptions.RayError as error:
            return self._replace(member, error)
        call, given = member.sent.popleft(), checked(answer)
        if call.method == "greet":
            _refuse_other_version(*given)
            member.has_greeted = True
            self._prepare(member)
        elif call.method == "prepare":
            member.key, self._ended_early = call.key, 0
            if not self._holds_model(member):  # meanwhile another model is wanted
                self._prepare(member)
        elif call.piece is not None:
            return Finished(call.piece, given)
        return None

    def _replace(self, member: _Member, error: Exception) -> Ended:
        """Start another worker in the place of one that has ended."""
        pieces = [call.piece for call in member.sent if call.piece is not None]
        if not pieces:
            self._ended_early += 1
            if self._ended_early >= ATTEMPTS * len(self.members) or "No module named" in str(error):
                raise _early_end(member.sent[0].method, error) from error
        self._dismiss(member)
        return Ended(pieces)

    def _dismiss(self, member: _Member) -> None:
        self._ray.kill(member.handle)  # it may only be out of reach
        self.members[self.members.index(member)] = self._hire()
        self._waits_since = time.monotonic()

    def _refuse_to_wait_longer(self) -> None:
        if any(self._holds_model(m) for m in self.members) or any(m.has_greeted for m in self.members):
            return
        if time.monotonic() - self._waits_since > PATIENCE:
            raise WorkerError(
                f"the cluster has started no worker for {PATIENCE:.0f} s: other jobs use its processors or cards, or "
                "its machines were removed; what is finished is kept: run the same command again later"
            )

    def _report_silence(self) -> None:
        seconds = time.monotonic() - self._heard_at
        if seconds > SILENCE:
            self._report(
                f"no Ray worker has answered for {seconds // 60:.0f} minutes: 'ray status' shows whether they are there"
            )

    # Questions

    def describe(self, assignment: Assignment) -> Description:
        """The model of *assignment*, loaded by the first worker that is ready; others get what is assigned."""
        reason: Exception | None = None
        for _ in range(ATTEMPTS):
            member = self._first(lambda member: member.has_greeted)
            try:
                answer = self._ray.get(
                    member.handle.prepare.remote(assignment.key, assignment.source, assignment.compiled, None)
                )
            except self._ray.exceptions.RayTaskError as error:
                _refuse_failed(error)
            except self._ray.exceptions.RayError as error:
                reason = error
                self._dismiss(member)
                continue
            description: Description = checked(answer)
            member.key = assignment.key
            return description
        raise _early_end("prepare", reason)

    def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What a worker that holds the model returns."""
        reason: Exception | None = None
        for _ in range(ATTEMPTS):
            member = self._first(self._holds_model)
            try:
                return checked(self._ray.get(getattr(member.handle, method).remote(*arguments, **named)))
            except self._ray.exceptions.RayTaskError as error:
                _refuse_failed(error)
            except self._ray.exceptions.RayError as error:
                reason = error
                self._dismiss(member)
        raise _early_end(method, reason)

    def _first(self, suits: Callable[[_Member], bool]) -> _Member:
        while (member := next(filter(suits, self.members), None)) is None:
            self.wait()
        return member

    def dismiss_all(self) -> None:
        """End all workers."""
        for member in self.members:
            self._ray.kill(member.handle)


def _refuse_other_version(version: str, host: str) -> None:
    if version != __version__:
        raise WorkerError(
            f"the worker on {host} has llm_mia {version}, and this process has {__version__}: install the same version "
            "on all machines of the cluster"
        )


def _refuse_failed(error: Any) -> NoReturn:
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines() or [""]
    raise WorkerError(
        f"a worker of the cluster failed: {type(cause).__name__}: {lines[-1]}; what is finished is kept"
    ) from error


def _early_end(method: str, error: Exception | None) -> WorkerError:
    text = str(error)
    if "No module named" in text:
        return WorkerError(
            f"the workers of the cluster cannot import llm_mia, or a package that it needs: install llm-mia "
            f"{__version__} on all machines of the cluster"
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    doing = {"greet": "started", "prepare": "loaded the model"}.get(method, "read the texts")
    return WorkerError(
        f"the workers of the cluster ended one after another while they {doing} ({lines[0]}): give them more "
        "memory (fewer `processes`), or a model that they can load"
    )
