"""Trials of the monitor: benign clients of every kind, attackers pure and dripped, campaigns over many clients."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from llm_mia.calibration import conformal_p_values
from llm_mia.monitor import (
    Baseline,
    BenignTraffic,
    Limits,
    MonitorResult,
    Registry,
    Traffic,
    baseline_of,
    build_registry,
    features_of,
    judge,
    median_distance,
    squared_mmd,
)
from llm_mia.queries import Query, sketch_prompts

from .attack_requests import attack_requests
from .benign_clients import Benchmarks, Words, requests_of
from .texts import passages

__all__ = ["ALIKE", "COVERS", "MIX", "SPREADS", "World", "campaign", "dripped", "members_of", "mmd_alarms"]

KEY = b"a key of the trials"
RATE, FDR = 0.003, 0.05
MIX: Mapping[str, float] = {
    "chat": 0.12, "agents": 0.06, "summarising": 0.06, "code": 0.06, "retrieval": 0.06, "regenerated answers": 0.05,
    "best of n": 0.1, "self-consistency and pass@k, instructed": 0.1, "classifying with log-probabilities": 0.14,
    "chat and evaluation by turns": 0.06, "harness, public benchmarks": 0.12, "harness, private choices": 0.07,
}  # fmt: skip
"""Shares of the kinds among the benign clients: each group of clients that request the same is large enough for a
threshold. `ALIKE` are not among them."""
ALIKE = ("perplexity of private texts", "pass@k of private programs, bare", "best of n of private texts, bare")
"""What these benign clients send is what an attack sends: many different private texts, scored or sampled."""
COVERS = ("chat", "agents", "summarising", "code", "retrieval")
"""What attackers do beside their attack."""
SPREADS = (1, 10, 1000)
REGISTERED = 10
"""Of the twelve public benchmarks, those that the operator registered."""
UNIT = 60
"""Passages of a run of an attack; a pure attacker makes four runs."""
MMD_ROWS = 60
Requests = Mapping[str, Sequence[Query]]


@dataclass
class World:
    """The benign traffic, the thresholds that it sets, and passages to attack."""

    seed: int = 0
    clients: int = 3000
    words: Words = field(default_factory=Words)
    limits: Limits = field(default_factory=lambda: Limits(clients=10**6, requests=10**8))

    def __post_init__(self) -> None:
        self.benchmarks = Benchmarks.drawn(self.words, self.seed)
        self.registry: Registry = build_registry(
            {
                f"benchmark {at}": [f"{context} {end}" for context, ends in task.items for end in ends]
                for at, task in enumerate(self.benchmarks.tasks[:REGISTERED])
            },
            key=KEY,
            public=[f"benchmark {at}" for at in range(REGISTERED)],
        )
        self.passages = passages(800)
        self.runs: dict[str, list[list[Query]]] = {}
        benign = BenignTraffic(Traffic(self.limits, KEY), Traffic(self.limits, KEY), self.seed)
        self.features: list[np.ndarray] = []
        self.of_calibration: list[np.ndarray] = []
        kinds = random.Random(self.seed).choices([*MIX], [*MIX.values()], k=self.clients)  # noqa: S311
        streams = [self.client(kind, f"benign-{at}") for at, kind in enumerate(kinds)]
        for query in in_time(streams):
            benign.half(query.client).add([(0, query)], 0)
        for queries in streams:
            if benign.half(queries[0].client) is benign.calibration:
                self.of_calibration.append(features(queries))
        self.baseline: Baseline = baseline_of(benign, frozenset(), registry=self.registry, false_alarms=RATE)

    def client(self, kind: str, client: str, count: int | None = None) -> list[Query]:
        """The requests of a benign client, with sketches."""
        rng = random.Random(f"{self.seed} {kind} {client}")  # noqa: S311
        return sketched(requests_of(kind, client, rng, self.words, self.benchmarks, count))

    def run_of(self, attack: str, rng: random.Random) -> list[Query]:
        """The requests of a run of an attack; some runs are recorded, and drawn from."""
        if attack not in self.runs:
            draws = random.Random(f"{self.seed} {attack}")  # noqa: S311
            self.runs[attack] = [
                sketched(attack_requests(attack, draws.sample(self.passages, UNIT + 3), draws)) for _ in range(12)
            ]
        return rng.choice(self.runs[attack])

    def judged(self, clients: Requests) -> MonitorResult:
        """What the monitor makes of these clients together."""
        traffic = Traffic(self.limits, KEY)
        ordered = in_time([*clients.values()])
        traffic.add([(at, query) for at, query in enumerate(ordered)], 0)
        return judge(
            traffic, self.baseline, [Path("trial")], [], out=Path(), registry=self.registry, false_alarms=RATE, fdr=FDR
        )  # fmt: skip


def sketched(queries: Sequence[Query]) -> list[Query]:
    """*queries* with sketches in the place of prompts, as the guard writes them."""
    sketches = sketch_prompts([query.prompt or "" for query in queries], KEY)
    return [replace(query, prompt=None, sketch=sketch) for query, sketch in zip(queries, sketches, strict=True)]


def in_time(streams: Sequence[Sequence[Query]]) -> list[Query]:
    """All requests in the order of their times."""
    return sorted((query for queries in streams for query in queries), key=lambda query: query.time)


def dripped(world: World, attack: str, name: str, share: float, total: int, rng: random.Random) -> list[Query]:
    """The requests of an attacker: *share* of *total* are of the attack, the others are a benign kind's."""
    wanted = int(share * total)
    run = [query for _ in range(4) for query in world.run_of(attack, rng)]
    first = rng.randrange(len(run))
    attacking = iter((run + run)[first : first + wanted])
    if share == 1.0:
        return [replace(query, client=name, time=1e9 + at) for at, query in enumerate(run)]
    cover = iter(world.client(rng.choice(COVERS), f"cover of {name}", total - wanted))
    places = set(rng.sample(range(total), wanted))
    mixed = [next(attacking if at in places else cover, None) for at in range(total)]
    return [replace(query, client=name, time=1e9 + at) for at, query in enumerate(mixed) if query is not None]


