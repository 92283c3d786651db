"""The results of the trials of the monitor, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["written"]


def written(results: Mapping[str, Any]) -> str:
    """All tables that there are results for."""
    parts = ["# The monitor of query logs", ""]
    for name, table in (
        ("world", _world),
        ("benign", _benign),
        ("attacks", _attacks),
        ("samplers", _samplers),
        ("campaigns", _campaigns),
        ("speed", _speed),
    ):
        if name in results:
            parts += [*table(results[name]), ""]
    return "\n".join(parts)


def _rate(row: Mapping[str, Any]) -> str:
    return f"{100 * row['rate']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _world(world: Mapping[str, Any]) -> Iterator[str]:
    groups = ", ".join(f"{name} {count:,}" for name, count in world["groups"].items())
    yield f"Thresholds at {100 * world['rate']:g} % false alarms by {world['clients']:,} benign clients "
    yield f"({world['requests']:,} requests); half of them calibrate, by what they want: {groups}. "
    yield f"{world['families']:,} benign families calibrate, in blocks of {world['block']:,} requests."
    for note in world.get("notes", ()):
        yield ""
        yield note


def _benign(rows: Mapping[str, Any]) -> Iterator[str]:
    yield "## False alarms by kind of benign client"
    yield ""
    yield "| kind | alerts [95 %] | clients | first reasons | plain MMD |"
    yield "|---|---:|---:|---|---:|"
    for kind, row in rows.items():
        reasons = ", ".join(f"{name} {count}" for name, count in row["reasons"].items()) or "–"
        yield f"| {kind} | {_rate(row)} | {row['trials']} | {reasons} | {100 * row['mmd']:.1f} % |"


def _attacks(rows: Mapping[str, Any]) -> Iterator[str]:
    yield "## Attackers that are named, by the share of the attack in their requests"
    yield ""
    yield "| attack | share | named [95 %] | attackers | first reasons | plain MMD |"
    yield "|---|---:|---:|---:|---|---:|"
    for name, row in rows.items():
        attack, share = name.rsplit(" ", 1)
        reasons = ", ".join(f"{each} {count}" for each, count in row["reasons"].items()) or "–"
        line = f"| {attack} | {100 * float(share):g} % | {_rate(row)} | {row['trials']} | {reasons} |"
        yield f"{line} {100 * row['mmd']:.1f} % |"


def _samplers(rows: Mapping[str, Any]) -> Iterator[str]:
    yield "## SaMIA by its size: a fifth of the requests of a client"
    yield ""
    yield "| requests for samples | requests of the client | of the attack | passages | named [95 %] | attackers |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, row in rows.items():
        attack, total = name.rsplit(" ", 1)
        requests = int(total) // 5
        passages = requests // 10 if "a sample a request" in attack else min(requests, 4 * 63)
        figures = f"{int(total):,} | {requests:,} | {passages:,}"
        yield f"| {attack.removeprefix('SaMIA, ')} | {figures} | {_rate(row)} | {row['trials']} |"


def _campaigns(rows: Mapping[str, Any]) -> Iterator[str]:
    yield "## Campaigns of 1,000 requests that accounts share, among 300 benign clients"
    yield ""
    benign = rows["benign families"]
    windows = benign["windows"]
    yield f"Of {benign['trials']} benign families {_rate(benign)} cause an alert. Of {windows['trials']} windows "
    yield f"of benign traffic {_rate(windows)} differ from the benign traffic, by the log's own q-values."
    yield ""
    yield "| attack | accounts | family named [95 %] | campaigns | accounts named alone |"
    yield "|---|---:|---:|---:|---:|"
    for name, row in rows.items():
        if name != "benign families":
            attack, spread = name.rsplit(" ", 1)
            yield f"| {attack} | {int(spread):,} | {_rate(row)} | {row['trials']} | {100 * row['accounts']:.1f} % |"


def _speed(rows: Mapping[str, Any]) -> Iterator[str]:
    yield "## Speed, from the file to the alerts"
    yield ""
    yield "| log holds | processes that parse | lines | bytes a line | lines a second | by processor time |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, row in rows.items():
        if name != "memory":
            figures = f"{row['lines']:,} | {row['bytes_per_line']:,.0f} | {row['lines_per_second']:,.0f}"
            yield f"| {' | '.join(name.split())} | {figures} | {row['lines_per_cpu_second']:,.0f} |"
    if "memory" not in rows:
        return
    memory = rows["memory"]
    yield ""
    yield f"Peak memory of the whole measurement: {memory['peak_mib']:,.0f} MiB."
    yield f"{memory['cores']} cores, of which other programs took a part: the load was {memory['load']:.1f}."
