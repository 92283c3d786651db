"""The run directory of several processes: the first writes to it, and the others read what it has written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunDirectoryError
from ..records import ModelRecord, PassRecord, RunRecord
from ..store import RunDirectory, UnwrittenRun, read_run
from ._board import Board

if TYPE_CHECKING:
    from ._ranks import Ranks

__all__ = ["FollowedRun", "LedRun"]


class LedRun(RunDirectory):
    """The run directory of the process that leads."""

    board: Board | None = None

    def __exit__(self, *error: object) -> None:
        if self.board is not None:
            self.board.remove()
        super().__exit__(*error)


class FollowedRun(UnwrittenRun):
    """The run directory of another process: its record is read anew each time, and nothing is written to it."""

    def __init__(self, path: Path, ranks: Ranks) -> None:
        super().__init__(path)
        self._ranks = ranks

    @property
    def record(self) -> RunRecord:
        """The contents of ``run.json``; an empty record where there is none yet."""
        try:
            return read_run(self.path)
        except RunDirectoryError:
            if (self.path / "run.json").exists():
                raise
            return RunRecord()

    def update(self, **changes: object) -> None:
        """Write nothing."""

    def model_of(self, names: Sequence[str]) -> ModelRecord | None:
        """The model of the first of the passes *names* that is recorded, as soon as one is."""
        return self._ranks.wait_for(lambda: super(FollowedRun, self).model_of(names))

    def claim(self, name: str, wanted: PassRecord) -> None:
        """Wait until the pass *name* is recorded.

        Raises:
            RunDirectoryError: it has another model, tokenizer, precision or window rule than in this process.
        """
        before = self._ranks.wait_for(lambda: self.record.passes.get(name))
        self.refuse_differences(name, before, wanted)
