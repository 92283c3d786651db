"""A folder in the run directory by which processes share out the ranges of a pass, and see each other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import WorkerError
from ..store import writing

__all__ = ["Board", "RankState"]

BOARDS = ".ranks-*"


@dataclass(slots=True)
class RankState:
    """What a process has written about itself."""

    name: str = ""
    """The pass that it computes."""
    first: int = 0
    """The range that it computes: its first position."""
    stop: int = 0
    """The position after its last."""
    passages: int = 0
    """Finished in this pass, as tokens and bytes are."""
    tokens: int = 0
    bytes: int = 0
    kept: int = 0
    """Passages of this pass whose signals it has written."""
    left: bool = False
    """Whether it has ended as it should."""
    failure: str = ""
    """Why it ended otherwise."""


class Board:
    """The folder of a run that several processes compute; each process has a number, and the first is 0.

    A process holds a lock as long as it lives, so all others see when it has died, on other machines too.
    """

    def __init__(self, run: Path, token: str, index: int) -> None:
        self.path = run / f".ranks-{token}"
        self.index = index
        self._lock = FileLock(self._lock_of(index), timeout=0, thread_local=False)

    def create(self) -> None:
        """Create the folder, and remove those of runs that have ended."""
        with writing(self.path):
            self.remove()
            self.path.mkdir()

    def remove(self) -> None:
        """Remove the folder, and those of runs that have ended."""
        self._lock.release()
        for board in self.path.parent.glob(BOARDS):
            shutil.rmtree(board, ignore_errors=True)

    def join(self) -> None:
        """Take the lock of this process."""
        with writing(self.path):
            self.write(RankState())
            self._lock.acquire()

    def _lock_of(self, index: int) -> Path:
        return self.path / f"rank-{index}.lock"

    def is_alive(self, index: int) -> bool:
        """Whether the process with this number holds its lock."""
        if not self.path.exists():
            return False
        try:
            with FileLock(self._lock_of(index), timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # the folder was removed meanwhile
            return False

    def write(self, state: RankState) -> None:
        """Replace what this process has written about itself."""
        self._replace(f"rank-{self.index}.json", json.dumps(asdict(state)))

    def state(self, index: int) -> RankState:
        """What the process with this number has written about itself."""
        try:
            return RankState(**json.loads((self.path / f"rank-{index}.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, json.JSONDecodeError):
            return RankState()

    def publish(self, name: str, ranges: Sequence[range]) -> None:
        """Show which ranges of the pass *name* are to be computed, in which order."""
        self._replace(f"{name}.json", json.dumps([[each.start, each.stop] for each in ranges]))

    def published(self, name: str) -> list[range] | None:
        """The ranges of `publish`; None where they are not there yet."""
        try:
            text = (self.path / f"{name}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return [range(*each) for each in json.loads(text)]

    def claim(self, name: str, positions: range) -> bool:
        """Whether this process gets the range: the first that claims it does."""
        try:
            os.close(os.open(self.path / f"{name}-{positions.start}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise WorkerError(
                f"{self.path.parent}: rank 0, which leads, has ended; run the same command again"
            ) from None
        return True

    def finish(self, name: str, positions: range) -> None:
        """Note that the signals of the range are written."""
        self._replace(f"{name}-{positions.start}.done", "")

    def finished(self, name: str) -> int:
        """How many ranges of the pass *name* are finished."""
        return len([*self.path.glob(f"{name}-*.done")])

    def _replace(self, name: str, text: str) -> None:
        temporary = self.path / f".{name}.{self.index}"
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.path / name)
        except FileNotFoundError:  # the process that leads has ended, and removed the folder
            if self.path.exists():
                raise
            raise WorkerError(
                f"{self.path.parent}: rank 0, which leads, has ended; run the same command again"
            ) from None
