"""Kept requests as columns, in groups: a group for each client, or for each family of similar requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..queries import SKETCH_BYTES, Sketches
from ._registry import Registry
from ._traffic import Kept, Traffic

__all__ = ["Known", "Table", "client_table", "family_table"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_NO_SKETCH = bytes(SKETCH_BYTES)
PUBLIC_SHARE = 0.5
"""Of a prompt, the least share that a public benchmark holds, so that it explains the prompt."""


@dataclass(frozen=True)
class Known:
    """Prompts that are no sign of an attack, and data that an attack would be about."""

    benign: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """Digests of the prompts of the benign traffic, sorted."""
    registry: Registry | None = None


@dataclass(frozen=True)
class Table:
    """Requests, a row each, in groups."""

    groups: Sequence[str]
    """The names of the groups."""
    group: Ints
    """Shape (rows,): of each row its group."""
    client: Ints
    """Shape (rows,): of each row its client."""
    rows: Sequence[Kept]
    scale: NDArray[np.float64]
    """Shape (groups,): how many requests a kept request of the group stands for."""
    periods: Sequence[Sequence[tuple[int, int]]]
    """By group: its requests, and those of them that want something, in consecutive periods; empty for families."""
    known: Known

    @cached_property
    def kinds(self) -> Ints:
        """What each row wants."""
        return np.array([row.kind for row in self.rows], np.int64)

    @cached_property
    def sizes(self) -> Ints:
        """Bytes of the prompts."""
        return np.array([row.size for row in self.rows], np.int64)

    @cached_property
    def sketched(self) -> Bools:
        """Which rows have a sketch."""
        return np.array([row.sketch is not None for row in self.rows], np.bool_)

    @cached_property
    def sketches(self) -> Sketches:
        """The sketch of each row; zeros where it has none."""
        return Sketches.of([row.sketch or _NO_SKETCH for row in self.rows])

    @cached_property
    def folds(self) -> NDArray[np.uint64]:
        """An identity of each text, whatever its case and white space; of rows without a sketch their place."""
        words = self.sketches
        parts = [*words.minima[:, :8].T, *words.ends[:, :2].T, *words.stems[:, :1].T]
        mixed = np.zeros(len(self.rows), np.uint64)
        for part in parts:
            mixed = (mixed ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        return np.where(self.sketched, mixed, np.arange(len(self.rows), dtype=np.uint64))

    @cached_property
    def common(self) -> Bools:
        """Which rows have a prompt that the benign traffic had, or that a public benchmark holds."""
        common = np.isin(self.sketches.digests, self.known.benign)
        if self.known.registry is not None:
            common |= self.known.registry.overlap(self.sketches, public=True) >= PUBLIC_SHARE
        return common & self.sketched

    def distinct(self, rows: Bools) -> Bools:
        """Of *rows*, the first of each text within its group."""
        places = np.flatnonzero(rows)
        pairs = np.stack([self.group[places].astype(np.uint64), self.folds[places]], axis=1)
        _, first = np.unique(pairs, axis=0, return_index=True)
        chosen = np.zeros(len(self.rows), np.bool_)
        chosen[places[first]] = True
        return chosen

    def totals(self, rows: Bools) -> NDArray[np.float64]:
        """Shape (groups,): about how many requests of each group *rows* stand for."""
        return np.bincount(self.group[rows], minlength=len(self.groups)) * self.scale


def client_table(traffic: Traffic, known: Known, clients: Sequence[str] | None = None) -> Table:
    """The kept requests of *clients*, or of all, a group for each."""
    names = list(traffic.clients) if clients is None else list(clients)
    of_each = [traffic.clients[name] for name in names]
    rows, group = list[Kept](), list[int]()
    for at, client in enumerate(of_each):
        rows += [*client.kept.values(), *client.others.values()]
        group += [at] * (len(client.kept) + len(client.others))
    stood_for = [sum(row.requests for row in client.kept.values()) for client in of_each]
    scale = [max(1.0, client.wanting / max(1, kept)) for client, kept in zip(of_each, stood_for, strict=True)]
    groups = np.array(group, np.int64)
    return Table(names, groups, groups, rows, np.array(scale), [client.periods for client in of_each], known)


def family_table(traffic: Traffic, known: Known, block: int) -> tuple[Table, Mapping[int, tuple[str, int]]]:
    """The kept requests pooled over clients: a group for each shape in each block of *block* requests.

    Returns:
        The table, and by group the shape and the number of the block.
    """
    rows, sizes = list[Kept](), list[int]()
    for client in traffic.clients.values():
        rows += [*client.kept.values(), *client.others.values()]
        sizes.append(len(client.kept) + len(client.others))
    clients = np.repeat(np.arange(len(sizes)), sizes)
    of_each = [(row.shape, row.ordinal // block) for row in rows]
    names = {name: number for number, name in enumerate(dict.fromkeys(of_each))}
    groups = [f"{shape} #{at}" for shape, at in names]
    table = Table(
        groups,
        np.array([names[name] for name in of_each], np.int64),
        clients,
        rows,
        np.ones(len(groups)),
        [()] * len(groups),
        known,
    )
    return table, {number: name for name, number in names.items()}
