"""What benign traffic looks like: scales, calibration scores and known prompts, which set the thresholds of a monitor.

The clients of the benign log are split at random. The *fit* half sets the scales of the detectors and the prompts that
are known to be harmless. The *calibration* half is scored by these, as other clients will be, and its scores give the
p-values. A client that is benign and exchangeable with the calibration clients therefore has P(p ≤ u) ≤ u.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..calibration import conformal_p_values, nonmembers_needed
from ..errors import CalibrationError, InputError
from ..records import SCHEMA_VERSION
from ..store import read_record, to_json, write_text
from ._drift import BenignWindows, benign_windows
from ._registry import Registry, key_name
from ._table import Known, Table, client_table, family_table
from ._traffic import Traffic, group_of
from .combining import Scale, combined, scale_of
from .detectors import DETECTORS, Scored

__all__ = [
    "BASELINE",
    "Baseline",
    "BenignTraffic",
    "baseline_of",
    "family_surprises",
    "read_baseline",
    "scored",
    "write_baseline",
]

Floats = NDArray[np.float64]
BASELINE = "baseline.json"
BLOCKS = 100
LEAST_BLOCK = 200
LEAST_BLOCKS = 5
"""Blocks of a shape in the fit half, from which the shape has scales of its blocks alone."""
KNOWN_PROMPTS = 500_000
OTHERS = "others"
"""The group of the clients that request something which too few benign clients request."""
DEVIATIONS = 3
"""A group has so many clients in the fit half that the other half has enough, but for so many standard deviations."""


@dataclass(frozen=True)
class Baseline:
    """What `monitor` knows about benign traffic; `read_baseline` gives it back."""

    clients: Mapping[str, Scale]
    """By detector, for clients."""
    families: Mapping[str, Mapping[str, Scale]]
    """By shape, then by detector: a shape is compared with its past; under "" of all, for shapes that are rare."""
    client_scores: Mapping[str, tuple[float, ...]]
    """Of the calibration clients, by group: those that request scores, distributions or samples, and all others."""
    family_scores: tuple[float, ...]
    """Of the calibration families: shapes in blocks of consecutive requests."""
    block: int
    """Requests of a block."""
    requests: int
    """Of the whole benign traffic."""
    seconds: float
    """About how much time it covers; 0 where the log has no times."""
    prompts: str
    """Digests of the prompts of the fit half for which any of these was requested, eight bytes each, in base64."""
    drift: BenignWindows
    """What windows of traffic are compared with."""
    fields: tuple[str, ...]
    """The fields of a query that the benign log records."""
    key: str
    """Of the sketches of prompts that a log keeps as text, in hexadecimal."""
    registry_key: str
    """A name of the key of the registry that was used; empty without a registry."""
    sha256: str = ""
    """Of the file's other fields, so that a file that was edited or damaged is known; empty in memory."""
    schema_version: int = SCHEMA_VERSION

    @property
    def calibration_clients(self) -> int:
        """How many benign clients set the thresholds."""
        return sum(map(len, self.client_scores.values()))

    def like(self, group: str) -> tuple[float, ...]:
        """The scores of the calibration clients that a client of *group* is compared with."""
        return self.client_scores.get(group, self.client_scores[OTHERS])

    def is_mixed(self, group: str) -> bool:
        """Whether a client of *group* is compared with clients of all kinds, which request less than it does."""
        return group not in self.client_scores and group != "text"

    def p_values(self, scores: Floats, groups: Sequence[str]) -> Floats:
        """The conformal p-value of each client, among the calibration clients of its group.

        For a benign client that is exchangeable with the calibration clients of its group, P(p ≤ u) ≤ u for every u,
        within each group (Vovk 2005: Mondrian conformal prediction), because neither the groups nor the scores depend
        on the calibration clients.
        """
        names = np.array([name if name in self.client_scores else OTHERS for name in groups], dtype=object)
        p_values = np.ones(len(scores))
        for name, known in self.client_scores.items():
            p_values[names == name] = conformal_p_values(scores[names == name], known)
        return p_values

    def known(self, registry: Registry | None) -> Known:
        """What explains prompts."""
        return Known(np.frombuffer(base64.b64decode(self.prompts), "<u8"), registry)


