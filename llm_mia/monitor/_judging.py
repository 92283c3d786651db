"""Traffic and a baseline → alerts with reasons, and notes on what the alerts rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..calibration import benjamini_hochberg, conformal_p_values
from ._baseline import Baseline, family_surprises, scored
from ._drift import drift_of
from ._faults import Faults
from ._notes import notes
from ._registry import Registry
from ._result import Alert, LogRecord, MonitorResult, Reason
from ._table import Known, Table, client_table, family_table
from ._traffic import Traffic, group_of
from .combining import Scale, combined
from .detectors import OVERLAP, Scored
from .reading import ReadLog

__all__ = ["judge", "simes"]

Floats = NDArray[np.float64]
SHOWN_LINES = 5


def judge(
    traffic: Traffic,
    baseline: Baseline,
    paths: Sequence[Path],
    read: Sequence[ReadLog],
    *,
    out: Path,
    registry: Registry | None,
    false_alarms: float,
    fdr: float,
) -> MonitorResult:
    """What *baseline* makes of *traffic*."""
    known = baseline.known(registry)
    names = [path.name for path in paths]
    clients, of_clients = _client_alerts(traffic, baseline, known, names, false_alarms)
    families, of_families = _family_alerts(traffic, baseline, known, names, false_alarms)
    faults = Faults()
    for each in read:
        faults.merge(each.faults)
    return MonitorResult(
        path=out,
        logs=tuple(
            LogRecord(
                name, each.source.name, each.lines, each.requests, tuple(sorted(each.fields)), _blind(each, registry)
            )
            for name, each in zip(names, read, strict=False)  # a log that is still followed has no record yet
        ),
        faults=faults.listed(),
        requests=traffic.requests,
        clients=of_clients,
        nameless=traffic.nameless,
        evicted=traffic.evicted,
        families=of_families,
        alerts=(*families, *clients),
        false_alarms=false_alarms,
        fdr=fdr,
        calibration_clients=baseline.calibration_clients,
        calibration_families=len(baseline.family_scores),
        calibration_requests=baseline.requests,
        registered=() if registry is None else tuple(each.name for each in registry.sets),
        drift=drift_of(traffic.sample, baseline.drift),
        notes=tuple(notes(traffic, baseline, read, registry, of_clients, false_alarms, fdr)),
    )


def _blind(read: ReadLog, registry: Registry | None) -> dict[str, str]:
    """By detector, why it sees nothing in a log; with a registry, also where its key is not that of the sketches."""
    if registry is None or not registry.drawn or "sketch" not in read.fields or "prompt" in read.fields:
        return read.blind
    why = "the log has sketches, and the data sets were registered without the secret of the guard: register them with"
    return {**read.blind, OVERLAP.name: f"{why} it"}


def _client_alerts(
    traffic: Traffic, baseline: Baseline, known: Known, logs: Sequence[str], rate: float
) -> tuple[list[Alert], int]:
    names = traffic.named
    if not names:
        return [], 0
    table = client_table(traffic, known, names)
    measured = scored(table)
    surprises = _surprises(baseline.clients, measured)
    scores = combined(surprises)
    groups = [group_of(traffic.clients[name]) for name in table.groups]
    p_values = baseline.p_values(scores, groups)
    q_values = benjamini_hochberg(p_values)
    alerts = []
    for at in _order(p_values, scores, rate):
        reasons = _reasons(table, np.flatnonzero(table.group == at), measured, surprises, [at], logs)
        name = table.groups[at]
        figures = (float(scores[at]), float(p_values[at]), float(q_values[at]))
        mixed = baseline.is_mixed(groups[at])
        alerts.append(Alert("client", name, *figures, traffic.clients[name].requests, 1, reasons, mixed))
    return alerts, len(table.groups)


def _family_alerts(
    traffic: Traffic, baseline: Baseline, known: Known, logs: Sequence[str], rate: float
) -> tuple[list[Alert], int]:
    """Alerts on shapes: the p-values of the blocks of a shape are combined by the method of Simes."""
    table, names = family_table(traffic, known, baseline.block)
    measured = scored(table, pooled=True)
    surprises = family_surprises(baseline.families, measured, [names[at][0] for at in range(len(table.groups))])
    scores = combined(surprises)
    of_blocks = conformal_p_values(scores, baseline.family_scores) if baseline.family_scores else np.ones(len(scores))
    shapes = sorted({shape for shape, _ in names.values()})
    groups = {shape: [at for at, name in names.items() if name[0] == shape] for shape in shapes}
    p_values = np.array([simes(of_blocks[groups[shape]]) for shape in shapes])
    best = np.array([scores[groups[shape]].max() for shape in shapes])
    q_values = benjamini_hochberg(p_values)
    without_name = list(traffic.clients).index("") if traffic.nameless else -1
    alerts = []
    for at in _order(p_values, best, rate):
        blocks = groups[shapes[at]]
        strange = [block for block in blocks if of_blocks[block] <= rate] or blocks
        rows = np.flatnonzero(np.isin(table.group, strange))
        reasons = _reasons(table, rows, measured, surprises, strange, logs)
        counted = np.zeros(len(table.rows), np.bool_)
        for each in measured.values():
            counted |= each.rows
        of_requests = table.client[rows[counted[rows]]]
        named = of_requests != without_name
        clients, nameless = len(np.unique(of_requests[named])), int((~named).sum())
        figures = (float(best[at]), float(p_values[at]), float(q_values[at]))
        alerts.append(Alert("family", shapes[at], *figures, len(of_requests), clients, reasons, nameless=nameless))
    return alerts, len(shapes)


def simes(p_values: Floats) -> float:
    """A p-value for several hypotheses at once: the least of n·p₍ₖ₎/k.

    If all are true and the p-values are independent or positively dependent (PRDS), as conformal p-values that share a
    calibration set are, P(result ≤ u) ≤ u for every u. Simes 1986; Benjamini and Yekutieli 2001.

    >>> simes(np.array([0.01, 0.04, 0.5]))
    0.03
    """
    ordered = np.sort(p_values)
    return float(min(1.0, (ordered * len(ordered) / np.arange(1, len(ordered) + 1)).min()))


def _surprises(scales: Mapping[str, Scale], measured: Mapping[str, Scored]) -> dict[str, Floats]:
    return {name: scale.surprise(measured[name].values) for name, scale in scales.items()}


def _order(p_values: Floats, scores: Floats, rate: float) -> list[int]:
    """The positions of the alerts, the smallest p-value first, of equal ones the highest score."""
    return [int(at) for at in np.lexsort((-scores, p_values)) if p_values[at] <= rate]


def _reasons(
    table: Table,
    rows: NDArray[np.intp],
    measured: Mapping[str, Scored],
    surprises: Mapping[str, Floats],
    groups: Sequence[int],
    logs: Sequence[str],
) -> tuple[Reason, ...]:
    """Why *groups* together have an alert: the detectors with a rare value, with some of the lines that count."""
    reasons = []
    for name, surprise in surprises.items():
        most = float(surprise[groups].max())
        if most <= 0:
            continue
        counted = rows[measured[name].rows[rows]]
        places = sorted(table.rows[at].place for at in counted.tolist())[:SHOWN_LINES]
        lines = tuple(f"{logs[log]}:{line}" for log, line in places)
        reasons.append(Reason(name, float(measured[name].values[groups].sum()), most, lines))
    return tuple(sorted(reasons, key=lambda reason: -reason.surprise))
