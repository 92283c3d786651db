"""Which blocks a pass still lacks, and how they are shared out among several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..records import BlockSize
from ._cache import Recent
from ._inputs import Inputs

__all__ = ["copied_positions", "missing_blocks", "share_out", "split"]

T = TypeVar("T")
SHARES = 2
"""The next range is so many times smaller than what would give each process an equal part of what is left."""


def split(items: Iterable[T], n_bytes: Callable[[T], int], size: BlockSize) -> Iterator[list[T]]:
    """The blocks of *items*, each of at most ``size.passages`` and, but for a single item, ``size.bytes``."""
    block: list[T] = []
    total = 0
    for item in items:
        more = n_bytes(item)
        if block and (len(block) == size.passages or total + more > size.bytes):
            yield block
            block, total = [], 0
        block.append(item)
        total += more
    if block:
        yield block


def missing_blocks(inputs: Inputs, size: BlockSize, missing: Sequence[range]) -> list[range]:
    """The positions of each block of a pass that lacks the positions *missing*, ascending."""
    sizes, blocks = inputs.sizes, list[range]()
    for gap in missing:
        first = gap.start
        for block in split(sizes[gap.start : gap.stop].tolist(), int, size):
            blocks.append(range(first, first + len(block)))
            first += len(block)
    return blocks


def share_out(blocks: Sequence[range], processes: int, *, most_passages: int | None = None) -> list[range]:
    """The positions of *blocks*, joined to ranges that *processes* take one after another.

    The first ranges are large, and the last are single blocks, so that all processes end at about the same time. A
    range has no gap, and at most *most_passages*, unless a single block has more.

    >>> share_out([range(10 * n, 10 * n + 10) for n in range(8)], 2)
    [range(0, 20), range(20, 30), range(30, 40), range(40, 50), range(50, 60), range(60, 70), range(70, 80)]
    """
    ranges: list[range] = []
    at = 0
    while at < len(blocks):
        end, most = at + 1, at + max(1, (len(blocks) - at) // (SHARES * processes))
        while (
            end < most
            and blocks[end].start == blocks[end - 1].stop
            and (most_passages is None or blocks[end].stop - blocks[at].start <= most_passages)
        ):
            end += 1
        ranges.append(range(blocks[at].start, blocks[end - 1].stop))
        at = end
    return ranges


def copied_positions(inputs: Inputs, blocks: Sequence[range], n_bytes: int) -> NDArray[np.intp]:
    """Positions in *blocks* of passages whose signals are copied from an earlier block, ascending.

    They are those that a single process copies from its `SignalsCache` of *n_bytes*, so that several processes compute
    the same batches as a single process.
    """
    repeated = inputs.check.repeated
    if not len(repeated):
        return repeated
    digests, sizes = inputs.repeated_digests, inputs.sizes[repeated].tolist()
    keys = [digest.tobytes().hex() for digest in digests]
    of_block = np.searchsorted([block.start for block in blocks], repeated, side="right")
    edges = [0, *(np.flatnonzero(np.diff(of_block)) + 1).tolist(), len(repeated)]
    recent, copied = Recent[None](n_bytes), list[int]()
    for start, end in pairwise(edges):
        copied += [at for at in range(start, end) if keys[at] in recent]
        for at in range(start, end):
            recent.add(keys[at], sizes[at], None)
    positions: NDArray[np.intp] = repeated[copied]
    return positions
