"""What is kept of the requests of each client: counters, and a bounded sample of its requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import NamedTuple

import numpy as np

from ..queries import Query, Request, sketch_prompts

__all__ = ["ClientTraffic", "Kept", "Kind", "Limits", "Traffic", "group_of", "kind_of", "shape_of"]


class Kind(IntFlag):
    """What a request wants that an attack needs."""

    NONE = 0
    SCORES = 1
    """Log-probabilities of the prompt; where the log does not record that, at most one generated token."""
    DISTRIBUTION = 2
    """Log-probabilities of alternatives of generated tokens."""
    SAMPLES = 4
    """Several continuations of a prompt, by chance."""


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


SAMPLE = 8_000
"""Requests of the sample of a log; of more, every other is left out."""
MANY = 8
"""Continuations of the same prompt that are several."""
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
    sample: list[tuple[int, Query]] = field(default_factory=list)
    """Every so many requests one, with how many came before it, for the comparison with other traffic."""
    sampled: int = 1
    """Of so many requests one is in the sample."""

    @property
    def seconds(self) -> float:
        """About how much time the requests cover, whatever a few clocks that jump say; 0 where there are no times."""
        times = [query.time for _, query in self.sample if not math.isnan(query.time)]
        return float(np.subtract(*np.quantile(times, (0.99, 0.01)))) if times else 0.0

    def add(self, queries: Sequence[tuple[int, Query]], log: int) -> None:
        """Take in queries with the numbers of their lines; *log* is the number of the log."""
        texts = [query.prompt for _, query in queries if query.sketch is None and query.prompt]
        sketches = iter(sketch_prompts([text for text in texts if text], self.key))
        for line, query in queries:
            sketch = query.sketch
            if sketch is None and query.prompt:
                sketch = next(sketches)
            self._add(query, sketch, (log, line))
        while self.kept > self.limits.requests and len(self.clients) > 1:
            self._evict()

    def _add(self, query: Query, sketch: bytes | None, place: tuple[int, int]) -> None:
        client = self.clients.pop(query.client, None)
        if client is None:
            client = ClientTraffic()
            if len(self.clients) >= self.limits.clients:
                self._evict()
        self.clients[query.client] = client  # the last seen is the last
        kind = kind_of(query)
        if self.requests % self.sampled == 0:
            self.sample.append((self.requests, replace(query, prompt=None, sketch=None)))
            if len(self.sample) > SAMPLE:
                self.sample, self.sampled = self.sample[::2], 2 * self.sampled
        self.requests += 1
        # The first place of the sketch selects, so that requests with similar prompts are kept or left out together.
        key = self.requests.to_bytes(12) if sketch is None else sketch[:4] + sketch[-8:]
        if not kind and sketch is not None and query.temperature != 0 and client.repeats(key, query.samples or 1):
            kind = Kind.SAMPLES
        client.wants |= kind
        self.plain.pop(query.client, None)
        if not client.wants:
            self.plain[query.client] = None
        client.count(kind != 0)
        store, most = (client.kept, self.limits.wanted) if kind else (client.others, self.limits.others)
        key += bytes([kind])  # a prompt that is first sent harmlessly hides nothing that is wanted of it later
        before = store.get(key)
        if before is not None:
            store[key] = before._replace(
                continuations=before.continuations + (query.samples or 1), requests=before.requests + 1
            )
            return
        store[key] = Kept(
            query.samples or 1, 1, place, self.requests, shape_of(query), kind, query.prompt_bytes or 0, sketch
        )
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
    if client.wants & Kind.SCORES:
        return "scores"
    if client.wants & Kind.DISTRIBUTION:
        return "distributions"
    return "samples" if client.wants & Kind.SAMPLES else "text"


def _thin(store: dict[bytes, Kept], most: int) -> int:
    """Leave the *most* entries with the smallest keys, which is a random sample; return how many were removed."""
    keys = sorted(store)
    for key in keys[most:]:
        del store[key]
    return len(keys) - most


def kind_of(query: Query) -> Kind:
    """What *query* wants that an attack needs."""
    kind = 0
    wants = query.logprobs or bool(query.top_logprobs)
    if query.prompt_logprobs or (query.echo and wants):
        kind |= 1
    elif query.prompt_logprobs is None and query.echo is None and query.logprobs is None:
        # The log is blind to log-probabilities: what generates almost nothing may want them.
        short = query.max_tokens if query.max_tokens is not None else query.completion_tokens
        kind |= short is not None and short <= 1 and query.request in (Request.COMPLETION, Request.CHAT)
    elif wants:
        kind |= 2
    if (query.samples or 1) >= MANY:
        kind |= 4
    return Kind(kind)


def shape_of(query: Query) -> str:
    """The parameters of *query*, coarsely, so that a campaign that varies them a little has few shapes."""
    limit = query.max_tokens
    length = (
        "?"
        if limit is None
        else "0-1"
        if limit <= 1
        else "2-16"
        if limit <= 16
        else "17-256"
        if limit <= 256
        else "257-"
    )
    samples, top = query.samples or 1, query.top_logprobs or 0
    parts = [
        query.request.value,
        f"max_tokens={length}",
        f"n={'1' if samples == 1 else f'2-{MANY - 1}' if samples < MANY else f'{MANY}-'}",
        f"top={'0' if top == 0 else '1' if top == 1 else '2-5' if top <= 5 else '6-'}",
        "echo" if query.echo else "",
        "logprobs" if query.logprobs else "",
        "prompt_logprobs" if query.prompt_logprobs else "",
        "greedy" if query.temperature == 0 else "",
    ]
    return " ".join(part for part in parts if part)
