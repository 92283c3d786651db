"""Measures how fast a pass is, on some batches of its first block."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..attacks import SampleSettings, split_passage
from ..backends import RemoteBackend
from ..records import TokenSignals, Window
from ..store import SignalsFolder, signals_table
from ._blocks import Block, Copies, PassSetup, batches_of, blocks
from ._estimate import PassEstimate
from ._plan import PlannedPass
from ._sampling import continue_passages

__all__ = ["Left", "measure_pass"]

MEASURED_SECONDS = 2.0
"""Time after which no further batch is measured; the first batch does not count."""
FEWEST_BATCHES = 3
REWRITTEN_PASSAGES = 16
"""Passages that are measured where a model has to rewrite them."""
SENT = 4
"""Passages that are sent to a server."""
BYTES_PER_TOKEN = 12
"""Of signals on disk, of a model that gives log-probabilities and little more."""
CONTINUED_PASSAGES = 3
"""Passages that are measured where the model continues them, and at an endpoint 1: each takes as long as ten scored."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a model still has to read for a pass."""

    first: int
    """Position of the first such passage."""
    passages: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Measured:
    """Batches that were measured."""

    tokens: int
    signals: Sequence[TokenSignals]
    first_seconds: float
    """Of the first batch, which may be slow: kernels are compiled, memory is taken."""
    first_tokens: int
    seconds: float
    """Of the other batches."""

    def seconds_of(self, tokens: int) -> float:
        """Seconds that so many tokens will take."""
        others = self.tokens - self.first_tokens
        if not others:
            return self.first_seconds * tokens / max(1, self.tokens)
        rate = others / max(self.seconds, 1e-9)
        return max(0.0, self.first_seconds - self.first_tokens / rate) + tokens / rate


def measure_pass(wanted: PlannedPass, setup: PassSetup, left: Left) -> PassEstimate:
    """What the pass will take for *left*, by some batches of the block that it begins with; nothing is kept."""
    if wanted.samples is not None:
        return _measure_continuing(wanted, wanted.samples, setup, left)
    if isinstance(setup.backend, RemoteBackend):
        return _estimate_remote(wanted, setup, setup.backend, left)
    start = time.monotonic()
    most = REWRITTEN_PASSAGES if wanted.rewritten_by_model else left.passages
    passages = islice(wanted.inputs, left.first, left.first + most)
    block = next(blocks(setup, passages, left.first, Copies(np.empty(0, np.intp))))
    rewriting = (time.monotonic() - start) / block.n_bytes if wanted.rewritten_by_model and block.n_bytes else 0.0
    measured = _measure(setup, block)
    in_block = sum(len(window.tokens) - window.first_scored for window in block.windows)
    tokens = round(in_block * left.bytes / max(1, block.n_bytes))
    return PassEstimate(
        name=wanted.name,
        role=wanted.role,
        model=setup.backend.info.id,
        passages=left.passages,
        tokens=tokens,
        seconds=measured.seconds_of(tokens) + rewriting * left.bytes,
        bytes_on_disk=round(tokens * _bytes_per_token(measured, setup)),
    )


def _estimate_remote(wanted: PlannedPass, setup: PassSetup, backend: RemoteBackend, left: Left) -> PassEstimate:
    """What a server is asked for, by a few passages: each costs a request, and perhaps money."""
    sample = [passage.text for passage in islice(wanted.inputs, left.first, left.first + min(SENT, left.passages))]
    work = backend.estimate(sample if setup.rewrite is None else setup.rewrite(sample), left.bytes)
    prefix = 0 if setup.prefix is None else len(setup.prefix) * left.passages
    price = None if work.price is None or not work.tokens else work.price * (work.tokens + prefix) / work.tokens
    return PassEstimate(
        name=wanted.name,
        role=wanted.role,
        model=backend.info.id,
        passages=left.passages,
        tokens=work.tokens,
        seconds=work.seconds,
        bytes_on_disk=work.tokens * (BYTES_PER_TOKEN if setup.kept_fields is None else 4 * len(setup.kept_fields)),
        requests=left.passages,
        probes=backend.probes,
        price=price,
    )


def _measure_continuing(wanted: PlannedPass, settings: SampleSettings, setup: PassSetup, left: Left) -> PassEstimate:
    """The same for a pass of continuations, by the first few passages that are long enough to be divided."""
    times, n_bytes = list[float](), 0
    most = 1 if isinstance(setup.backend, RemoteBackend) else CONTINUED_PASSAGES
    following = islice(wanted.inputs, left.first, None)
    divided = (each for each in following if split_passage(each.text, settings.prefix_share) is not None)
    for passage in islice(divided, most):
        start = time.monotonic()
        texts = continue_passages(setup.backend, settings, [passage])
        times.append(time.monotonic() - start)
        n_bytes += sum(len(text.encode()) for text in texts[0])
    # The first may be slow, and counts only where there is no other.
    seconds = sum(times[1:] or times) / max(1, len(times[1:] or times))
    continuations = left.passages * settings.number
    return PassEstimate(
        name=wanted.name,
        role=wanted.role,
        model=setup.backend.info.id,
        passages=left.passages,
        tokens=continuations * settings.tokens,
        seconds=seconds * left.passages,
        bytes_on_disk=round(n_bytes / max(1, len(times)) * left.passages),
        continuations=continuations,
        requests=continuations if isinstance(setup.backend, RemoteBackend) else 0,
        probes=setup.backend.probes if isinstance(setup.backend, RemoteBackend) else 0,
    )


def _measure(setup: PassSetup, block: Block) -> _Measured:
    """Score batches of *block*, the first and then others from all lengths, until enough time has passed."""
    signals: list[TokenSignals] = []
    times, tokens = list[float](), list[int]()
    for batch in _spread(setup, block.windows):
        start = time.monotonic()
        scored = setup.backend.score(batch, prefix=setup.prefix)
        times.append(time.monotonic() - start)
        tokens.append(sum(map(len, scored)))
        signals += scored
        if len(times) >= FEWEST_BATCHES and sum(times[1:]) >= MEASURED_SECONDS:
            break
    return _Measured(sum(tokens), signals, sum(times[:1]), sum(tokens[:1]), sum(times[1:]))


def _spread(setup: PassSetup, windows: Sequence[Window]) -> Iterator[list[Window]]:
    """The batches of *windows*: the first, and then from the longest to the shortest in ever finer steps."""
    batches = list(batches_of(setup, windows))
    step, taken = len(batches), set[int]()
    while step:
        for at in range(0, len(batches), step):
            if at not in taken:
                taken.add(at)
                yield [windows[position] for position in batches[at]]
        step //= 2


def _bytes_per_token(measured: _Measured, setup: PassSetup) -> float:
    """Bytes that a token's signals take on disk."""
    if not measured.tokens:
        return 0.0
    names = [f"{number:064}" for number in range(len(measured.signals))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = SignalsFolder(Path(temporary), setup.backend.info.tokenizer)
        folder.append(0, [signals_table(names, names, measured.signals, setup.kept_fields)])
        return sum(part.path.stat().st_size for part in folder.parts()) / measured.tokens
