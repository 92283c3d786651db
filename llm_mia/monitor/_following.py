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
from ._traffic import Limits, Traffic
from .lines import followed_lines
from .reading import ReadLog, read_log
from .sources import Source

__all__ = ["follow_log"]

LEAST_SECONDS = 10.0
"""Between two judgements; ten times as long as a judgement took, if that is more."""
SHARE_OF_TIME = 0.1


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
    false alarms holds for each judgement, and not for all of them together. Counts grow with time, so it holds until
    the traffic covers as much time as the benign traffic; a note says when it covers much more.

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
    where, traffic = Path(path), Traffic(limits or Limits(), bytes.fromhex(baseline.key))
    reported: set[tuple[str, str]] = set()
    state = {"due": time.monotonic() + every, "judged": -1.0}

    def judged(read: ReadLog | None) -> MonitorResult:
        start = time.monotonic()
        result = judge(
            traffic,
            baseline,
            [where],
            [read] if read else [],
            out=out,
            registry=registry,
            false_alarms=false_alarms,
            fdr=fdr,
        )
        write_monitor(result)
        for alert in result.alerts:
            if (alert.kind, alert.name) not in reported:
                reported.add((alert.kind, alert.name))
                report(alert)
        now = time.monotonic()
        state.update(due=now + max(every, (now - start) / SHARE_OF_TIME), judged=traffic.requests)
        return result

    def take(queries: Sequence[tuple[int, Query]]) -> None:
        traffic.add(queries, 0)
        if time.monotonic() >= state["due"]:
            judged(None)

    def waited() -> bool:
        if traffic.requests != state["judged"] and time.monotonic() >= state["due"]:
            judged(None)
        if wait is not None:
            return wait()
        time.sleep(0.5)
        return True

    read = read_log(where, take, source=source, lines=followed_lines(where, waited))
    return judged(read)
