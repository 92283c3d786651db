"""Several processes that compute the passes of a run together: what they are asked for, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..attacks import Rewrite
from ..backends import Backend, ModelSpec
from ..records import BlockSize, IntArray, LeftOut, Passage, WindowRule, text_sha256
from ..store import RunDirectory, SignalsFolder, StoredChunk, signals_table
from ._blocks import Copies, PassSetup
from ._cache import SignalsCache
from ._inputs import Inputs
from ._left_out import left_out_passages
from ._limits import Limits
from ._positions import PartSink, score_passages
from ._progress import PassProgress, Progress
from ._ranges import copied_positions, missing_blocks, share_out
from ._windows import join

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RangeTask", "ScoredRange", "SharedPass", "Sharing", "current_sharing", "sharing"]


class Sharing(Protocol):
    """The processes that compute the passes of a run together; `sharing` installs it, and `run_passes` calls it.

    A single process leads: it locks the run directory and writes its records. The others may make the same calls, and
    then follow it (``leads`` is False), or they know nothing of the run and compute what they are sent.
    """

    @property
    def leads(self) -> bool:
        """Whether this process writes the records; else it only takes part in the passes."""

    def open_run(self, path: Path) -> RunDirectory:
        """The run directory, to be closed; one that is only read in a process that follows."""

    def load(self, source: ModelSpec, *, compiled: bool) -> tuple[Backend, str | None]:
        """The model of *source* and the digest of its files, None where there are none.

        A process that leads and holds no model returns a backend that describes it: its `Backend.info`, ``opening``,
        ``tokens_per_batch`` and ``offers`` are those of the model in a worker, ``encode`` gives its tokens, and
        ``score`` is not called.
        """

    def complete(self, work: SharedPass) -> None:
        """Have the blocks of *work* computed, and return when each is in its folder: as a part, or as unfinished.

        In a process that follows: compute what is left for this process, and return. Unfinished blocks lack only
        signals that are copied from other blocks; the process that leads copies them afterwards.

        Raises:
            WorkerError: another process has ended before its work was finished.
        """

    def end_passes(self) -> None:
        """All passes of a call of `run_passes` are finished; a process that follows may end the call by an exception.

        What comes afterwards (scores, decisions) is the work of the process that leads.
        """


_current: ContextVar[Sharing | None] = ContextVar("sharing", default=None)


def current_sharing() -> Sharing | None:
    """The processes with which this call shares its passes; None where it computes them alone."""
    return _current.get()


@contextmanager
def sharing(processes: Sharing) -> Iterator[None]:
    """While it is open, passes are shared with *processes*."""
    token = _current.set(processes)
    try:
        yield
    finally:
        _current.reset(token)


@dataclass(frozen=True)
class SharedPass:
    """A pass of which several processes compute the blocks that are missing."""

    name: str
    """Its folder under ``signals/``."""
    source: Backend | ModelSpec
    """The model, or how it is loaded: in the precision of the record."""
    setup: PassSetup
    inputs: Inputs
    blocks: Sequence[range]
    """The positions of each block that is missing, ascending."""
    folder: SignalsFolder
    report: PassProgress
    limits: Limits
    record_left_out: Callable[[Sequence[LeftOut]], None] = lambda _: None
    """Records passages that have no signals."""

    @classmethod
    def of(
        cls,
        name: str,
        source: Backend | ModelSpec,
        setup: PassSetup,
        inputs: Inputs,
        missing: Sequence[range],
        folder: SignalsFolder,
        report: PassProgress,
        limits: Limits,
    ) -> SharedPass:
        """The pass that lacks the positions *missing*; where a block ends depends on the passages alone."""
        if isinstance(source, ModelSpec):
            source = source.in_precision(setup.backend.info.dtype)
        return cls(name, source, setup, inputs, missing_blocks(inputs, setup.size, missing), folder, report, limits)

    def ranges(self, processes: int, *, most_passages: int | None = None) -> list[range]:
        """The missing positions in ranges of whole blocks, to be taken in this order; see `share_out`."""
        return share_out(self.blocks, processes, most_passages=most_passages)

    @cached_property
    def copied(self) -> NDArray[np.intp]:
        """Positions of passages whose signals are copied from an earlier block, ascending."""
        return copied_positions(self.inputs, self.blocks, self.limits.cached_bytes)

    def score(self, positions: range, passages: Iterator[Passage] | None = None) -> None:
        """Compute a range in this process, and write it to the folder.

        *passages* are those of the range, where the caller has them; else the input is read from its beginning.
        """
        passages = islice(self.inputs, positions.start, positions.stop) if passages is None else passages
        copies = self._copies(positions)
        cache = SignalsCache(self.limits.cached_bytes)
        score_passages(self.folder, self.setup, passages, positions.start, copies, cache, self.report, self.limits)

    def task(self, positions: range, passages: Sequence[Passage]) -> RangeTask:
        """What a worker that has neither the input nor the run directory needs to compute a range."""
        setup = self.setup
        return RangeTask(
            self.name,
            positions.start,
            passages,
            self._copies(positions),
            setup.rule,
            setup.size,
            self.limits,
            setup.rewrite,
            setup.prefix,
            unchanged_elsewhere=setup.unchanged is not None,
            kept_fields=setup.kept_fields,
        )

    def leave_out(self, position: int, passage: Passage) -> None:
        """Record that the passage at *position* has no signals, and store it so."""
        # The record comes first: a passage without signals that nothing explains would look like one that is too short.
        self.record_left_out(left_out_passages(self.inputs, position, self.copied))
        nothing = join([], self.setup.backend.info.tokenizer)
        self.folder.append(
            position, [signals_table([passage.id], [text_sha256(passage.text)], [nothing], self.setup.kept_fields)]
        )
        self.report.kept += 1
        self.report.add(1, 0, passage.n_bytes)

    def _copies(self, positions: range) -> Copies:
        def within(all_positions: NDArray[np.intp]) -> NDArray[np.intp]:
            start, end = np.searchsorted(all_positions, [positions.start, positions.stop])
            return all_positions[start:end]

        return Copies(within(self.inputs.check.repeated), frozenset(within(self.copied).tolist()))


@dataclass(frozen=True, slots=True)
class RangeTask:
    """Consecutive blocks of a pass, for a worker that has neither the input nor the run directory."""

    name: str
    """Of the pass."""
    first: int
    """Position of the first passage."""
    passages: Sequence[Passage]
    copies: Copies
    rule: WindowRule
    size: BlockSize
    limits: Limits
    rewrite: Rewrite | None
    prefix: IntArray | None
    unchanged_elsewhere: bool
    kept_fields: tuple[str, ...] | None = None

    def part(self, start: int, stop: int, *, whole_blocks: bool) -> RangeTask:
        """The passages from *start* to *stop* (excluded), counted in this range.

        Where they are no *whole_blocks*, they are batched alone, so that their signals may differ in rounding, and no
        signals are copied from other blocks.
        """
        first, last = self.first + start, self.first + stop
        at, end = np.searchsorted(self.copies.repeated, [first, last])
        copied = frozenset(each for each in self.copies.copied or () if whole_blocks and first <= each < last)
        return replace(
            self,
            first=first,
            passages=self.passages[start:stop],
            copies=Copies(self.copies.repeated[at:end], copied),
            unchanged_elsewhere=self.unchanged_elsewhere and whole_blocks,
        )

    def run(self, backend: Backend, progress: Progress | None = None) -> ScoredRange:
        """The signals of the blocks, by the model that `SharedPass.source` names."""
        setup = PassSetup(
            backend,
            self.rule,
            self.size,
            self.rewrite,
            prefix=self.prefix,
            unchanged_elsewhere=self.unchanged_elsewhere,
            kept_fields=self.kept_fields,
        )
        report = PassProgress(
            self.name, len(self.passages), sum(passage.n_bytes for passage in self.passages), progress
        )
        scored, cache = ScoredRange(), SignalsCache(self.limits.cached_bytes)
        limits = replace(self.limits, part_seconds=float("inf"))  # nothing is kept before a range is finished
        score_passages(scored, setup, iter(self.passages), self.first, self.copies, cache, report, limits)
        scored.passages, scored.tokens, scored.bytes = report.sums
        return scored


@dataclass
class ScoredRange(PartSink):
    """The signals of a range, on their way to the process that leads, which writes them."""

    parts: list[tuple[int, Sequence[pa.Table]]] = field(default_factory=list)
    """The first position of each part, and its tables."""
    unfinished: list[tuple[int, pa.Table]] = field(default_factory=list)
    """Blocks that lack signals which are copied from other blocks: first position, and the computed windows."""
    passages: int = 0
    tokens: int = 0
    bytes: int = 0

    def append(self, first: int, tables: Sequence[pa.Table]) -> None:
        """Take the passages from the position *first* on."""
        self.parts.append((first, tables))

    def write_unfinished(self, first: int, table: pa.Table) -> None:
        """Take the computed windows of the block that begins at *first*."""
        self.unfinished.append((first, table))

    def read_unfinished(self, first: int) -> StoredChunk | None:  # noqa: ARG002
        """None: a worker has nothing of an earlier run."""
        return None

    def write(self, work: SharedPass) -> None:
        """Write the signals to the folder of *work*, and report them."""
        for first, table in self.unfinished:
            work.folder.write_unfinished(first, table)
        for first, tables in self.parts:
            work.folder.append(first, tables)
            work.report.kept += sum(map(len, tables))
        work.report.add(self.passages, self.tokens, self.bytes)
