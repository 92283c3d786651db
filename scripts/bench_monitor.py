"""Measure the monitor of query logs: detection, false alarms by kind of benign client, campaigns, and speed.

.venv/bin/python scripts/bench_monitor.py [--only benign,attacks,samplers,campaigns,speed] [--scale 1.0]

Results: `scripts/results/monitor.json` and `monitor.md`. Parts that are not run keep their earlier results.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.attack_requests import ATTACKS, SAMPLERS
from benchmarks.benign_clients import KINDS, requests_of
from benchmarks.monitor_report import written
from benchmarks.monitor_trials import COVERS, MIX, RATE, World, campaign, dripped, members_of, mmd_alarms

from llm_mia.metrics import clopper_pearson
from llm_mia.monitor import monitor
from llm_mia.queries import Query, query_to_line

RESULTS = Path(__file__).parent / "results"
SHARES = (1.0, 0.2, 0.05, 0.01)
TOTAL = 500
"""Requests of an attacker who drips."""
TOTALS = (250, 500, 1000, 2500, 5000)
CAMPAIGN = 1000
TIMES = 20
"""How often the log of the measurement of speed repeats its requests."""


def shown(hits: int, trials: int) -> dict[str, Any]:
    """A rate with its interval of 95 %."""
    interval = clopper_pearson(hits, trials)
    return {"rate": hits / trials, "low": interval.low, "high": interval.high, "trials": trials}


def benign(world: World, scale: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """False alarms by kind of benign client."""
    count = int(600 * scale)
    for kind in KINDS:
        clients = {f"{kind} {at}": world.client(kind, f"test-{at}") for at in range(count)}
        clients = {name: [replace(query, client=name) for query in queries] for name, queries in clients.items()}
        result = world.judged(clients)
        alarms = result.of("client")
        reasons = Counter(alert.reasons[0].detector for alert in alarms)
        yield kind, {**shown(len(alarms), count), "reasons": dict(reasons), "mmd": mmd_alarms(world, clients)}


def attacks(world: World, scale: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Detection of attackers, pure and dripped, each judged by what it sends alone."""
    rng = random.Random(7)  # noqa: S311
    for share in SHARES:
        for attack in ATTACKS:
            count = max(10, int((120 if share == 1.0 else 60) * scale))
            names = [f"attacker-{at}-{share}" for at in range(count)]
            clients = {name: dripped(world, attack, name, share, TOTAL, rng) for name in names}
            result = world.judged(clients)
            reasons = Counter(alert.reasons[0].detector for alert in result.of("client"))
            row = {**shown(members_of(result, "attacker"), count), "reasons": dict(reasons)}
            yield f"{attack} {share:g}", {**row, "mmd": mmd_alarms(world, clients)}


def samplers(world: World, scale: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Detection of SaMIA by the size of its log: how many requests its client sends, a fifth of them the attack."""
    rng = random.Random(10)  # noqa: S311
    for attack in SAMPLERS:
        for total in TOTALS:
            count = max(10, int(60 * scale))
            names = [f"attacker-{at}-{total}" for at in range(count)]
            result = world.judged({name: dripped(world, attack, name, 0.2, total, rng) for name in names})
            yield f"{attack} {total}", shown(members_of(result, "attacker"), count)


def campaigns(world: World, scale: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Campaigns that accounts share, within the traffic of benign clients; and benign traffic alone."""
    rng = random.Random(8)  # noqa: S311
    trials = max(5, int(20 * scale))
    mixes = []
    for trial in range(trials):
        kinds = rng.choices([*MIX], [*MIX.values()], k=300)
        mixes.append({f"h-{trial}-{at}": world.client(kind, f"h-{trial}-{at}") for at, kind in enumerate(kinds)})
    families = false = windows = strange = 0
    for mix in mixes:
        result = world.judged(mix)
        families, false = families + result.families, false + len(result.of("family"))
        windows += len(result.drift)
        strange += sum(window.q_value <= result.fdr for window in result.drift)
    yield "benign families", {**shown(false, families), "windows": shown(strange, windows)}
    for attack in ATTACKS:
        for spread in (10, 1000):
            hits, accounts = 0, 0.0
            for mix in mixes:
                of_each = campaign(world, attack, CAMPAIGN, spread, rng)
                result = world.judged({**mix, **{f"account-{at}": queries for at, queries in enumerate(of_each)}})
                # The campaign is named where most of the clients of a family are its accounts.
                hits += any(alert.clients >= spread / 2 for alert in result.of("family"))
                accounts += members_of(result, "account-") / spread
            yield f"{attack} {spread}", {**shown(hits, trials), "accounts": accounts / trials}


def speed(world: World, scale: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lines a second of the guard's log, with sketches and with prompts, from file to alerts; memory."""
    rng = random.Random(9)  # noqa: S311
    sketches, prompts = list[Query](), list[Query]()
    for at in range(int(300 * scale)):
        sketches += world.client(rng.choice(COVERS), f"s-{at}")
        prompts += requests_of(rng.choice(COVERS), f"p-{at}", rng, world.words, world.benchmarks)
    with tempfile.TemporaryDirectory() as folder:
        for name, queries, times in (("sketches", sketches, TIMES), ("prompts", prompts, TIMES // 2)):
            log = Path(folder) / f"{name}.jsonl"
            with log.open("w") as file:
                for turn in range(times):  # the same requests by other clients
                    for query in queries:
                        file.write(query_to_line(replace(query, client=f"{query.client}-{turn}")) + "\n")
            lines = len(queries) * times
            for processes in (1, 2):
                start, cpu = time.perf_counter(), _processor_seconds()
                monitor(
                    log, baseline=world.baseline, registry=world.registry, out=Path(folder) / "out", processes=processes
                )
                seconds, used = time.perf_counter() - start, _processor_seconds() - cpu
                yield (
                    f"{name} {processes}",
                    {
                        "lines": lines,
                        "bytes_per_line": log.stat().st_size / lines,
                        "lines_per_second": lines / seconds,
                        "lines_per_cpu_second": lines / used,
                    },
                )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield "memory", {"peak_mib": peak, "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def _processor_seconds() -> float:
    """What this process and those that it started have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


PARTS = {"benign": benign, "attacks": attacks, "samplers": samplers, "campaigns": campaigns, "speed": speed}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="the parts, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="how many clients and trials, as a factor")
    parser.add_argument("--clients", type=int, default=3000, help="benign clients that set the thresholds")
    parser.add_argument("--seed", type=int, default=0, help="of the clients, benign and not")
    given = parser.parse_args(arguments)
    path = RESULTS / "monitor.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    start = time.perf_counter()
    world = World(given.seed, given.clients)
    groups = {name: len(scores) for name, scores in world.baseline.client_scores.items()}
    results["world"] = {
        "seed": given.seed, "clients": given.clients, "requests": world.baseline.requests, "rate": RATE,
        "groups": groups, "families": len(world.baseline.family_scores), "block": world.baseline.block,
    }  # fmt: skip
    sys.stderr.write(f"benign traffic: {results['world']}, {time.perf_counter() - start:.0f} s\n")
    for name in given.only.split(","):
        results[name] = {}
        for row, figures in PARTS[name](world, given.scale):
            results[name][row] = figures
            sys.stderr.write(f"{name}, {row}: {figures}\n")
            path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            (RESULTS / "monitor.md").write_text(written(results), encoding="utf-8")


if __name__ == "__main__":
    main()
