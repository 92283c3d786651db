"""Trains several models at the same time, each in a process of its own: small models do not keep many cores busy."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from ..backends import ModelSpec
from ..errors import LlmMiaError, ModelError, UsageError
from ..signals import Progress, Step
from ._recipe import Recipe
from ._record import TrainingRecord
from ._train import train

__all__ = ["Training", "train_side_by_side"]


@dataclass(frozen=True, slots=True)
class Training:
    """A model to train: the arguments of `train`, and the name of the model in messages."""

    base: ModelSpec
    texts: tuple[str, ...]
    out: Path
    recipe: Recipe
    name: str

    def run(self, progress: Progress | None) -> TrainingRecord:
        """Train the model by `train`, unless it is trained; a `ModelError` begins with the name."""
        try:
            return train(self.base, self.texts, self.out, self.recipe, name=f"training {self.name}", progress=progress)
        except ModelError as error:
            raise ModelError(f"{self.name}: {error}") from error


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


def train_side_by_side(
    trainings: Sequence[Training], processes: int, *, name: str = "training", progress: Progress | None = None
) -> None:
    """Train the models on the CPU, *processes* at a time, which share its cores.

    Each model equals that of `train` with as many threads; with more threads a model may differ by rounding. Where a
    training fails, the others are stopped; the same call continues all of them.

    Args:
        trainings: the models.
        processes: how many are trained at the same time. In a Python script, write the call under
            ``if __name__ == "__main__":``, because each process imports the script.
        name: what the progress bar calls the whole.
        progress: called after every step of a training, with the sums of all.

    Raises:
        UsageError: *processes* is below 1, or this machine has a CUDA device.
        ModelError: as `train` raises it, or a process was killed.
        LlmMiaError: whatever else `train` raises.
    """
    if processes < 1:
        raise UsageError(f"`processes` is {processes}: give 1 or more")
    if torch.cuda.is_available():
        raise UsageError("`processes` is for training on the CPU, and this machine has a CUDA device: leave it out")
    threads = max(1, torch.get_num_threads() // processes)
    sums = Sums(trainings, name, progress)
    running: dict[Connection, BaseProcess] = {}
    at_work: dict[Connection, str] = {}
    """The model that a process has reported last, or begins with."""
    with ExitStack() as ended:
        for first in range(min(processes, len(trainings))):
            shares = range(first, len(trainings), processes)
            receiver, process = _start([(at, trainings[at]) for at in shares], threads)
            ended.callback(process.join)
            ended.callback(process.terminate)
            ended.callback(receiver.close)
            running[receiver], at_work[receiver] = process, trainings[first].name
        while running:
            for ready in wait([*running]):
                assert isinstance(ready, Connection)
                try:
                    received = ready.recv()
                except EOFError:
                    _refuse_killed(running.pop(ready), at_work[ready])
                    continue
                if isinstance(received, Failure):
                    raise received.error()
                at_work[ready] = trainings[received[0]].name
                sums.add(*received)


def _start(share: Sequence[tuple[int, Training]], threads: int) -> tuple[Connection, BaseProcess]:
    """Start a process for a *share* of the trainings, each with its number; what it sends comes from the connection."""
    context = multiprocessing.get_context("spawn")  # a process that is forked hangs where torch has started threads
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, share, threads, os.getpid()), daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _work(sender: Connection, share: Sequence[tuple[int, Training]], threads: int, parent: int) -> None:
    """Train the models of a *share* after each other; sends their steps, and the failure that ends the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts every process; the parent ends this one
    torch.set_num_threads(threads)
    for number, training in share:

        def report(step: Step, number: int = number) -> None:
            if os.getppid() != parent:  # the caller was killed: its next call must not meet this process
                os._exit(1)
            sender.send((number, step))

        try:
            training.run(report)
        except LlmMiaError as error:
            sender.send(Failure(type(error), str(error)))
            return


def _refuse_killed(process: BaseProcess, name: str) -> None:
    """Raises `ModelError` where *process*, which trained the model *name*, did not end by itself."""
    process.join()
    if process.exitcode:
        why = f"was killed by signal {-process.exitcode}" if process.exitcode < 0 else f"ended with {process.exitcode}"
        raise ModelError(
            f"{name}: the process that trained it {why}, perhaps because the memory is full: the same call with a "
            "smaller `processes` continues"
        )


class Sums:
    """Reports the steps of several trainings as the steps of a single piece of work."""

    def __init__(self, trainings: Sequence[Training], name: str, progress: Progress | None) -> None:
        self._name, self._progress = name, progress
        self._texts = [len(training.texts) for training in trainings]
        self._bytes = [sum(len(text.encode()) for text in training.texts) for training in trainings]
        self._steps: dict[int, Step] = {}

    def add(self, number: int, step: Step) -> None:
        """Take in a step of the training with this number."""
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
                sum(self._texts),
                sum(self._bytes),
                kept=sum(each.kept for _, each in steps),
            )
        )
