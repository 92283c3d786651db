"""A file that only grows: a line for each entry, and no line is ever changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from ..errors import RunDirectoryError
from ._atomic import writing

__all__ = ["append_line", "locked", "read_lines"]


def append_line(path: Path, line: str) -> None:
    """Add *line* to the end of the file *path*, by a single write that has reached the disk when this returns.

    A last line that a stop has left without its end is ended first, so it damages no other.

    Raises:
        RunDirectoryError: the file cannot be written.
    """
    if "\n" in line:
        raise ValueError("a line holds no line break")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may write at the same time, and its line may be there in part.
        with FileLock(path.with_name(f".{path.name}.lock")), path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            ended = file.read(1) in (b"", b"\n")
            file.write((b"" if ended else b"\n") + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[str]:
    """The lines of the file *path*, without their ends; none where there is no such file.

    Raises:
        RunDirectoryError: the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: cannot be read ({error.strerror}); make it readable, and run the same command again"
        ) from None
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds *path*, and holds it: what is read here stays true until it is written.

    Raises:
        RunDirectoryError: the folder cannot be written to.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
