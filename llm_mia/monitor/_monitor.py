"""Logs → alerts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..calibration import check_rate, nonmembers_needed
from ..errors import CalibrationError, InputError, UsageError
from ._baseline import BASELINE, Baseline, BenignTraffic, baseline_of, read_baseline, write_baseline
from ._different import refuse_equal_logs
from ._following import follow_log
from ._judging import judge
from ._registry import Registry, read_registry
from ._result import Alert, MonitorResult, write_monitor
from ._rows import Row, rows_of
from ._traffic import Limits, Traffic
from .reading import ReadLog, fitting_source, read_log
from .sources import Source, mapped_source

__all__ = ["monitor"]

PathLike = str | os.PathLike[str]


def monitor(
    logs: PathLike | Sequence[PathLike],
    *,
    benign: PathLike | Sequence[PathLike] | None = None,
    baseline: PathLike | Baseline | None = None,
    out: PathLike,
    false_alarms: float = 0.003,
    fdr: float = 0.05,
    registry: PathLike | Registry | None = None,
    mapping: PathLike | None = None,
    follow: Callable[[Alert], None] | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    processes: int = 1,
) -> MonitorResult:
    """The clients, and the families of requests of many clients, whose requests look like membership inference.

    Each of them has an alert. A client that is benign, and exchangeable with the clients of the benign traffic, causes
    an alert with probability at most *false_alarms*, on average over benign traffic; the same holds for families, where
    blocks of requests are exchangeable. Of the alerts on clients with a q-value of at most *fdr*, the
    expected share of false alarms is at most *fdr*; the same holds for families, and not for both together.

    Args:
        logs: files, in any of the known formats, also compressed by gzip.
        benign: logs of traffic without attacks, by which the thresholds are set.
        baseline: instead, ``baseline.json`` of an earlier call, or the folder with it.
        out: the folder for ``alerts.jsonl``, ``monitor.json`` and ``baseline.json``.
        false_alarms: the rate of false alarms.
        fdr: the false discovery rate that alerts are marked for.
        registry: data sets, of `build_registry` or a file of them, whose overlap with prompts is measured.
        mapping: a TOML file with the path of each field, for a format that is not known. It is not applied to a log of
            a known format in which it knows no client.
        follow: takes each alert when it arises; the log is then read as it grows, until the program is interrupted.
        limits: of memory.
        seed: of the split of the benign clients.
        processes: how many parse lines at the same time, beside this one, which counts them; the result does not depend
            on it. In a Python script, write the call under ``if __name__ == "__main__":``.

    Raises:
        UsageError: not exactly one of *benign* and *baseline* is given, a log is also a benign log, or a rate lies
            outside (0, 1).
        CalibrationError: too few benign clients for *false_alarms*.
        InputError: a file cannot be read.
    """
    check_rate("false_alarms", false_alarms)
    check_rate("fdr", fdr)
    paths, folder, bound = _paths(logs), Path(out), limits or Limits()
    for path in paths:
        if not path.exists() or path.is_dir():  # noticed before a long reading of benign traffic
            raise InputError(f"{path}: is no file: name a log that exists")
    if follow is not None and len(paths) > 1:
        raise UsageError("`follow` reads a single log: name only that")
    if processes < 1 or (follow is not None and processes > 1):
        raise UsageError(f"`processes` is {processes}: give 1 or more, and 1 with `follow`")
    known = read_registry(registry) if isinstance(registry, str | os.PathLike) else registry
    source = None if mapping is None else mapped_source(Path(mapping))
    if benign is not None and baseline is None:
        refuse_equal_logs(paths, _paths(benign))
        base = _learn(_paths(benign), known, source, bound, false_alarms=false_alarms, seed=seed, processes=processes)
        write_baseline(folder / BASELINE, base)
    elif baseline is not None and benign is None:
        base = baseline if isinstance(baseline, Baseline) else read_baseline(baseline)
        _check_rate_of(base, false_alarms)
    else:
        raise UsageError("give either `benign`, a log of traffic without attacks, or `baseline`, of an earlier call")
    if follow is not None:
        return follow_log(
            paths[0],
            base,
            out=folder,
            report=follow,
            false_alarms=false_alarms,
            fdr=fdr,
            registry=known,
            source=fitting_source(paths[0], source),
            limits=bound,
        )
    traffic = Traffic(bound, bytes.fromhex(base.key))
    rows = partial(rows_of, key=traffic.key)
    read = [
        read_log(
            path,
            partial(traffic.add_rows, log=at),
            prepare=rows,
            source=fitting_source(path, source),
            processes=processes,
        )
        for at, path in enumerate(paths)
    ]
    if not traffic.requests:
        raise InputError(_nothing_read(paths, read, mapped=source is not None))
    result = judge(traffic, base, paths, read, out=folder, registry=known, false_alarms=false_alarms, fdr=fdr)
    write_monitor(result)
    return result


def _learn(
    paths: Sequence[Path],
    registry: Registry | None,
    source: Source | None,
    limits: Limits,
    *,
    false_alarms: float,
    seed: int,
    processes: int,
) -> Baseline:
    """The baseline that the benign logs *paths* give."""
    key = secrets.token_bytes(32) if registry is None else registry.key
    split = BenignTraffic(Traffic(limits, key), Traffic(limits, key), seed)
    fields: set[str] = set()
    for at, path in enumerate(paths):

        def take(rows: Sequence[Row], at: int = at) -> None:
            for half in (split.fit, split.calibration):
                half.add_rows([row for row in rows if split.half(row[1]) is half], at)

        prepare = partial(rows_of, key=key)
        fields |= read_log(path, take, prepare=prepare, source=fitting_source(path, source), processes=processes).fields
    return baseline_of(split, frozenset(fields), registry=registry, false_alarms=false_alarms)


def _nothing_read(paths: Sequence[Path], read: Sequence[ReadLog], *, mapped: bool) -> str:
    """That no line of the logs can be read, and what to do."""
    if mapped:
        return f"{paths[0]}: no line of the log can be read by the mapping: correct the paths in `mapping`"
    faults = [fault for each in read for fault in each.faults.listed() if not fault.read]
    why = f" (most lines: {faults[0].reason})" if faults else ""
    return f"{paths[0]}: no line of the log holds a request that can be read{why}: name another log"


def _check_rate_of(baseline: Baseline, false_alarms: float) -> None:
    """Raise `CalibrationError` where the baseline has too few clients for an alert at this rate."""
    most, needed = max(map(len, baseline.client_scores.values())), nonmembers_needed(false_alarms)
    if most < needed:
        raise CalibrationError(
            f"the baseline has at most {most} benign clients to compare a client with, and a rate of false alarms of "
            f"{false_alarms:g} needs {needed}: set the thresholds again with `benign`, or give a larger `false_alarms`"
        )


def _paths(given: PathLike | Sequence[PathLike]) -> list[Path]:
    paths = [Path(given)] if isinstance(given, str | os.PathLike) else [Path(each) for each in given]
    if not paths:
        raise UsageError("`logs` is empty: name at least one log")
    return paths
