"""Scores passages of a pass, and writes part after part."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from ..backends import RemoteBackend
from ..errors import WorkerError
from ..records import Passage, TokenSignals
from ..store import SignalsFolder, StoredChunk, signals_table
from ._blocks import Block, Copies, PassSetup, blocks, score_block
from ._cache import SignalsCache
from ._inputs import Inputs
from ._limits import Limits
from ._progress import PassProgress
from ._threads import BackgroundWriter, prefetch, stoppable
from ._unfinished import UnfinishedBlocks

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PartSink", "score_gaps", "score_passages", "score_positions"]


class PartSink(Protocol):
    """Takes the signals of a pass: its folder, or what carries them there."""

    def append(self, first: int, tables: Sequence[pa.Table]) -> None:
        """Take the passages from the position *first* on."""

    def write_unfinished(self, first: int, table: pa.Table) -> None:
        """Take the finished windows of the block that begins at *first*."""

    def read_unfinished(self, first: int) -> StoredChunk | None:
        """The finished windows of the block that begins at *first*, from an earlier run; None where there are none."""


def score_positions(
    folder: SignalsFolder, setup: PassSetup, inputs: Inputs, positions: range, report: PassProgress, limits: Limits
) -> None:
    """Score the passages at *positions*, and write part after part to *folder*.

    Several threads or processes may do so for the same folder, each with positions that no other has.
    """
    score_gaps(folder, setup, inputs, [positions], report, limits)


def score_gaps(
    folder: SignalsFolder,
    setup: PassSetup,
    inputs: Inputs,
    gaps: Sequence[range],
    report: PassProgress,
    limits: Limits,
) -> None:
    """Do what `score_positions` does for each of *gaps*, which ascend."""
    cache, read_to = SignalsCache(limits.cached_bytes), 0
    copies = Copies(inputs.check.repeated)
    for positions in gaps:
        cache.add_stored(folder, inputs, read_to, positions.start)
        passages = islice(inputs, positions.start, positions.stop)
        score_passages(folder, setup, passages, positions.start, copies, cache, report, limits)
        read_to = positions.stop


def score_passages(
    sink: PartSink,
    setup: PassSetup,
    passages: Iterator[Passage],
    first: int,
    copies: Copies,
    cache: SignalsCache,
    report: PassProgress,
    limits: Limits,
) -> None:
    """Score *passages*, of which the first has the position *first*, and give part after part to *sink*.

    Of a block that needs signals that are elsewhere the computed windows are given, as those of an unfinished block.
    """
    stopped = threading.Event()
    if setup.rewrite is not None:
        setup = replace(setup, rewrite=stoppable(setup.rewrite, stopped))
    prepared = prefetch(blocks(setup, passages, first, copies))
    writer, saved = _PartWriter(sink, setup.kept_fields, limits, report), 0
    try:
        with BackgroundWriter(writer) as write, closing(prepared):
            saves = UnfinishedBlocks(
                sink, limits.part_seconds, write_blocks=lambda: write(None), kept_fields=setup.kept_fields
            )
            try:
                for block in prepared:
                    first = block.first
                    signals = score_block(setup, block, cache, report, saves)
                    if signals is None:
                        write(None)
                        saves.save()
                    else:
                        write((block, signals))
                    saves.end_block()
            except (KeyboardInterrupt, WorkerError):  # all finished batches are kept
                saved = saves.save()
                raise
            finally:
                stopped.set()
                if sys.exc_info()[0] is not None and isinstance(setup.backend, RemoteBackend):
                    setup.backend.stop()  # another thread asks for further blocks
                write(None)
    finally:
        # The interrupt may come when the block is on its way to a part, which then holds these passages, too.
        report.kept += 0 if writer.written_to > first else saved
        report.add(0, 0, 0)  # reports what is kept now


class _PartWriter:
    """Takes the blocks of a pass, and writes a part when it has enough of them; None ends the last part."""

    def __init__(
        self, sink: PartSink, kept_fields: Collection[str] | None, limits: Limits, report: PassProgress
    ) -> None:
        self._sink, self._kept_fields, self._limits, self._report = sink, kept_fields, limits, report
        self.written_to = 0
        """Position after the last passage in a part."""
        self._first = 0
        self._tables: list[pa.Table] = []
        self._tokens, self._since = 0, time.monotonic()

    def __call__(self, scored: tuple[Block, Sequence[TokenSignals]] | None) -> None:
        if scored is not None:
            block, signals = scored
            self._first = self._first if self._tables else block.first
            self._tables.append(signals_table(block.ids, block.digests, signals, self._kept_fields))
            self._tokens += sum(map(len, signals))
        late = time.monotonic() - self._since >= self._limits.part_seconds
        enough = late or self._tokens >= self._limits.part_tokens
        if self._tables and (enough or scored is None):
            self._sink.append(self._first, self._tables)
            passages = sum(map(len, self._tables))
            self.written_to = self._first + passages
            self._report.kept += passages
            self._tables, self._tokens, self._since = [], 0, time.monotonic()
