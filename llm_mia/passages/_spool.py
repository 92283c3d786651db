"""A temporary copy of rows that come over the network, or that can be read only once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO

from ..errors import PassageError
from ._drafts import Draft
from ._tables import Tally

__all__ = ["SpooledReader", "drafts_sha256"]

CHUNK_BYTES = 1 << 20


class SpooledReader:
    """Copies *drafts* to a temporary file at the first reading, and reads that file at every reading.

    The file has no name, so nobody else can open it, and it is deleted with this object or at the end of the process.
    It takes as much of the disk as the texts do.

    Args:
        drafts: returns all rows, and leaves to a tally what it skips.
        shown: how messages call the source.
        place: what precedes the number of a row in messages.
    """

    def __init__(self, drafts: Callable[[Tally], Iterable[Draft]], shown: str, place: str) -> None:
        self._drafts, self._shown, self._place = drafts, shown, place
        self.file: IO[bytes] | None = None
        """All rows, a JSON list on each line; None before the first reading."""
        self._sha256 = ""
        self._empty_texts = 0

    def drafts(self, tally: Tally) -> Iterator[Draft]:
        """All rows, as `SpooledReader` was given them."""
        lines = _lines(self._spool())
        tally.empty_texts += self._empty_texts
        for number, line in enumerate(lines, start=1):
            text, name, document, label, columns = json.loads(line)
            yield Draft(text, name, document, label, f"{self._place} {number}", columns)

    def sha256(self) -> str:
        """Hex digest of the texts, ids, documents and labels."""
        self._spool()
        return self._sha256

    def version(self) -> object:
        """Always the same: later changes of the source are not noticed."""
        return None

    def _spool(self) -> IO[bytes]:
        if self.file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
            try:
                self._sha256 = self._fill(file)
            except BaseException:
                with contextlib.suppress(OSError):  # of a full disk, once more
                    file.close()
                raise
            self.file = file
            weakref.finalize(self, file.close)
        return self.file

    def _fill(self, file: IO[bytes]) -> str:
        digest, tally = hashlib.sha256(), Tally()
        try:
            for draft in self._drafts(tally):
                digest.update(_line(draft[:4]))
                file.write(_line([*draft[:4], draft.columns]))
            file.flush()
        except OSError as error:
            folder, reason = tempfile.gettempdir(), error.strerror or error
            problem = f"cannot be kept in {folder} ({reason}): free space, or name another folder in TMPDIR"
            raise PassageError(self._shown, problem) from None
        tally.faults.refuse(self._shown)
        self._empty_texts = tally.empty_texts
        return digest.hexdigest()


def drafts_sha256(drafts: Iterable[Draft]) -> str:
    """Hex digest of the texts, ids, documents and labels of *drafts*."""
    digest = hashlib.sha256()
    for draft in drafts:
        digest.update(_line(draft[:4]))
    return digest.hexdigest()


def _line(values: Sequence[object]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of *file*, whatever other readers do at the same time: the position is kept here, not in the file."""
    at, rest = 0, b""
    while chunk := os.pread(file.fileno(), CHUNK_BYTES, at):
        at += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
