"""The log of queries: written by a thread, so that a slow or full disk delays no request."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..queries import Query, query_to_line, sketch_prompts
from ._policy import KeptPrompt, LogRules

__all__ = ["QueryLog"]

WAITING = 10_000
"""Most queries that wait to be written."""
WAITING_BYTES = 200_000_000
"""Most bytes of their prompts."""
SKETCHED = 1_000_000
"""Characters of a prompt that are sketched: no model reads more, and a longer sketch would hold up the log."""

PAUSE, TOGETHER = 0.02, 100
"""Seconds for which queries are gathered, and most that are written together."""


class QueryLog:
    """A file of queries, a line each, which begins anew at a size: FILE, then FILE.1, the next older, and so on.

    What cannot be written is lost and counted, and requests go on. A process that is killed loses the queries of the
    last instant.

    Args:
        file: is appended to.
        rules: what is kept of a prompt, and how large the files grow.
        sketch_key: of the sketches.
        report: receives a sentence when the log cannot be written, and when it can be written again.

    Raises:
        UsageError: the file cannot be opened.
    """

    def __init__(self, file: str | Path, rules: LogRules, sketch_key: bytes, report: Callable[[str], None]) -> None:
        self._file, self._rules, self._key, self._report = Path(file), rules, sketch_key, report
        self._queue: queue.SimpleQueue[Query | None] = queue.SimpleQueue()
        self._waiting = self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._open: int | None = None
        self._failing = self._full = False
        self.lost = self.written = 0
        """Queries that were not written, and that were."""
        try:
            self._open = self._opened()
        except OSError as error:
            raise UsageError(f"{file}: cannot be written ({error.strerror}): name another file as `log`") from None
        self._thread = threading.Thread(target=self._run, name="query log", daemon=True)
        self._thread.start()

    def write(self, query: Query) -> None:
        """Write *query* soon; where too many wait already, it is lost."""
        size = len(query.prompt or "")
        with self._lock:
            fits = self._waiting < WAITING and self._waiting_bytes + size <= WAITING_BYTES
            if fits:
                self._waiting += 1
                self._waiting_bytes += size
            else:
                self.lost += 1
            begins = not fits and not self._full
            # Reported once, until half of the room is free again.
            self._full = not fits or (self._full and self._waiting > WAITING // 2)
        if fits:
            self._queue.put(query)
        elif begins:
            self._report(f"{self._file}: requests come faster than they can be written: some are missing from the log")

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._queue.put(None)
        self._thread.join()
        if self._open is not None:
            os.close(self._open)
            self._open = None

    def _run(self) -> None:
        last = False
        while not last:
            waiting = [self._queue.get()]
            if self._queue.empty():
                time.sleep(PAUSE)  # sketches of several prompts together take a fraction of the time
            while len(waiting) < TOGETHER and not self._queue.empty():
                waiting.append(self._queue.get())
            last = None in waiting
            queries = [query for query in waiting if query is not None]
            for query, kept in zip(queries, self._as_kept(queries), strict=True):
                self._write_line(kept)
                with self._lock:
                    self._waiting -= 1
                    self._waiting_bytes -= len(query.prompt or "")

    def _write_line(self, query: Query) -> None:
        try:
            self._append(query_to_line(query).encode() + b"\n")
        except (OSError, ValueError) as error:  # ValueError: a query that no line can hold
            self.lost += 1
            if not self._failing:
                reason = getattr(error, "strerror", None) or type(error).__name__
                self._report(f"{self._file}: cannot be written ({reason}): requests go on without the log")
            self._failing = True
        else:
            self.written += 1
            if self._failing:
                self._report(f"{self._file}: is written again; {self.lost:,} requests are missing from the log")
            self._failing = False

    def _as_kept(self, queries: Sequence[Query]) -> list[Query]:
        if self._rules.prompt is KeptPrompt.KEEP:
            return list(queries)
        kept = [replace(query, prompt=None) for query in queries]
        if self._rules.prompt is KeptPrompt.HASH:
            with_prompt = [at for at, query in enumerate(queries) if query.prompt is not None]
            sketches = sketch_prompts([(queries[at].prompt or "")[:SKETCHED] for at in with_prompt], self._key)
            for at, sketch in zip(with_prompt, sketches, strict=True):
                kept[at] = replace(kept[at], sketch=sketch)
        return kept

    def _append(self, line: bytes) -> None:
        """Append *line* whole: the part of a line that a full disk took is taken back."""
        if self._open is None or not self._same_file():
            self._open = self._opened()
        size = os.fstat(self._open).st_size
        if size and size + len(line) > self._rules.max_bytes:
            self._rotate()
            size = 0
        if (written := os.write(self._open, line)) < len(line):
            os.ftruncate(self._open, size)
            raise OSError(28, f"no space left on device after {written} bytes")

    def _same_file(self) -> bool:
        """Whether the open file is still the one of that name: others may have moved or deleted it."""
        assert self._open is not None
        try:
            same = os.path.samestat(os.fstat(self._open), self._file.stat())
        except FileNotFoundError:
            same = False
        if not same:
            os.close(self._open)
            self._open = None
        return same

    def _rotate(self) -> None:
        assert self._open is not None
        os.close(self._open)
        self._open = None
        for number in range(self._rules.files, -1, -1):
            older = self._file.with_name(f"{self._file.name}.{number}") if number else self._file
            if number == self._rules.files:
                older.unlink(missing_ok=True)
            elif older.exists():
                older.rename(self._file.with_name(f"{self._file.name}.{number + 1}"))
        self._open = self._opened()

    def _opened(self) -> int:
        return os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
