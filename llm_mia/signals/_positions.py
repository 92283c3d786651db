"""Scores passages of a pass, and writes part after part."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ..backends import RemoteBackend
from ..records import TokenSignals
from ..store import SignalsFolder, signals_table
from ._blocks import Block, PassSetup, blocks, score_block
from ._cache import SignalsCache
from ._inputs import Inputs
from ._limits import Limits
from ._progress import PassProgress
from ._threads import BackgroundWriter, prefetch, stoppable
from ._unfinished import UnfinishedBlocks

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["score_positions"]


def score_positions(
    folder: SignalsFolder, setup: PassSetup, inputs: Inputs, positions: range, report: PassProgress, limits: Limits
) -> None:
    """Score the passages at *positions*, and write part after part to *folder*.

    Several threads or processes may do so for the same folder, each with positions that no other has.
    """
    repeated = inputs.check.repeated
    cache = SignalsCache(limits.cached_bytes)
    cache.add_stored(folder, repeated, positions.start)
    stopped = threading.Event()
    if setup.rewrite is not None:
        setup = replace(setup, rewrite=stoppable(setup.rewrite, stopped))
    passages = islice(inputs, positions.start, positions.stop)
    prepared = prefetch(blocks(setup, passages, positions.start, repeated))
    writer, saved, first = _PartWriter(folder, limits, report), 0, positions.start
    try:
        with BackgroundWriter(writer) as write, closing(prepared):
            saves = UnfinishedBlocks(folder, limits.part_seconds, write_blocks=lambda: write(None))
            try:
                for block in prepared:
                    first = block.first
                    write((block, score_block(setup, block, cache, report, saves)))
                    saves.end_block()
            except KeyboardInterrupt:  # all finished batches are kept
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

    def __init__(self, folder: SignalsFolder, limits: Limits, report: PassProgress) -> None:
        self._folder, self._limits, self._report = folder, limits, report
        self.written_to = 0
        """Position after the last passage in a part."""
        self._first = 0
        self._tables: list[pa.Table] = []
        self._tokens, self._since = 0, time.monotonic()

    def __call__(self, scored: tuple[Block, Sequence[TokenSignals]] | None) -> None:
        if scored is not None:
            block, signals = scored
            self._first = self._first if self._tables else block.first
            self._tables.append(signals_table(block.ids, block.digests, signals))
            self._tokens += sum(map(len, signals))
        late = time.monotonic() - self._since >= self._limits.part_seconds
        enough = late or self._tokens >= self._limits.part_tokens
        if self._tables and (enough or scored is None):
            self._folder.append(self._first, self._tables)
            passages = sum(map(len, self._tables))
            self.written_to = self._first + passages
            self._report.kept += passages
            self._tables, self._tokens, self._since = [], 0, time.monotonic()
