"""The passes of shadow models over their pool, each in a process of its own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backends import ModelSpec
from ..records import PassRecord, RunRecord
from ..signals import Inputs, Limits, PlannedPass, Progress, run_passes
from ..store import RunDirectory, UnwrittenRun, read_run
from ..training import explained_damage
from ._pool import stored_pool

if TYPE_CHECKING:
    from ..training import Ask

__all__ = ["PoolPass", "run_side_by_side"]


@dataclass(frozen=True, slots=True)
class PoolPass:
    """The pass of a model over the pool, as a job of `llm_mia.training.compute_side_by_side`."""

    path: Path
    """The run directory, which holds the pool, and of which ``run.json`` is there."""
    pool_sha256: str
    passages: int
    bytes: int
    name: str
    """The role of the model, and the name of the pass."""
    model: ModelSpec
    window_tokens: int | None
    limits: Limits | None

    @property
    def verb(self) -> str:
        """What a process does with the model."""
        return "read the pool by"

    def compute(self, report: Progress, ask: Ask) -> None:
        """Write the signals; what the record of the run says of them is written by the process that leads."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is finished is written before the end
        inputs = Inputs.of([stored_pool(self.path, self.pool_sha256)])
        try:
            with explained_damage([Path(self.model.name)]):
                run_passes(
                    AskingRun(self.path, self.name, ask),
                    inputs,
                    {self.name: self.model},
                    [PlannedPass(self.name, self.name, self.name, inputs)],
                    window_tokens=self.window_tokens,
                    limits=self.limits,
                    progress=report,
                )
        except KeyboardInterrupt:
            raise SystemExit(1) from None
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class Claim:
    """Asks the process that leads to record how a pass runs."""

    name: str
    record: PassRecord


@dataclass(frozen=True, slots=True)
class Spent:
    """Asks the process that leads to record how long a pass has taken."""

    name: str
    seconds: float


class AskingRun(UnwrittenRun):
    """The run directory in the process of a pass: another process holds its lock, and writes its record."""

    def __init__(self, path: Path, name: str, ask: Ask) -> None:
        super().__init__(path)
        self._name, self._ask = name, ask

    @property
    def record(self) -> RunRecord:
        """The contents of ``run.json``."""
        return read_run(self.path)

    def claim(self, name: str, wanted: PassRecord) -> None:
        """Have the pass recorded; where that is refused, the process that leads raises the error."""
        self._ask(Claim(name, wanted))

    def update(self, **changes: Any) -> None:
        """Have the seconds of the pass recorded; all else of the record is known there."""
        if self._name in changes.get("wall_seconds", {}):
            self._ask(Spent(self._name, changes["wall_seconds"][self._name]))


def run_side_by_side(
    run: RunDirectory, passes: Sequence[PoolPass], processes: int, *, progress: Progress | None = None
) -> None:
    """Run the passes that are not finished, *processes* at a time.

    Raises:
        ModelError, LlmMiaError: see `llm_mia.training.compute_side_by_side`; the message names the model.
    """
    from ..training import compute_side_by_side

    def answer(asked: Claim | Spent) -> None:
        if isinstance(asked, Claim):
            run.claim(asked.name, asked.record)
        else:
            run.update(wall_seconds={**run.record.wall_seconds, asked.name: asked.seconds})

    left = [each for each in passes if not _is_finished(run, each)]
    name = f"signals of {len(left)} models"
    compute_side_by_side(left, processes, name=name, progress=progress, answer=answer)


def _is_finished(run: RunDirectory, each: PoolPass) -> bool:
    return each.name in run.record.passes and not run.signals(each.name, ()).missing(each.passages)
