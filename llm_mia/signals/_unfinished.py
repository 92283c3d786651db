"""The block that is being scored: its finished windows are kept on disk until the whole block is."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from ..records import TokenSignals, Window
from ..store import signals_table

if TYPE_CHECKING:
    from ._positions import PartSink

__all__ = ["UnfinishedBlocks"]


class UnfinishedBlocks:
    """Keeps the finished windows of the current block, so that a run that is stopped does not compute them again.

    A block is scored longest window first, so until its end few of its passages are complete and no part can be
    written. On a slow machine a block takes many minutes.

    Args:
        sink: takes the signals of the pass.
        seconds: windows are written when this time has passed since the last time.
        write_blocks: writes the finished blocks that still wait; it is called before windows are written.
        kept_fields: the arrays of `TokenSignals` that are written; None: all.
    """

    def __init__(
        self,
        sink: PartSink,
        seconds: float,
        write_blocks: Callable[[], None],
        kept_fields: Collection[str] | None = None,
    ) -> None:
        self._sink, self._seconds, self._write_blocks = sink, seconds, write_blocks
        self._kept_fields = kept_fields
        self._saved_at = time.monotonic()
        self._first = 0
        self._passages: Sequence[int] = ()
        self._windows: dict[str, TokenSignals] = {}
        """The finished windows, by digest."""
        self._digests: list[str] = []

    def begin_block(self, first: int, windows: Sequence[Window]) -> None:
        """Turn to the block at the position *first*, of which *windows* are scored; reads what an earlier run kept."""
        self._first, self._passages = first, [window.passage for window in windows]
        self._digests = [_digest(window) for window in windows]
        kept = self._sink.read_unfinished(first)
        self._windows = {} if kept is None else {digest: kept.signals(i) for i, digest in enumerate(kept.text_sha256)}

    def end_block(self) -> None:
        """The block is finished, and its signals are on their way to a part."""
        self._windows, self._digests = {}, []

    def kept(self, positions: Sequence[int]) -> list[TokenSignals] | None:
        """The signals of the windows at *positions* in the block; None unless all of them are kept."""
        signals = [self._windows.get(self._digests[position]) for position in positions]
        kept = [of_window for of_window in signals if of_window is not None]
        return kept if len(kept) == len(signals) else None

    def add(self, positions: Sequence[int], signals: Sequence[TokenSignals]) -> None:
        """Keep the *signals* of the windows at *positions* in the block; they are written when it is time."""
        self._windows |= {self._digests[at]: of_window for at, of_window in zip(positions, signals, strict=True)}
        is_last = len(self._windows) == len(set(self._digests))
        if not is_last and time.monotonic() - self._saved_at >= self._seconds:
            self._write_blocks()
            self.save()

    def save(self) -> int:
        """Write the finished windows of the block; returns how many passages are complete with them."""
        self._saved_at = time.monotonic()
        if not self._windows:
            return 0
        digests, signals = list(self._windows), list(self._windows.values())
        self._sink.write_unfinished(self._first, signals_table(digests, digests, signals, self._kept_fields))
        left = Counter(self._passages)
        left.subtract(
            passage for passage, digest in zip(self._passages, self._digests, strict=True) if digest in self._windows
        )
        return sum(count == 0 for count in left.values())


def _digest(window: Window) -> str:
    """Digest of the tokens that are fed, and of where the scored ones begin."""
    return hashlib.sha256(b"%d " % window.first_scored + window.tokens.astype("<i4").tobytes()).hexdigest()
