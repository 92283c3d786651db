"""Query logs → clients, and families of requests of many clients, whose traffic looks like membership inference.

stage                                       where
lines of many formats → `Query`             `sources/`, a file for each format
queries → a bounded sample of each client   `Traffic`
sample → what each detector counts          `detectors/`, an idea a file
counts → one score → p-value → alerts       thresholds by benign traffic, see `Baseline`
"""

from ._baseline import Baseline, BenignTraffic, baseline_of, read_baseline
from ._drift import benign_windows, drift_of, features_of, median_distance, squared_mmd
from ._faults import Fault
from ._following import follow_log
from ._inspecting import Inspection, inspect_log
from ._judging import judge, simes
from ._monitor import monitor
from ._registry import RegisteredSet, Registry, build_registry, read_registry, registry_to_json
from ._result import Alert, LogRecord, MonitorResult, Reason, read_monitor
from ._rows import Kind
from ._traffic import Limits, Traffic

__all__ = [
    "Alert",
    "Baseline",
    "BenignTraffic",
    "Fault",
    "Inspection",
    "Kind",
    "Limits",
    "LogRecord",
    "MonitorResult",
    "Reason",
    "RegisteredSet",
    "Registry",
    "Traffic",
    "baseline_of",
    "benign_windows",
    "build_registry",
    "drift_of",
    "features_of",
    "follow_log",
    "inspect_log",
    "judge",
    "median_distance",
    "monitor",
    "read_baseline",
    "read_monitor",
    "read_registry",
    "registry_to_json",
    "simes",
    "squared_mmd",
]
