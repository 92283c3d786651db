"""Ids, unique within a source, in 16 to 32 bytes each."""

from __future__ import annotations

import hashlib
from mmap import mmap


def _empty(slots: int) -> memoryview:
    """Zeros that go back to the system when they are let go, and not to a heap that may keep them."""
    return memoryview(mmap(-1, 8 * slots)).cast("Q")


class Ids:
    """The ids used so far, as a hash table of 64-bit digests: a million ids take 16 MB, not 100.

    Two ids with one digest (one chance in 10⁷ among a million) look alike: the caller looks again before it refuses.
    """

    def __init__(self) -> None:
        self._slots = _empty(1024)  # 0 is an empty slot; a power of two of them, at most half filled
        self._used = 0
        self._repeats: dict[str, int] = {}

    def add(self, name: str) -> bool:
        """Whether *name* is new; it is not afterwards."""
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        if not self._insert(int.from_bytes(digest, "little") or 1):
            return False
        self._used += 1
        if 2 * self._used > len(self._slots):
            self._grow()
        return True

    def derive(self, text: str) -> str:
        """A new id from the content: 16 hex digits of its sha256; ``-2``, ``-3`` … for later occurrences."""
        base = hashlib.sha256(text.encode()).hexdigest()[:16]
        if self.add(base):
            return base
        count = self._repeats.get(base, 1) + 1
        while not self.add(f"{base}-{count}"):
            count += 1
        self._repeats[base] = count
        return f"{base}-{count}"

    def _insert(self, key: int) -> bool:
        slots = self._slots
        last = len(slots) - 1
        at = key & last
        while held := slots[at]:
            if held == key:
                return False
            at = (at + 1) & last
        slots[at] = key
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots = _empty(2 * len(old))
        for key in old:
            if key:
                self._insert(key)
