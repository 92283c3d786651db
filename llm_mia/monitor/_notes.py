"""Notes for a reader of the alerts: where rates may not hold, and what the monitor cannot see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..calibration import fdr_floor, nonmembers_needed
from ..errors import CalibrationError
from ._baseline import Baseline
from ._registry import Registry, key_name
from ._traffic import Traffic, group_of
from .reading import ReadLog

__all__ = ["notes"]

LONGER = 1.5
"""A log that covers so many times the time of the benign log is not like it."""
DAY = 86400.0
REQUESTED = {
    "scores": "log-probabilities of prompts",
    "distributions": "distributions of the next token",
    "samples": "many samples of a prompt",
    "text": "text alone",
}


def notes(
    traffic: Traffic,
    baseline: Baseline,
    read: Sequence[ReadLog],
    registry: Registry | None,
    judged: int,
    false_alarms: float,
    fdr: float,
) -> Iterable[str]:
    """Sentences on what the alerts rest on."""
    if judged:
        yield from _of_rates(baseline, judged, fdr)
    yield from _of_groups(traffic, baseline, false_alarms)
    if len(baseline.family_scores) < 1 / false_alarms - 1:
        few = f"{len(baseline.family_scores)} benign families are too few"
        yield f"{few} for an alert on a family at a rate of {false_alarms:g}: give more benign traffic"
    if traffic.evicted:
        yield (
            f"to bound the memory, {traffic.evicted:,} clients without recent requests were forgotten, and not judged: "
            "judge shorter logs"
        )
    if traffic.seconds > LONGER * baseline.seconds > 0:
        yield (
            f"the log covers {traffic.seconds / DAY:.1f} days and the benign log {baseline.seconds / DAY:.1f}: the "
            "counts of a client grow with time, so benign clients cause more alerts than the rate allows"
        )
    fields = set().union(*(each.fields for each in read))
    if missing := sorted((set(baseline.fields) ^ fields) - {"sketch", "prompt"}):
        yield (
            f"only one of the benign log and this log records {', '.join(missing)}, so the rates may not hold: take "
            "both logs by the same program"
        )
    if registry is not None and baseline.registry_key != key_name(registry.key):
        yield (
            "the thresholds were set without this registry, so the rates do not hold for alerts that it causes: set "
            "them again with `benign`"
        )
    if registry is None and baseline.registry_key:
        yield "the thresholds were set with a registry, and none is given now (`registry`): the rates may not hold"
    if traffic.nameless:
        yield "requests that name no client are judged in families alone: a log with the names of clients shows more"


def _of_rates(baseline: Baseline, judged: int, fdr: float) -> Iterator[str]:
    """How many alerts on clients must hold together."""
    try:
        smallest = min(map(len, baseline.client_scores.values()))
        least = fdr_floor(smallest, judged, fdr, unit="benign clients")
        if least > 1:
            either = f"at an FDR of {fdr:g}, either no alert on a client holds or at least {least:,} of {judged:,} do"
            yield f"{either}: more benign clients lower this number"
    except CalibrationError:
        few = f"{smallest:,} benign clients are too few for any alert on a client to hold at an FDR of {fdr:g}"
        yield f"{few}: at least {nonmembers_needed(fdr):,} must set the thresholds"


def _of_groups(traffic: Traffic, baseline: Baseline, false_alarms: float) -> Iterator[str]:
    """For which clients of this log there are too few benign clients of the same kind."""
    here = Counter(group_of(traffic.clients[name]) for name in traffic.named)
    needed = nonmembers_needed(false_alarms)
    for name, what in REQUESTED.items():
        if not here[name]:
            continue
        like = baseline.like(name)
        if len(like) < needed:
            yield (
                f"clients that request {what} cannot have an alert: they are compared with {len(like)} benign clients, "
                f"and a rate of {false_alarms:g} needs {needed}"
            )
        elif baseline.is_mixed(name):
            yield (
                f"too few benign clients request {what}, so clients that do are compared with benign clients of all "
                "kinds: they cause more alerts than the rate allows, even where they are benign"
            )
