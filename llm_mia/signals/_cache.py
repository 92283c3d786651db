"""Signals of texts that occur more than once, so that each is computed once."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..records import TokenSignals
from ..store import SignalsFolder
from ._inputs import Inputs

__all__ = ["Recent", "SignalsCache"]

V = TypeVar("V")
# What a text takes in memory: 24 bytes a token, of three bytes or more, and the Python objects around its arrays. It is
# counted by the bytes of the text, so that what is held does not depend on the model.
PER_BYTE, PER_TEXT = 8, 1024


class Recent(Generic[V]):
    """Values by the digest of a text; the oldest are dropped when the memory is used up.

    What it holds depends only on the texts that were added before.
    """

    def __init__(self, n_bytes: int) -> None:
        self._room = n_bytes
        self._values: dict[str, tuple[V, int]] = {}

    def __contains__(self, digest: str) -> bool:
        return digest in self._values

    def get(self, digest: str) -> V | None:
        """The value of a text; None where it is not held."""
        held = self._values.get(digest)
        return None if held is None else held[0]

    def add(self, digest: str, n_bytes: int, value: V) -> None:
        """Hold the value of a text of *n_bytes*, unless a value of it is held."""
        if digest in self._values:
            return
        size = PER_BYTE * n_bytes + PER_TEXT
        self._values[digest] = value, size
        self._room -= size
        while self._room < 0:
            oldest = next(iter(self._values))
            self._room += self._values.pop(oldest)[1]


class SignalsCache(Recent[TokenSignals]):
    """Signals by the digest of their text; a run that continues holds what it held before."""

    def add(self, digest: str, n_bytes: int, value: TokenSignals) -> None:
        """Hold a copy of the signals of a text of *n_bytes*, unless its signals are held."""
        if digest not in self:
            super().add(digest, n_bytes, value.copy())  # they may be views of a whole batch

    def add_stored(self, folder: SignalsFolder, inputs: Inputs, start: int, stop: int) -> None:
        """Hold what a pass would have added when it computed the passages from *start* to *stop* (excluded).

        Args:
            folder: the signals of the pass.
            inputs: its passages.
            start: a position in the input, after those that were added before.
            stop: a position in the input.
        """
        repeated = inputs.check.repeated
        first, last = repeated.searchsorted([start, stop])
        if first == last or not folder.reads:
            return
        sizes = inputs.sizes
        for chunk in folder.chunks(start=start, stop=stop):
            first, last = repeated.searchsorted([chunk.first, chunk.first + len(chunk)])
            for row in (repeated[first:last] - chunk.first).tolist():
                self.add(chunk.text_sha256[row], int(sizes[chunk.first + row]), chunk.signals(row))