def campaign(world: World, attack: str, requests: int, spread: int, rng: random.Random) -> list[list[Query]]:
    """The requests of an attack that *spread* accounts share, within the week of the benign traffic, by account."""
    run: list[Query] = []
    while len(run) < requests:
        run += world.run_of(attack, rng)
    start = 1_764_000_000.0
    of_each: list[list[Query]] = [[] for _ in range(spread)]
    for at, query in enumerate(run[:requests]):
        time = start + 7 * 86400.0 * at / requests
        of_each[at % spread].append(replace(query, client=f"account-{at % spread}", time=time))
    return of_each


def members_of(result: MonitorResult, prefix: str) -> int:
    """How many clients whose names begin with *prefix* cause an alert."""
    return sum(alert.name.startswith(prefix) for alert in result.of("client"))


def features(queries: Sequence[Query]) -> np.ndarray:
    """Features of a client's requests, of at most sixty."""
    places = np.linspace(0, len(queries) - 1, min(len(queries), MMD_ROWS)).astype(int)
    return np.array([features_of(queries[at]) for at in places])


def mmd_alarms(world: World, clients: Requests) -> float:
    """The share of *clients* that the plain maximum mean discrepancy from the benign traffic names, at the same rate.

    The discrepancy of a client from a pooled sample of the calibration clients is its score, and the calibration
    clients themselves set the threshold, by conformal p-values.
    """
    pool = np.concatenate(world.of_calibration)
    reference = pool[np.linspace(0, len(pool) - 1, 200).astype(int)]
    width = median_distance(reference)

    def scores(of: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([squared_mmd(rows, reference, width) if len(rows) > 2 else 0.0 for rows in of])

    if not len(world.features):
        world.features = [scores(world.of_calibration)]
    p_values = conformal_p_values(scores([features(queries) for queries in clients.values()]), world.features[0])
    return float((p_values <= RATE).mean())
