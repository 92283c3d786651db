"""What a monitor reports: alerts with reasons and places, and ``monitor.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunDirectoryError
from ..records import SCHEMA_VERSION
from ..store import read_record, to_json, write_text
from ._drift import DriftWindow
from ._faults import Fault

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Alert", "LogRecord", "MonitorResult", "Reason", "read_monitor", "write_monitor"]

FILE, ALERTS = "monitor.json", "alerts.jsonl"


@dataclass(frozen=True, slots=True)
class Reason:
    """A detector that contributes to an alert."""

    detector: str
    value: float
    """What it counts; see the detector."""
    surprise: float
    """−log₁₀ of the share of benign clients, or families, with as much; beyond the largest it is extrapolated."""
    lines: tuple[str, ...]
    """Some of the lines that count, as FILE:LINE; never what they hold."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A client, or a family of requests of many clients, whose requests look like membership inference."""

    kind: str
    """``client`` or ``family``."""
    name: str
    """The client, by its name in the log; of a family, the parameters that its requests have in common."""
    score: float
    """The largest surprise of the detectors."""
    p_value: float
    """Conformal: how often a benign client, or family, has such a score."""
    q_value: float
    """The expected share of wrong alerts among all with a q-value as small (Benjamini–Hochberg)."""
    requests: int
    """All requests of the client; of a family, those that were kept."""
    clients: int
    """How many clients the requests name."""
    reasons: tuple[Reason, ...]
    """The detectors with a rare value, the rarest first."""
    mixed: bool = False
    """Whether a client was compared with benign clients of all kinds, because too few request the same: then a benign
    client causes an alert more often than the rate allows."""
    nameless: int = 0
    """How many of the requests of a family name no client."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log that was read."""

    name: str
    source: str
    """The format."""
    lines: int
    requests: int
    fields: tuple[str, ...]
    """The fields of a query that the lines hold."""
    blind: Mapping[str, str]
    """By detector: why it sees nothing in this log."""


@dataclass(frozen=True, slots=True, repr=False)
class MonitorResult:
    """What `monitor` returns; `read_monitor` returns an equal record."""

    path: Path = field(compare=False)
    """The folder of the results."""
    logs: tuple[LogRecord, ...]
    faults: tuple[Fault, ...]
    """Lines that were left out or are odd."""
    requests: int
    clients: int
    """Clients that were judged."""
    nameless: int
    """Requests that name no client: they are judged in families alone."""
    evicted: int
    """Clients that were forgotten, because memory is bounded."""
    families: int
    """Families that were judged."""
    alerts: tuple[Alert, ...]
    """All whose p-value is at most `false_alarms`: families first, then by p-value and score."""
    false_alarms: float
    """The share of benign clients, and of benign families, that may cause an alert."""
    fdr: float
    """Alerts with a q-value of at most this hold at this false discovery rate."""
    calibration_clients: int
    """Benign clients that set the threshold."""
    calibration_families: int
    calibration_requests: int
    """Benign requests of the whole baseline."""
    registered: tuple[str, ...]
    """Names of the registered data sets."""
    drift: tuple[DriftWindow, ...]
    notes: tuple[str, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def confirmed(self) -> tuple[Alert, ...]:
        """The alerts whose q-value is at most `fdr`."""
        return tuple(alert for alert in self.alerts if alert.q_value <= self.fdr)

    def of(self, kind: str) -> tuple[Alert, ...]:
        """The alerts of a *kind*: ``client`` or ``family``."""
        return tuple(alert for alert in self.alerts if alert.kind == kind)

    def __repr__(self) -> str:
        alerts = f"{len(self.of('client'))} clients and {len(self.of('family'))} families"
        return f"<MonitorResult {str(self.path)!r}: alerts on {alerts} of {self.requests} requests>"

    # `llm_mia.report` lies above this package, so it is imported by name, and only when somebody displays the result.

    def __rich__(self) -> RenderableType:
        renderable: RenderableType = import_module("llm_mia.report").monitor_screen(self)
        return renderable


def write_monitor(result: MonitorResult, earlier: Sequence[Alert] = ()) -> None:
    """Write ``monitor.json``, and ``alerts.jsonl`` with an alert a line, those of *earlier* results last."""
    result.path.mkdir(parents=True, exist_ok=True)
    write_text(result.path / FILE, to_json(replace(result, path=Path())))  # a folder may be moved
    lines = [json.dumps(asdict(alert), ensure_ascii=False) + "\n" for alert in (*result.alerts, *earlier)]
    write_text(result.path / ALERTS, "".join(lines))


def read_monitor(path: str | Path) -> MonitorResult:
    """The result in the folder *path*, equal to what `monitor` returned.

    Raises:
        RunDirectoryError: no ``monitor.json`` there, or not what `monitor` wrote.
    """
    folder = Path(path)
    result: MonitorResult = read_record(MonitorResult, folder / FILE, RunDirectoryError, "run the monitor again")
    return replace(result, path=folder)
