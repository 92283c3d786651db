"""The folder of an exhibit, written completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ...errors import InputError, RunDirectoryError, UsageError
from ...store import RecordError
from ._manifest import MANIFEST, SUMS, read_manifest

__all__ = ["refuse_folder", "write_folder"]


def refuse_folder(out: Path, run: Path) -> None:
    """Refuse to write an exhibit to *out* where that would remove anything but an exhibit.

    Raises:
        UsageError: *out* is a file, is or holds the run directory, or holds files that no exhibit wrote.
    """
    if run.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"{out}: `out` is or holds the run directory: name another folder")
    if out.resolve() == Path.cwd():  # a folder that a process works in cannot be replaced under it
        raise UsageError(f"{out}: `out` is the folder that this command runs in: name a folder in it")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out}: `out` is not a folder: name another folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        written = {*read_manifest(out).files, MANIFEST, SUMS}
    except (InputError, RecordError):
        raise UsageError(f"{out}: `out` holds files and is no exhibit: name a new folder") from None
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_symlink() or not path.is_dir()}
    if strange := sorted(there - written):
        raise UsageError(
            f"{out}: `out` holds an exhibit, and {strange[0]}, which is no part of it and would be removed: move it "
            "away, or name a new folder"
        )


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """Write *files* as the folder *out*, in place of the exhibit that it may hold.

    They are written into another folder, which is renamed when all of them are on the disk.

    Raises:
        RunDirectoryError: the folder cannot be written.
    """
    whole = out.absolute()  # `Path("..")` has no name
    temporary, before = (whole.with_name(f".{word}-{whole.name}") for word in ("writing", "before"))
    try:
        for folder in (temporary, before):
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        for name, content in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if out.exists():
            out.rename(before)
        temporary.rename(out)
    except OSError as error:
        if before.exists() and not out.exists():
            before.rename(out)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RunDirectoryError(f"{out}: cannot be written ({reason}): free space, or name another folder") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if out.exists():
            shutil.rmtree(before, ignore_errors=True)
