"""A log that grows: alerts as soon as they arise."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..queries import Query
from ._baseline import Baseline
from ._judging import judge
from ._registry import Registry
from ._result import Alert, MonitorResult, write_monitor
from ._rows import rows_of
from ._traffic import Limits, Traffic
from .lines import followed_lines
from .reading import ReadLog, read_log
from .sources import Source

__all__ = ["follow_log"]

LEAST_SECONDS = 10.0
"""Between two judgements; ten times as long as a judgement took, if that is more."""
SHARE_OF_TIME = 0.1


class _Recent:
    """The traffic of the last while: as much as the benign traffic at most, and half as much at least.

    A second `Traffic` begins when the first covers half as much as the benign traffic, and takes its place when the
    first covers as much. So an attack that lasts up to half that time is judged whole.
    """

    def __init__(self, baseline: Baseline, limits: Limits) -> None:
        self.baseline, self.limits, self.requests = baseline, limits, 0
        self.judged, self.next = self._empty(), self._empty()

    def add(self, queries: Sequence[tuple[int, Query]]) -> None:
        """Take in queries with the numbers of their lines."""
        rows = rows_of(queries, self.judged.key)
        if self._covered(self.judged) >= 1:
            self.judged, self.next = self.next, self._empty()
        self.judged.add_rows(rows, 0)
        if self.next.requests or self._covered(self.judged) >= 0.5:
            self.next.add_rows(rows, 0)
        self.requests += len(rows)

    def _empty(self) -> Traffic:
        return Traffic(self.limits, bytes.fromhex(self.baseline.key))

    def _covered(self, traffic: Traffic) -> float:
        """The share of the time of the benign traffic that *traffic* covers; of its requests, without times."""
        if self.baseline.seconds and traffic.seconds:
            return traffic.seconds / self.baseline.seconds
        return traffic.requests / self.baseline.requests


def follow_log(
    path: str | os.PathLike[str],
    baseline: Baseline,
    *,
    out: Path,
    report: Callable[[Alert], None],
    false_alarms: float,
    fdr: float,
    registry: Registry | None = None,
    source: Source | None = None,
    limits: Limits | None = None,
    wait: Callable[[], bool] | None = None,
    every: float = LEAST_SECONDS,
) -> MonitorResult:
    """Read a log as it grows, *report* each alert when it arises, and return the result when *wait* returns False.

    The traffic is judged again and again, so that a benign client has several occasions to cause an alert: the rate of
    false alarms holds for each judgement, and not for all of them together. Counts grow with time, so what is judged
    is the traffic of the last while: at most as much time as the benign traffic covers, and at least half as much.
    Earlier alerts stay in ``alerts.jsonl``.

    Args:
        path: of the log; rotation and truncation are noticed.
        baseline: sets the thresholds.
        out: the folder of the results, which are written after each judgement.
        report: takes each client, and each family, at its first alert.
        false_alarms: the rate of false alarms.
        fdr: the false discovery rate that alerts are marked for.
        registry: data sets whose overlap with prompts is measured.
        source: the format; by default it is recognised from the first lines.
        limits: of memory.
        wait: called when nothing is new; it returns after some time, and False ends the reading.
        every: least number of seconds between two judgements.
    """
    where, recent = Path(path), _Recent(baseline, limits or Limits())
    reported: dict[tuple[str, str], Alert] = {}
    state = {"due": time.monotonic() + every, "judged": -1.0}

    def judged(read: ReadLog | None) -> MonitorResult:
        start = time.monotonic()
        result = judge(
            recent.judged,
            baseline,
            [where],
            [read] if read else [],
            out=out,
            registry=registry,
            false_alarms=false_alarms,
            fdr=fdr,
        )
        new = [alert for alert in result.alerts if (alert.kind, alert.name) not in reported]
        reported.update({(alert.kind, alert.name): alert for alert in result.alerts})
        current = {(alert.kind, alert.name) for alert in result.alerts}
        write_monitor(result, earlier=[alert for name, alert in reported.items() if name not in current])
        for alert in new:
            report(alert)
        now = time.monotonic()
        state.update(due=now + max(every, (now - start) / SHARE_OF_TIME), judged=recent.requests)
        return result

    def take(queries: Sequence[tuple[int, Query]]) -> None:
        recent.add(queries)
        if time.monotonic() >= state["due"]:
            judged(None)

    def waited() -> bool:
        if recent.requests != state["judged"] and time.monotonic() >= state["due"]:
            judged(None)
        if wait is not None:
            return wait()
        time.sleep(0.5)
        return True

    read = read_log(where, take, source=source, lines=followed_lines(where, waited))
    return judged(read)
