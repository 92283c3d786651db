"""Models and calls for tests of Ray, which its workers import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from llm_mia.backends import Report
from llm_mia.records import IntArray, TokenSignals, Window

from .test_sharing import OfBatches

CRASHING = "A text that no worker survives."


class Crashing(OfBatches):
    """Ends its process at each text that contains `CRASHING`."""

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        if any(CRASHING.encode() in bytes(window.tokens.astype("uint8")) for window in windows):
            os._exit(17)
        return super().score(windows, report, prefix=prefix)


class KilledOnce(OfBatches):
    """Ends the process of the worker that computes the third batch, once for each file *mark*."""

    def __init__(self, mark: Path) -> None:
        super().__init__(0)
        self.mark, self.calls = mark, 0
        self.tokens_per_batch = 300

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        self.calls += 1
        if self.calls == 3 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(windows, report, prefix=prefix)


class Slow(OfBatches):
    """Takes its time, so that whoever is killed is killed in the middle."""

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        time.sleep(float(os.environ.get("LLM_MIA_TEST_DELAY", "0.2")))
        return super().score(windows, report, prefix=prefix)


class LoadedElsewhere(Slow):
    """Has other weights in each process but the first that unpacks it."""

    def __init__(self, mark: Path, seed: int = 0) -> None:
        super().__init__(seed)
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return _of_this_process, (self.mark,)


def _of_this_process(mark: Path) -> LoadedElsewhere:
    seed = 1 if mark.exists() else 0
    mark.touch()
    return LoadedElsewhere(mark, seed)