@dataclass
class BenignTraffic:
    """Benign traffic in its two halves."""

    fit: Traffic
    calibration: Traffic
    seed: int = 0

    def half(self, client: str) -> Traffic:
        """The half that a client belongs to: it depends on its name and on the seed alone."""
        digest = hashlib.sha256(f"{self.seed}\n{client}".encode(errors="surrogatepass")).digest()
        return self.fit if digest[0] % 2 else self.calibration


def baseline_of(
    split: BenignTraffic, fields: frozenset[str], *, registry: Registry | None, false_alarms: float
) -> Baseline:
    """The baseline that benign traffic gives.

    Raises:
        CalibrationError: too few clients for the rate of false alarms; the message says how many are needed.
    """
    needed = nonmembers_needed(false_alarms)
    fitted, calibrating = split.fit.named, split.calibration.named
    if len(calibrating) < needed or len(fitted) < 2:
        raise CalibrationError(_too_few(len(fitted), len(calibrating), needed, false_alarms))
    everything, shared = _prompts(split.fit)
    for_fit, known = Known(shared, registry), Known(everything, registry)
    block = max(LEAST_BLOCK, split.calibration.requests // BLOCKS)
    of_clients = {
        name: scale_of(each.values) for name, each in scored(client_table(split.fit, for_fit, fitted)).items()
    }
    of_families = _family_scales(*family_scores(split.fit, for_fit, block))
    return Baseline(
        of_clients,
        of_families,
        _by_group(split, _scores(of_clients, scored(client_table(split.calibration, known, calibrating))), needed),
        tuple(combined(family_surprises(of_families, *family_scores(split.calibration, known, block))).tolist()),
        block,
        split.fit.requests + split.calibration.requests,
        max(split.fit.seconds, split.calibration.seconds),
        base64.b64encode(everything.astype("<u8").tobytes()).decode(),
        benign_windows(split.fit.sample, split.calibration.sample),
        tuple(sorted(fields)),
        split.fit.key.hex(),
        "" if registry is None else key_name(registry.key),
    )


def _by_group(split: BenignTraffic, scores: Floats, needed: int) -> dict[str, tuple[float, ...]]:
    """The scores of the calibration clients by group; groups of which the fit half has too few clients are joined."""
    counts = Counter(group_of(split.fit.clients[name]) for name in split.fit.named)
    separate = [name for name, count in counts.most_common() if _enough(count, needed)]
    while separate and not _enough(sum(count for name, count in counts.items() if name not in separate), needed):
        separate.pop()
    groups = np.array([group_of(split.calibration.clients[name]) for name in split.calibration.named], dtype=object)
    known = {name: scores[groups == name] for name in separate}
    known[OTHERS] = scores[~np.isin(groups.astype(str), separate)]
    return {name: tuple(each.tolist()) for name, each in known.items()}


def _too_few(fitted: int, calibrating: int, needed: int, false_alarms: float) -> str:
    """That the benign traffic names too few clients, and how many are enough."""
    clients = fitted + calibrating
    if not clients:
        return (
            "no line of the benign log names a client, and benign clients set the thresholds, those of families too: "
            "give as `benign` a log that names them, such as that of the guard in front of the server (vLLM's "
            "log names none); for a log of another format, name the path of the client by `mapping`"
        )
    some = "1 client" if clients == 1 else f"{clients} clients"
    many = f"about {2 * needed + 2} are needed, and {_surely_enough(needed)} to be sure"
    return (
        f"the benign traffic has {some}, of which {calibrating} fell by chance into the half that sets the thresholds; "
        f"a rate of false alarms of {false_alarms:g} needs {needed} there, so {many}: give more benign traffic, or a "
        "larger `false_alarms`"
    )


def _surely_enough(needed: int) -> int:
    """So many clients that half of them, drawn by chance, are at least *needed*, but for three standard deviations.

    n clients give n/2 on average, with a standard deviation of √n/2.

    >>> [_surely_enough(needed) for needed in (19, 99, 333)]
    [62, 245, 749]
    """
    root = (DEVIATIONS + math.sqrt(DEVIATIONS**2 + 8 * needed)) / 2
    return math.ceil(root**2)


def family_scores(traffic: Traffic, known: Known, block: int) -> tuple[dict[str, Scored], list[str]]:
    """What each detector measures of each block of each shape, and the shapes."""
    table, names = family_table(traffic, known, block)
    return scored(table, pooled=True), [names[at][0] for at in range(len(table.groups))]


def _family_scales(measured: Mapping[str, Scored], shapes: Sequence[str]) -> dict[str, dict[str, Scale]]:
    """The scales of each shape that has enough blocks, and of all shapes together."""
    at = np.array(shapes, dtype=object)
    usual = [shape for shape, count in Counter(shapes).items() if count >= LEAST_BLOCKS]
    return {
        shape: {name: scale_of(each.values[(at == shape) | (shape == "")]) for name, each in measured.items()}
        for shape in ["", *usual]
    }


def family_surprises(
    scales: Mapping[str, Mapping[str, Scale]], measured: Mapping[str, Scored], shapes: Sequence[str]
) -> dict[str, Floats]:
    """How surprising each block is, by detector: among blocks of the same shape, where enough of those are known.

    Benign shapes differ: whoever evaluates models always scores more than whoever chats. Among the blocks of all shapes
    every block of such a shape would stand out, and so would the shape, however large its past.
    """
    at = np.array(shapes, dtype=object)
    surprises = {name: scale.surprise(measured[name].values) for name, scale in scales[""].items()}
    for shape in set(scales) & set(shapes):
        for name, scale in scales[shape].items():
            surprises[name][at == shape] = scale.surprise(measured[name].values[at == shape])
    return surprises


def _enough(count: int, needed: int) -> bool:
    """Whether a group with *count* clients in the fit half most likely has *needed* in the other half.

    A client falls into either half by chance, so the numbers of both differ by about the root of their sum.
    """
    return count - DEVIATIONS * math.sqrt(2 * count) >= needed


def scored(table: Table, *, pooled: bool = False) -> dict[str, Scored]:
    """What each detector measures of *table*, by its name."""
    return {each.name: each.score(table) for each in DETECTORS if each.pooled or not pooled}


def _scores(scales: Mapping[str, Scale], measured: Mapping[str, Scored]) -> Floats:
    return combined({name: scale.surprise(measured[name].values) for name, scale in scales.items()})


def _prompts(traffic: Traffic) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Digests of the prompts that want something, sorted: of all, and of those that at least two clients sent."""
    seen: dict[bytes, int] = {}
    for client in traffic.clients.values():
        for digest in {row.sketch[-8:] for row in client.kept.values() if row.sketch is not None}:
            if digest in seen or len(seen) < KNOWN_PROMPTS:
                seen[digest] = seen.get(digest, 0) + 1
    every = np.frombuffer(b"".join(sorted(seen)), "<u8")
    shared = np.frombuffer(b"".join(digest for digest, clients in seen.items() if clients > 1), "<u8")
    return np.sort(every), np.sort(shared)


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write *baseline*; the file holds the key of the sketches, and is as confidential as the log."""
    write_text(path, to_json(replace(baseline, sha256=_digest(baseline))))


def _digest(baseline: Baseline) -> str:
    return hashlib.sha256(to_json(replace(baseline, sha256="")).encode()).hexdigest()


def read_baseline(path: str | os.PathLike[str]) -> Baseline:
    """The baseline in a file of `write_baseline`, or in a folder that has it under the name that `monitor` gives.

    Raises:
        InputError: it cannot be read, was edited, or is of another version.
    """
    where = Path(path)
    where = where / BASELINE if where.is_dir() else where
    baseline: Baseline = read_record(Baseline, where, InputError, "set the thresholds again with `benign`")
    if baseline.schema_version != SCHEMA_VERSION:
        raise InputError(f"{where}: was written by another version of llm_mia: set the thresholds again with `benign`")
    if baseline.sha256 != _digest(baseline):
        raise InputError(f"{where}: was edited or damaged after it was written: set the thresholds again with `benign`")
    return replace(baseline, sha256="")
