"""Files that are written completely, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import RunDirectoryError

__all__ = ["replacing", "write_text", "writing"]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an error of the file system into a `RunDirectoryError` of a single line."""
    try:
        yield
    except OSError as error:
        # An error of Arrow has the system's number, but a long text of Arrow in place of the system's.
        problem = f"cannot be written ({os.strerror(error.errno) if error.errno else error})"
        advice = "what was written before is kept; free space or fix the folder and run the same command"
        raise RunDirectoryError(f"{path}: {problem}; {advice}") from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; its file replaces *path* when complete, or is removed after an error."""
    temporary = path.with_name(f".writing-{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str | Iterable[str]) -> None:
    """Write a file completely, or not at all; line ends are not changed. A long *text* may come in pieces.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines([text] if isinstance(text, str) else text)
