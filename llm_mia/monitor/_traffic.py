"""What is kept of the requests of each client: counters, and a bounded sample of its requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..queries import Query
from ._rows import MANY, Kind, Row, Sampled, rows_of

__all__ = ["ClientTraffic", "Kept", "Limits", "Traffic", "group_of"]


class Kept(NamedTuple):
    """A request that is kept."""

    continuations: int
    """How many continuations of this prompt were wanted, in all requests that repeat it."""
    requests: int
    """How many requests it is."""
    place: tuple[int, int]
    """Which log, and which line of it: the first of them."""
    ordinal: int
    """How many requests came before it."""
    shape: str
    kind: int
    size: int
    """Bytes of the prompt; 0 where the log does not record it."""
    sketch: bytes | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept in memory."""

    clients: int = 50_000
    """Clients; of more, those that were not seen for the longest time are forgotten, those that want nothing first."""
    wanted: int = 384
    """Requests of each client that want something that an attack needs."""
    others: int = 24
    """Other requests of each client."""
    requests: int = 400_000
    """Requests of all clients together, some 600 bytes each."""


SCORES, DISTRIBUTION, SAMPLES = int(Kind.SCORES), int(Kind.DISTRIBUTION), int(Kind.SAMPLES)
"""Numbers, because flags of an enumeration are slow."""
SAMPLE = 8_000
"""Requests of the sample of a log; of more, every other is left out."""
NAMELESS = 8
"""Of the requests without the name of a client, this part of all that are kept: they may come from many clients."""
RECENT = 32
"""Prompts of a client whose continuations are counted until they are several."""
PERIODS = 16
"""Periods of a client's past that are counted separately."""


@dataclass(slots=True)
class ClientTraffic:
    """What is kept of a client."""

    requests: int = 0
    wanting: int = 0
    """Requests that want something that an attack needs."""
    wants: int = 0
    """All that any request wants, as `Kind`."""
    kept: dict[bytes, Kept] = field(default_factory=dict)
    """By what selects them: the requests that want something."""
    others: dict[bytes, Kept] = field(default_factory=dict)
    recent: dict[bytes, int] = field(default_factory=dict)
    """Continuations of the prompts that were sampled last, until they are several."""
    periods: list[tuple[int, int]] = field(default_factory=list)
    """Requests, and those of them that want something, in consecutive periods of the client's past."""
    period: int = 4
    """Requests of a period."""

    def repeats(self, key: bytes, continuations: int) -> bool:
        """Whether the prompt of *key* has been sampled several times, this time included."""
        count = self.recent.pop(key, 0) + continuations
        self.recent[key] = count
        if len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]
        return count >= MANY

    def count(self, wants: bool) -> None:
        """Count a request."""
        self.requests += 1
        self.wanting += wants
        if not self.periods or self.periods[-1][0] >= self.period:
            if len(self.periods) == PERIODS:
                pairs = zip(self.periods[::2], self.periods[1::2], strict=True)
                self.periods = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
                self.period *= 2
            self.periods.append((1, int(wants)))
        else:
            requests, wanting = self.periods[-1]
            self.periods[-1] = (requests + 1, wanting + wants)


@dataclass
class Traffic:
    """The clients of one or several logs, in the order in which they were last seen."""

    limits: Limits = field(default_factory=Limits)
    key: bytes = b"llm_mia"
    """For sketches of prompts that a log keeps as text."""
    clients: dict[str, ClientTraffic] = field(default_factory=dict)
    plain: dict[str, None] = field(default_factory=dict)
    """Those of the clients that want nothing that an attack needs, which are forgotten first."""
    requests: int = 0
    evicted: int = 0
    """Clients that were forgotten."""
    kept: int = 0
    sample: list[tuple[int, Sampled]] = field(default_factory=list)
    """Every so many requests one, with how many came before it, for the comparison with other traffic."""
    sampled: int = 1
    """Of so many requests one is in the sample."""

    @property
    def named(self) -> list[str]:
        """The clients that have a name: requests without one may come from many, who are no client together."""
        return [name for name in self.clients if name]

    @property
    def nameless(self) -> int:
        """Requests that name no client."""
        return self.clients[""].requests if "" in self.clients else 0

    @property
    def seconds(self) -> float:
        """About how much time the requests cover, whatever a few clocks that jump say; 0 where there are no times."""
        times = [each.time for _, each in self.sample if not math.isnan(each.time)]
        return float(np.subtract(*np.quantile(times, (0.99, 0.01)))) if times else 0.0

    def add(self, queries: Sequence[tuple[int, Query]], log: int) -> None:
        """Take in queries with the numbers of their lines; *log* is the number of the log."""
        self.add_rows(rows_of(queries, self.key), log)

    def add_rows(self, rows: Sequence[Row], log: int) -> None:
        """Take in what `rows_of` returns."""
        for row in rows:
            self._add(row, log)
        while self.kept > self.limits.requests and len(self.clients) > 1:
            self._evict()

    def _add(self, row: Row, log: int) -> None:
        line, name, key, kind, samples, by_chance, shape, size, sketch, sampled = row
        client = self.clients.pop(name, None)
        if client is None:
            client = ClientTraffic()
            if len(self.clients) >= self.limits.clients:
                self._evict()
        self.clients[name] = client  # the last seen is the last
        if self.requests % self.sampled == 0:
            self.sample.append((self.requests, sampled))
            if len(self.sample) > SAMPLE:
                self.sample, self.sampled = self.sample[::2], 2 * self.sampled
        self.requests += 1
        if key is None:
            key = self.requests.to_bytes(12)
        elif not kind and by_chance and client.repeats(key, samples):
            kind = SAMPLES
        client.wants |= kind
        self.plain.pop(name, None)
        if not client.wants:
            self.plain[name] = None
        client.count(kind != 0)
        store, most = (client.kept, self.limits.wanted) if kind else (client.others, self.limits.others)
        if not name:
            most = max(most, self.limits.requests // NAMELESS)
        key += bytes((kind,))  # a prompt that is first sent harmlessly hides nothing that is wanted of it later
        before = store.get(key)
        if before is not None:
            store[key] = before._replace(continuations=before.continuations + samples, requests=before.requests + 1)
            return
        store[key] = Kept(samples, 1, (log, line), self.requests, shape, kind, size, sketch)
        self.kept += 1
        if len(store) > 2 * most:
            self.kept -= _thin(store, most)

    def _evict(self) -> None:
        # Whoever attacks could send text under many new names, so that the name of the attack is forgotten: it is not.
        name = next(iter(self.plain or self.clients))
        self.plain.pop(name, None)
        forgotten = self.clients.pop(name)
        self.kept -= len(forgotten.kept) + len(forgotten.others)
        self.evicted += 1


def group_of(client: ClientTraffic) -> str:
    """Which benign clients a client is compared with: those that want the same as it does."""
    if client.wants & SCORES:
        return "scores"
    if client.wants & DISTRIBUTION:
        return "distributions"
    return "samples" if client.wants & SAMPLES else "text"


def _thin(store: dict[bytes, Kept], most: int) -> int:
    """Leave the *most* entries with the smallest keys, which is a random sample; return how many were removed."""
    keys = sorted(store)
    for key in keys[most:]:
        del store[key]
    return len(keys) - most
