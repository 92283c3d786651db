"""Files that are there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import RunDirectoryError

__all__ = ["replacing", "write_text", "writing"]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line."""
    try:
        yield
    except OSError as error:
        # Arrow's errors carry the number, but a text of their own.
        problem = f"cannot be written ({os.strerror(error.errno) if error.errno else error})"
        advice = "what is finished is kept; free space or fix the folder and run the same command"
        raise RunDirectoryError(f"{path}: {problem}; {advice}") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside *path* that takes its place when all of it is on the disk, or vanishes."""
    beside = path.with_name(f".writing-{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")
