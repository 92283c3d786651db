"""The lines of a log: plain or compressed, finished or growing, with a limit to what a line may hold."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from ..errors import InputError

__all__ = ["LONGEST_LINE", "PAUSE", "BrokenFileError", "Line", "followed_lines", "lines_of"]

LONGEST_LINE = 16 << 20
"""Bytes. A longer line is counted and passed over, without being held in memory."""
Line = tuple[int, bytes | None, int]
"""The number of a line, what it holds (None: it is too long), and its bytes."""
PAUSE: Line = (0, b"", 0)
"""In the place of a line: a log that is followed has nothing new at the moment."""
_MAGIC = b"\x1f\x8b"


class BrokenFileError(InputError):
    """A compressed file that is cut off or broken: the lines before that are good."""


def lines_of(path: Path, first: int = 0, last: int | None = None) -> Iterator[Line]:
    """Every line that begins at byte *first* or later, and before *last*; numbers begin at 1 at *first*.

    Raises:
        BrokenFileError: a compressed file is cut off or broken; the message gives the line after which it is.
        InputError: the file cannot be read.
    """
    number = 0
    try:
        with _opened(path) as file:
            if first:
                file.seek(first - 1)
                _pass_over(file)
            while last is None or file.tell() < last:
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    return
                number += 1
                if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                    yield number, None, len(line) + _pass_over(file)
                else:
                    yield number, line, len(line)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BrokenFileError(f"{path}: the compressed file is cut off or broken after line {number}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def followed_lines(path: Path, wait: Callable[[], bool]) -> Iterator[Line]:
    """Every line of a file that grows, as soon as it is complete, and `PAUSE` where there is nothing new.

    Numbers go on where the file is replaced. A file that another one replaces (rotation) is read to its end first. A
    file that becomes shorter (truncation) is read again from its beginning.

    Args:
        path: the file, not compressed.
        wait: called whenever there is nothing new; it returns after some time, and False ends the reading.

    Raises:
        InputError: the file cannot be read, or is compressed.
    """
    number, kept, dropped = 0, b"", 0
    file = _opened(path)
    if isinstance(cast(object, file), gzip.GzipFile):
        file.close()
        raise InputError(f"{path}: is compressed, so it cannot be followed as it grows: name a log that is not")
    try:
        while True:
            piece = file.readline(LONGEST_LINE + 1 - len(kept))
            kept += piece
            if kept.endswith(b"\n"):
                number += 1
                yield number, (None if dropped else kept), len(kept) + dropped
                kept, dropped = b"", 0
            elif len(kept) > LONGEST_LINE:
                kept, dropped = b"", dropped + len(kept)
            elif not piece:
                state = _state_of(path, file)
                if state == "same":
                    yield PAUSE
                    if not wait():
                        break
                    continue
                if state == "replaced":
                    file.close()
                    file = _opened(path)
                else:
                    file.seek(0)
                if kept or dropped:
                    number += 1
                    yield number, (None if dropped else kept), len(kept) + dropped
                kept, dropped = b"", 0
        if kept and not dropped:
            yield number + 1, kept, len(kept)
    finally:
        file.close()


def _opened(path: Path) -> IO[bytes]:
    try:
        file: IO[bytes] = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}): name a file that exists and that you may read"
        ) from None
    if file.seekable() and file.read(2) == _MAGIC:
        file.close()
        return cast(IO[bytes], gzip.open(path, "rb"))
    if file.seekable():
        file.seek(0)
    return file


def _pass_over(file: IO[bytes]) -> int:
    """Read to the end of the line, and return how many bytes that were."""
    size = 0
    while piece := file.readline(1 << 20):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _state_of(path: Path, file: IO[bytes]) -> str:
    """Whether the file at *path* is still the ``same``, was ``replaced``, or was ``truncated``."""
    try:
        there = path.stat()
    except OSError:
        return "same"  # between two files of a rotation
    opened = os.fstat(file.fileno())
    if (there.st_ino, there.st_dev) != (opened.st_ino, opened.st_dev):
        return "replaced"
    return "truncated" if there.st_size < file.tell() else "same"
