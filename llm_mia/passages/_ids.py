"""Ids, unique within a source, in 16 to 32 bytes each."""

from __future__ import annotations

import hashlib
from mmap import mmap


def _zeros(slots: int) -> memoryview:
    """Zeros in memory that returns to the system when it is released; a heap might keep it."""
    return memoryview(mmap(-1, 8 * slots)).cast("Q")


class Ids:
    """The ids used so far, as a hash table of 64-bit digests: a million ids take 16 MB instead of 100.

    Two different ids may have the same digest (probability 10⁻⁷ among a million). So the caller compares the ids before
    it refuses a repeated id.
    """

    def __init__(self) -> None:
        self._slots = _zeros(1024)  # 0 is an empty slot; the number is a power of two, at most half of them are filled
        self._used = 0
        self._repeats: dict[str, int] = {}

    def add(self, name: str) -> bool:
        """Add *name*; returns whether it was new."""
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        if not self._insert(int.from_bytes(digest, "little") or 1):
            return False
        self._used += 1
        if 2 * self._used > len(self._slots):
            self._grow()
        return True

    def derive(self, text: str) -> str:
        """A new id for *text*: 16 hex digits of its sha256, with ``-2``, ``-3`` … when the text occurs again."""
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
        while existing := slots[at]:
            if existing == key:
                return False
            at = (at + 1) & last
        slots[at] = key
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots = _zeros(2 * len(old))
        for key in old:
            if key:
                self._insert(key)
