"""Answers that were paid for, in a file that only grows, so that no stop loses them and no run pays twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RunDirectoryError
from ...records import IntArray
from ._answers import Answer

__all__ = ["KeptAnswers", "prompt_digest"]


def prompt_digest(identity: str, prompt: str | bytes) -> str:
    """By which the answer to a *prompt* is recognised; *identity* is that of the endpoint and of how it is asked."""
    data = prompt.encode() if isinstance(prompt, str) else prompt
    return hashlib.sha256(identity.encode() + b"\0" + data).hexdigest()


class KeptAnswers:
    """Answers by the digest of their prompt, in memory and, from `write_to` on, in a file.

    Each answer is a line, which is written whole by a single call; the last line may be incomplete after a stop, and is
    then asked for again. No line holds a passage: a token is its id and its length.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._offsets: dict[str, int] = {}
        self._lock = threading.Lock()

    def write_to(self, path: Path) -> None:
        """Read the answers in the file *path*, and add further ones to it."""
        with self._lock:
            self._path, self._offsets = path, {}
            if path.exists():
                self._read(path)

    def _read(self, path: Path) -> None:
        offset = 0
        with path.open("rb") as file:
            for line in file:
                entry = _parsed(line)
                if entry is not None:
                    self._offsets[entry["prompt"]] = offset
                offset += len(line)

    def remove(self) -> None:
        """Remove the file, because all signals are stored."""
        with self._lock:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # another model has answers there
                    self._path.parent.rmdir()
            self._path, self._offsets = None, {}

    def get(self, digest: str) -> dict[str, Any] | None:
        """The values of the answer to a prompt; None where it is not there."""
        with self._lock:
            offset = self._offsets.get(digest)
            if offset is None or self._path is None:
                return None
            with self._path.open("rb") as file:
                file.seek(offset)
                entry = _parsed(file.readline())
        return None if entry is None or entry["prompt"] != digest else entry

    def answer(self, digest: str) -> Answer | None:
        """The answer to a prompt; None where it is not there."""
        entry = self.get(digest)
        return None if entry is None else _answer(entry)

    def add_answer(self, digest: str, answer: Answer) -> None:
        """Keep an answer; see `add`."""
        self.add(digest, _values(answer))

    def add(self, digest: str, values: Mapping[str, Any]) -> None:
        """Keep the values of an answer, which are JSON values.

        Raises:
            RunDirectoryError: it cannot be written.
        """
        with self._lock:
            if self._path is None or digest in self._offsets:
                return
            line = json.dumps({"prompt": digest, **values}, separators=(",", ":")).encode() + b"\n"
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as file:
                    offset = file.tell()
                    if offset and not _ends_with_line(self._path):
                        line, offset = b"\n" + line, offset + 1
                    file.write(line)
            except OSError as error:
                raise RunDirectoryError(
                    f"{self._path}: cannot be written ({error.strerror}); free space or fix the folder, and run the "
                    "same command again"
                ) from None
            self._offsets[digest] = offset


def _ends_with_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("prompt"), str) else None


def _values(answer: Answer) -> dict[str, Any]:
    values: dict[str, Any] = {"ends": answer.ends.tolist(), "ids": answer.ids.tolist()}
    for name in ("logprob", "top"):
        values[name] = [None if np.isnan(value) else value for value in getattr(answer, name).tolist()]
    return {**values, "rank": answer.rank.tolist(), "opening": list(answer.opening)}


def _answer(entry: Mapping[str, Any]) -> Answer:
    def floats(name: str) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in entry[name]], dtype=np.float64)

    def integers(name: str) -> IntArray:
        return np.array(entry[name], dtype=np.int32)

    return Answer(
        ends=integers("ends"),
        ids=integers("ids"),
        logprob=floats("logprob"),
        top=floats("top"),
        rank=integers("rank"),
        opening=tuple(entry["opening"]),
    )
