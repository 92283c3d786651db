"""The entries at the head of a GGUF file, read without its tensors and without another package."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from ....errors import ModelError

__all__ = ["DAMAGED", "read_metadata"]

DAMAGED = "the GGUF file is damaged or cut short: download or copy it again"

MAGIC, VERSIONS = b"GGUF", (2, 3)
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""By the number that the format gives to a type: the type in the words of `struct`."""


def read_metadata(file: Path) -> dict[str, Any]:
    """The entries of a GGUF *file* by name; arrays are lists.

    Raises:
        ModelError: it is damaged, or of a kind that is not read here (byte order, version 1).
    """
    try:
        with file.open("rb") as stream:
            return _Reader(stream, file.stat().st_size).entries()
    except (struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise ModelError(f"{DAMAGED} ({error})") from None


class _Reader:
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size

    def entries(self) -> dict[str, Any]:
        magic, version = self._take(4), self._number("I")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError("it does not begin with GGUF and the version 2 or 3")
        self._number("Q")  # the number of tensors
        # In order: a dictionary comprehension would read the value before the name.
        entries = {}
        for _ in range(self._number("Q")):
            name = self._string()
            entries[name] = self._value(self._number("I"))
        return entries

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._number(NUMBERS[kind])
        of, length = self._number("I"), self._number("Q")
        if of in NUMBERS:
            item = struct.Struct("<" + NUMBERS[of])
            return [value for (value,) in item.iter_unpack(self._take(item.size * length))]
        return [self._value(of) for _ in range(length)]

    def _string(self) -> str:
        return self._take(self._number("Q")).decode()

    def _number(self, kind: str) -> Any:
        return struct.unpack("<" + kind, self._take(struct.calcsize("<" + kind)))[0]

    def _take(self, count: int) -> bytes:
        # A damaged length may be larger than the memory.
        if count > self._size:
            raise ValueError(f"an entry of {count} bytes in a file of {self._size}")
        taken = self._stream.read(count)
        if len(taken) < count:
            raise ValueError("it ends within its entries")
        return taken
