"""The record of decisions: ``decisions.jsonl`` in a run directory, and another that all run directories share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..backends.cache import cache_folder
from ..errors import RunDirectoryError
from ..store import RecordError, append_line, locked, read_lines
from ._entries import Entry, entry_from_line, entry_to_line

__all__ = ["FILE", "History"]

FILE = "decisions.jsonl"


class History:
    """Every decision on record, in a run directory and in the record that all run directories share.

    No decision is ever removed or changed here. The shared record holds the decisions of other run directories on the
    same candidates, too. Both are plain files of the user: whoever deletes them deletes the record.
    """

    def __init__(self, run: str | Path | None = None, shared: str | Path | None = None) -> None:
        """
        Args:
            run: the run directory; None for a table that belongs to none.
            shared: the folder of the shared record; None: the user's cache folder.
        """
        self.run = None if run is None else Path(run)
        self._shared = (cache_folder() if shared is None else Path(shared)) / FILE
        of_run = [] if self.run is None else [self.run / FILE]
        # The run directory may be the shared folder, too: then there is a single file.
        self._files = list({file.absolute(): file for file in (*of_run, self._shared)}.values())
        self.problems: list[str] = []
        """What could not be read or written, a phrase each."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from deciding at the same time, so that two decisions never have the same number."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._shared))
            except RunDirectoryError as error:
                self._note(f"{error}")
            yield

    def entries(self) -> list[Entry]:
        """All decisions, in the order in which they were taken; a decision that both files hold is there twice.

        A line that cannot be read, such as the last line of a process that was killed, is left out and noted.
        """
        entries = [entry for file in self._files for entry in self._read(file)]
        return sorted(entries, key=lambda entry: entry.when)

    def _read(self, file: Path) -> Iterator[Entry]:
        try:
            lines = read_lines(file)
        except RunDirectoryError as error:
            self._note_or_raise(file, error)
            return
        for number, line in enumerate(lines, start=1):
            try:
                yield entry_from_line(line)
            except RecordError as error:
                self._note(
                    f"{file} line {number} {error}, so it is not counted: if it is a decision on these candidates, a "
                    "finding needs a smaller p-value (the guide 'protocol' says which); if it is not, delete the line"
                )

    def of_run(self) -> list[Entry]:
        """The decisions of the run directory, and those of other directories and tables on the same candidates."""
        here = list(self._read(self._files[0])) if self.run else []
        known = {entry.identity: entry for entry in reversed(here)}
        for entry in self.entries():
            if entry.identity not in known and any(entry.subject.overlaps(other.subject) for other in here):
                known[entry.identity] = entry
        return sorted(known.values(), key=lambda entry: entry.when)

    def add(self, entry: Entry) -> None:
        """Append a decision to both files.

        Raises:
            RunDirectoryError: the run directory cannot be written to. That the shared record cannot be written is noted
                in `problems`.
        """
        line = entry_to_line(entry)
        for file in self._files:
            try:
                append_line(file, line)
            except RunDirectoryError as error:
                self._note_or_raise(file, error)

    def _note_or_raise(self, file: Path, error: RunDirectoryError) -> None:
        """The shared record may be missing, as on a machine without a cache folder; that of the run may not."""
        if file.absolute() != self._shared.absolute():
            raise error
        self._note(f"{error}")

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
