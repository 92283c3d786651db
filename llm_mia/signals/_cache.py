"""Signals of texts that occur more than once, so that each is computed once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import TokenSignals
from ..store import SignalsFolder

__all__ = ["SignalsCache"]

# What a text takes in memory: its arrays, and the Python objects around them.
BYTES_PER_TOKEN, BYTES_PER_TEXT = 24, 1024


class SignalsCache:
    """Signals by the digest of their text; the oldest are dropped when the memory is used up.

    Its contents depend only on the passages before, so a run that continues has the same contents.
    """

    def __init__(self, n_bytes: int) -> None:
        self._room = n_bytes
        self._signals: dict[str, TokenSignals] = {}

    def get(self, digest: str) -> TokenSignals | None:
        """The signals of a text; None where the cache does not hold them."""
        return self._signals.get(digest)

    def add(self, digest: str, signals: TokenSignals) -> None:
        """Keep a copy of the signals of a text, unless the cache holds them already."""
        if digest in self._signals:
            return
        self._signals[digest] = signals.copy()  # they may be views of a whole batch
        self._room -= _size(signals)
        while self._room < 0:
            oldest = next(iter(self._signals))
            self._room += _size(self._signals.pop(oldest))

    def add_stored(self, folder: SignalsFolder, repeated: NDArray[np.intp], stop: int) -> None:
        """Keep what a pass would have kept after it computed the passages before the position *stop*.

        Args:
            folder: the signals of the pass.
            repeated: positions of the passages whose text occurs more than once, ascending.
            stop: a position in the input.
        """
        if not stop or not len(repeated):
            return
        for chunk in folder.chunks(stop=stop):
            first, last = repeated.searchsorted([chunk.first, chunk.first + len(chunk)])
            for row in (repeated[first:last] - chunk.first).tolist():
                self.add(chunk.text_sha256[row], chunk.signals(row))


def _size(signals: TokenSignals) -> int:
    return BYTES_PER_TOKEN * len(signals) + BYTES_PER_TEXT
