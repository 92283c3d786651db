"""Computes several jobs at the same time, each in a process of its own: small models do not keep many cores busy."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import torch

from ..errors import LlmMiaError, ModelError, UsageError
from ..signals import Progress, Step

__all__ = ["Ask", "Job", "compute_side_by_side"]

Ask = Callable[[Any], Any]
"""Takes a question, and returns its answer."""


class Job(Protocol):
    """What a process computes; it is pickled on its way there."""

    @property
    def name(self) -> str:
        """Of the model, in messages."""

    @property
    def verb(self) -> str:
        """What the process did with the model: ``trained``."""

    @property
    def passages(self) -> int:
        """How many the steps add up to, as for bytes."""

    @property
    def bytes(self) -> int:
        """Of UTF-8."""

    def compute(self, report: Progress, ask: Ask) -> None:
        """Do the work: *report* takes its steps, and *ask* gives the answers of the process that leads."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a process could not train a model; an error itself may not survive the way to another process."""

    kind: type[LlmMiaError]
    message: str

    def error(self) -> LlmMiaError:
        """The error, with the same message."""
        error = self.kind.__new__(self.kind)
        error.args = (self.message,)
        return error


@dataclass(frozen=True, slots=True)
class Question:
    """What a process asks of the process that leads."""

    content: Any


def compute_side_by_side(
    jobs: Sequence[Job], processes: int, *, name: str, progress: Progress | None = None, answer: Ask | None = None
) -> None:
    """Compute the jobs on the CPU, *processes* at a time, which share its cores.

    Each result equals that of a single process with as many threads; with more threads it may differ by rounding. Where
    a job fails, the others are stopped; the same call continues all of them.

    Args:
        jobs: what is computed.
        processes: how many are computed at the same time. In a Python script, write the call under
            ``if __name__ == "__main__":``, because each process imports the script.
        name: what the progress bar calls the whole.
        progress: called after every step of a job, with the sums of all.
        answer: answers the questions of the jobs, in this process.

    Raises:
        UsageError: *processes* is below 1, or this machine has a CUDA device.
        ModelError: a job raises it, or a process was killed.
        LlmMiaError: whatever else a job or *answer* raises.
    """
    if processes < 1:
        raise UsageError(f"`processes` is {processes}: give 1 or more")
    if torch.cuda.is_available():
        raise UsageError("`processes` is for the CPU, and this machine has a CUDA device: leave it out")
    threads = max(1, torch.get_num_threads() // processes)
    sums = Sums(jobs, name, progress)
    running: dict[Connection, BaseProcess] = {}
    at_work: dict[Connection, Job] = {}
    """The job that a process has reported last, or begins with."""
    with ExitStack() as ended:
        for first in range(min(processes, len(jobs))):
            connection, process = _start([(at, jobs[at]) for at in range(first, len(jobs), processes)], threads)
            ended.callback(process.join)
            ended.callback(process.terminate)
            ended.callback(connection.close)
            running[connection], at_work[connection] = process, jobs[first]
        while running:
            for ready in wait([*running]):
                assert isinstance(ready, Connection)
                try:
                    received = ready.recv()
                except (EOFError, ConnectionResetError):
                    _refuse_killed(running.pop(ready), at_work[ready])
                    continue
                if isinstance(received, Failure):
                    raise received.error()
                if isinstance(received, Question):
                    assert answer is not None, "the job asks nothing"
                    ready.send(answer(received.content))
                    continue
                at_work[ready] = jobs[received[0]]
                sums.add(*received)


def _start(share: Sequence[tuple[int, Job]], threads: int) -> tuple[Connection, BaseProcess]:
    """Start a process for a *share* of the jobs, each with its number; the connection leads to it."""
    context = multiprocessing.get_context("spawn")  # a process that is forked hangs where torch has started threads
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, share, threads, os.getpid()), daemon=True)
    process.start()
    there.close()
    return here, process


def _work(leader: Connection, share: Sequence[tuple[int, Job]], threads: int, parent: int) -> None:
    """Compute the jobs of a *share* after each other; sends their steps, and the failure that ends the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts every process; the parent ends this one
    torch.set_num_threads(threads)

    def ask(question: Any) -> Any:
        leader.send(Question(question))
        return leader.recv()

    for number, job in share:

        def report(step: Step, number: int = number) -> None:
            if os.getppid() != parent:  # the caller was killed: its next call must not meet this process
                os._exit(1)
            leader.send((number, step))

        try:
            job.compute(report, ask)
        except LlmMiaError as error:
            leader.send(Failure(type(error), str(error)))
            return
        except (EOFError, ConnectionError):  # the process that leads was killed, or ends this one
            os._exit(1)


def _refuse_killed(process: BaseProcess, job: Job) -> None:
    """Raises `ModelError` where *process*, which computed *job* last, did not end by itself."""
    process.join()
    if process.exitcode:
        why = f"was killed by signal {-process.exitcode}" if process.exitcode < 0 else f"ended with {process.exitcode}"
        raise ModelError(
            f"{job.name}: the process that {job.verb} it {why}, perhaps because the memory is full: the same call "
            "with a smaller `processes` continues"
        )


class Sums:
    """Reports the steps of several jobs as the steps of a single piece of work."""

    def __init__(self, jobs: Sequence[Job], name: str, progress: Progress | None) -> None:
        self._name, self._progress = name, progress
        self._passages = [job.passages for job in jobs]
        self._bytes = [job.bytes for job in jobs]
        self._steps: dict[int, Step] = {}

    def add(self, number: int, step: Step) -> None:
        """Take in a step of the job with this number."""
        if not self._progress or not step.total_bytes:
            return  # an activity, such as loading the model, which all do at different times
        self._steps[number] = step
        steps = self._steps.items()
        self._progress(
            Step(
                self._name,
                sum(each.passages for _, each in steps),
                sum(each.tokens for _, each in steps),
                sum(self._bytes[at] * each.bytes // each.total_bytes for at, each in steps),
                sum(self._passages),
                sum(self._bytes),
                kept=sum(each.kept for _, each in steps),
            )
        )
