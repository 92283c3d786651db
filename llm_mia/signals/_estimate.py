"""How long a call will take: its models are loaded and a few batches of each pass are measured; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec

from ..passages import Passages
from ..records import KeptSignals
from ..store import RunDirectory, UnwrittenRun
from ._sharing import current_sharing

__all__ = [
    "DryRun",
    "Estimate",
    "Estimated",
    "PassEstimate",
    "TrainingEstimate",
    "dry_run",
    "estimate",
    "open_run",
    "running_dry",
]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class PassEstimate:
    """What a pass will take."""

    name: str
    """The name of the pass, such as ``target``."""
    role: str
    """The role of its model."""
    model: str
    """The name of its model."""
    passages: int
    """Passages and canaries that the model has to read: neither stored signals nor copies of another text count."""
    tokens: int
    """Tokens that are scored, or at most written; an estimate where the tokenizer read only a part of the texts."""
    seconds: float
    bytes_on_disk: int
    """Size of its signals or texts, bytes."""
    continuations: int = 0
    """Texts that the model is asked for; 0 where it scores."""
    requests: int = 0
    """Of a model behind an endpoint: at least so many, one for each continuation or passage that fits into a window."""
    probes: int = 0
    """Further requests, which measure the server at the beginning; passes of the same role share them."""
    price: float | None = None
    """Of `requests`; None where the price of a token is not known."""


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What the training of a model will take."""

    name: str
    """Its role, such as ``shadow-00``."""
    texts: int
    tokens: int
    """Tokens that are fed, in all epochs; a training that stops early feeds fewer."""
    seconds: float
    bytes_on_disk: int
    """Size of the trained weights, bytes."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call will take, measured on the first steps of a training and the first batches of each pass."""

    passages: int
    """All passages of the input."""
    seconds: float
    """Of the whole call, but for the attacks and the decisions: these take seconds."""
    passes: tuple[PassEstimate, ...]
    """The passes that the run directory lacks, wholly or in part; empty where it has all signals."""
    attacks: tuple[str, ...]
    """The columns of scores; empty where the call computes no scores."""
    trainings: tuple[TrainingEstimate, ...] = ()
    """The models that are still to be trained; they run before the passes."""
    canaries: int = 0
    """Random texts that `defend` adds; its models read them as they read the passages."""
    loading: Mapping[str, float] = field(default_factory=dict)
    """By role: how many of `seconds` the loading of its model takes."""
    kept_signals: KeptSignals = KeptSignals.FULL
    """Whether the bytes of the signals stay on disk, or only until the scores are written (`KeptSignals.NONE`)."""

    def share_of(self, role: str) -> float:
        """The share of `seconds` that a model takes, to be loaded and to read; 0 to 1."""
        reading = sum(each.seconds for each in self.passes if each.role == role)
        return (self.loading.get(role, 0.0) + reading) / max(self.seconds, 1e-9)

    @property
    def bytes_on_disk(self) -> int:
        """Of the signals of all passes, and of all trained weights."""
        return sum(each.bytes_on_disk for each in self.passes) + sum(each.bytes_on_disk for each in self.trainings)


class Estimated(Exception):  # noqa: N818 - no error: it ends a dry run where the real run would begin to compute
    """Ends a dry run."""

    def __init__(self, estimate: Estimate) -> None:
        super().__init__()
        self.estimate = estimate


@dataclass(slots=True)
class DryRun:
    """What a dry run has measured so far."""

    started: float = field(default_factory=time.monotonic)
    measuring: float = 0.0
    """Seconds in which passes and trainings were measured; a real run has all the other seconds, too."""
    trainings: list[TrainingEstimate] = field(default_factory=list)
    passes: list[PassEstimate] = field(default_factory=list)
    loading: dict[str, float] = field(default_factory=dict)
    """By role: seconds in which its model was loaded."""
    attacks: tuple[str, ...] = ()
    kept_signals: KeptSignals = KeptSignals.FULL
    further: list[Passages] = field(default_factory=list)
    """Passages that the same models read later in the call."""

    def further_size(self) -> tuple[int, int]:
        """Number and bytes of the passages that are read later."""
        counts = [source.contents().counts for source in self.further]
        return sum(each.passages for each in counts), sum(each.bytes for each in counts)

    def estimate(self, passages: int, canaries: int = 0) -> Estimate:
        """The estimate of a call on so many *passages*, and *canaries* that it adds."""
        besides = time.monotonic() - self.started - self.measuring
        seconds = besides + sum(each.seconds for each in self.passes) + sum(each.seconds for each in self.trainings)
        number = passages + self.further_size()[0]
        passes, trainings = tuple(self.passes), tuple(self.trainings)
        return Estimate(
            number, seconds, passes, self.attacks, trainings, canaries, dict(self.loading), self.kept_signals
        )


_running: ContextVar[DryRun | None] = ContextVar("dry_run", default=None)


def running_dry() -> DryRun | None:
    """The dry run that this call belongs to; None in a real run."""
    return _running.get()


@contextmanager
def dry_run() -> Iterator[DryRun]:
    """While it is open, a call that would run passes measures them, writes nothing, and ends with `Estimated`."""
    begun = DryRun()
    token = _running.set(begun)
    try:
        yield begun
    finally:
        _running.reset(token)


def estimate(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Estimate:
    """How long *call* will take with these arguments; it does not run, and nothing is written.

    *call* is `score`, `audit`, `extract`, `write_signals`, `write_perplexities`, `gate`, `train_shadows`, `defend`
    or `plan_canaries`. Whatever needs no model is done, so bad arguments and input are refused as they are in the call.
    Then each model that has passages to read is loaded, and the first batches of each of its passes are measured. Where
    models are trained, the first steps of a training are measured, and the passes of the trained models are measured on
    their base.

    >>> from llm_mia import write_signals
    >>> from llm_mia.backends.fake import FakeBackend
    >>> estimate(write_signals, ["a text", "another text"], FakeBackend(0), out="run").passes[0].tokens
    16
    """
    with dry_run():
        try:
            call(*args, **kwargs)
        except Estimated as ended:
            return ended.estimate
    raise TypeError(f"{call!r} runs no pass, so there is nothing to estimate")


def open_run(path: str | Path) -> RunDirectory:
    """The run directory *path*, to be closed; in a dry run nothing is written to it."""
    if running_dry() is not None:
        return UnwrittenRun(path)
    shared = current_sharing()
    return RunDirectory(path) if shared is None else shared.open_run(Path(path))
