"""Server-sent events, as streamed answers use them: bytes as they come → the data of each event."""

from __future__ import annotations

__all__ = ["DONE", "Events", "event"]

DONE = b"[DONE]"
"""The data of the event that ends a streamed answer."""


class Events:
    """Cuts the bytes of a stream into events, wherever they are cut in transport.

    Args:
        largest: most bytes of an event.
    """

    __slots__ = ("_data", "_largest", "_line", "_size")

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._line = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that end within *chunk*.

        Raises:
            ValueError: an event is too large.
        """
        ended: list[bytes] = []
        lines = (self._line + chunk).split(b"\n")
        self._line = lines.pop()
        for line in lines:
            self._take(line.removesuffix(b"\r"), ended)
        if self._size + len(self._line) > self._largest:
            raise ValueError("an event is too large")
        return ended

    def end(self) -> list[bytes]:
        """The data of an event that the end of the stream cut off, if it has any."""
        ended: list[bytes] = []
        self._take(self._line.removesuffix(b"\r"), ended)
        self._take(b"", ended)
        self._line = b""
        return ended

    def _take(self, line: bytes, ended: list[bytes]) -> None:
        if not line:
            if self._data:
                ended.append(b"\n".join(self._data))
            self._data, self._size = [], 0
        elif line.startswith(b"data:"):  # comments and other fields carry nothing that clients need
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
            if self._size > self._largest:
                raise ValueError("an event is too large")


def event(data: bytes) -> bytes:
    """The event that carries *data*, which holds no end of a line."""
    return b"data: " + data + b"\n\n"
