"""Blocks: consecutive passages that are batched together, encoded and cut before the model needs them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, WindowError, refuse_no_numbers
from ..errors import ModelError
from ..records import BlockSize, IntArray, Passage, TokenSignals, Window, WindowRule, text_sha256
from ..store import SignalsFolder, StoredChunk
from ._cache import SignalsCache
from ._plan import Rewrite
from ._progress import BlockProgress, PassProgress
from ._ranges import split
from ._unfinished import UnfinishedBlocks
from ._windows import cut, join

__all__ = ["Block", "Copies", "PassSetup", "batches_of", "blocks", "score_block"]


@dataclass(frozen=True, slots=True)
class PassSetup:
    """What a pass consists of: a model, and how it runs over the texts."""

    backend: Backend
    rule: WindowRule
    size: BlockSize
    rewrite: Rewrite | None = None
    """Returns what is scored in place of the texts; None: the texts themselves are scored."""
    unchanged: SignalsFolder | None = None
    """The signals of the same model on the unchanged texts, which are reused where *rewrite* changes nothing."""
    prefix: IntArray | None = None
    """Shape (n,): tokens that precede every window, after the opening."""
    unchanged_elsewhere: bool = False
    """Whether the signals of texts that *rewrite* does not change are where this process cannot read them."""
    kept_fields: tuple[str, ...] | None = None
    """The arrays of `TokenSignals` that are kept on disk; None: all."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Which passages have a text that occurs more than once in the input."""

    repeated: NDArray[np.intp]
    """Their positions, ascending."""
    copied: frozenset[int] | None = None
    """Positions of those whose signals come from an earlier block, which may be another process's; None: the cache
    decides, because this process has all earlier blocks."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive passages, encoded and cut, ready to be scored."""

    first: int
    """Position of its first passage in the input."""
    ids: Sequence[str]
    places: Sequence[str]
    """Where each passage is in the input, for messages."""
    digests: Sequence[str]
    sizes: Sequence[int]
    """UTF-8 bytes of each passage."""
    windows: Sequence[Window]
    """`Window.passage` counts from the start of the block."""
    known: Mapping[int, TokenSignals]
    """Signals that are on disk already, by the passage's place in the block."""
    repeated: Sequence[int]
    """Places in the block of texts that occur more than once in the input."""
    copied: Collection[int] | None
    """Of these the places whose signals come from an earlier block; None: the cache decides."""
    elsewhere: Collection[int]
    """Places whose signals exist, but not for this process."""

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of all passages."""
        return sum(self.sizes)


def blocks(setup: PassSetup, passages: Iterator[Passage], first: int, copies: Copies) -> Iterator[Block]:
    """The blocks of *passages*; where a block ends depends on the passages alone.

    Args:
        setup: the model, and how it runs.
        passages: what is to be scored, in input order.
        first: position of the first of them in the input.
        copies: the passages whose text occurs more than once.
    """
    unchanged = _StoredRows(setup.unchanged, first) if setup.unchanged is not None else None
    for of_block in split(passages, lambda passage: passage.n_bytes, setup.size):
        start, end = np.searchsorted(copies.repeated, [first, first + len(of_block)])
        repeated = (copies.repeated[start:end] - first).tolist()
        copied = None if copies.copied is None else {place for place in repeated if first + place in copies.copied}
        yield _block(setup, of_block, first, unchanged, repeated, copied)
        first += len(of_block)


class _StoredRows:
    """The signals of a folder by position; positions must ascend from call to call."""

    def __init__(self, folder: SignalsFolder, start: int) -> None:
        self._chunks = folder.chunks(start=start)
        self._chunk: StoredChunk | None = next(self._chunks, None)

    def get(self, position: int) -> TokenSignals | None:
        """A copy of the signals at *position*; None where the folder has none."""
        while self._chunk is not None and position >= self._chunk.first + len(self._chunk):
            self._chunk = next(self._chunks, None)
        if self._chunk is None or position < self._chunk.first:
            return None
        return self._chunk.signals(position - self._chunk.first).copy()


def _block(
    setup: PassSetup,
    passages: Sequence[Passage],
    first: int,
    unchanged: _StoredRows | None,
    repeated: Sequence[int],
    copied: Collection[int] | None,
) -> Block:
    texts: Sequence[str] = [passage.text for passage in passages]
    if setup.rewrite is not None:
        texts = setup.rewrite(texts)
    known, elsewhere = dict[int, TokenSignals](), set[int]()
    for place, (passage, text) in enumerate(zip(passages, texts, strict=True)):
        if unchanged is not None and text == passage.text:
            signals = unchanged.get(first + place)
            if signals is not None:
                known[place] = signals
        elif setup.unchanged_elsewhere and text == passage.text:
            elsewhere.add(place)
    places = [place for place in range(len(texts)) if place not in known and place not in elsewhere]
    encoded = _encode(setup.backend, [passages[place] for place in places], [texts[place] for place in places])
    return Block(
        first=first,
        ids=[passage.id for passage in passages],
        places=[passage.where or f"passage {passage.id!r}" for passage in passages],
        digests=[text_sha256(passage.text) for passage in passages],
        sizes=[passage.n_bytes for passage in passages],
        windows=[
            window for place, tokens in zip(places, encoded, strict=True) for window in _windows(setup, tokens, place)
        ],
        known=known,
        repeated=repeated,
        copied=copied,
        elsewhere=elsewhere,
    )


def _encode(backend: Backend, passages: Sequence[Passage], texts: Sequence[str]) -> list[IntArray]:
    """The tokens of *texts*; a text that cannot be encoded is refused with the place of its passage."""
    try:
        return backend.encode(texts) if texts else []
    except WindowError as error:  # the backend knows which text it is, and asking for each again may cost money
        passage = passages[error.passage]
        raise ModelError(f"{passage.where or f'passage {passage.id!r}'}: {error}") from None
    except ModelError:
        for passage, text in zip(passages, texts, strict=True):
            try:
                backend.encode([text])
            except ModelError as error:
                raise ModelError(f"{passage.where or f'passage {passage.id!r}'}: {error}") from None
        raise


def _windows(setup: PassSetup, tokens: IntArray, place: int) -> list[Window]:
    """The windows of a passage. With a prefix the same tokens are scored, and the opening precedes the prefix."""
    opening = setup.backend.opening
    windows = cut(tokens, setup.rule, opening=opening, passage=place)
    if setup.prefix is None or not opening:
        return windows
    n = len(opening)
    return [Window(window.tokens[n:], window.first_scored - n, place) for window in windows]


def score_block(
    setup: PassSetup,
    block: Block,
    cache: SignalsCache,
    progress: PassProgress,
    unfinished: UnfinishedBlocks | None = None,
) -> list[TokenSignals] | None:
    """The signals of each passage of *block*; only texts that are neither on disk nor in the cache are computed.

    *unfinished* keeps the windows that are finished; None: nothing is kept before the whole block is finished.

    None is returned where signals of the block are elsewhere; all others are computed, and *unfinished* keeps them.
    """
    signals, same_as, elsewhere = _known(block, cache)
    there = signals.keys() | same_as.keys() | elsewhere
    windows = [window for window in block.windows if window.passage not in there]
    reported = BlockProgress(block.n_bytes, sum(len(w.tokens) - w.first_scored for w in windows), progress)
    parts: list[list[TokenSignals]] = [[] for _ in block.ids]
    try:
        scored = _score_windows(setup, windows, block.first, reported, unfinished)
    except WindowError as error:
        raise ModelError(f"{block.places[error.passage]}: {error}") from error
    for window, of_window in zip(windows, scored, strict=True):
        parts[window.passage].append(of_window)
    for place, of_passage in enumerate(parts):
        if place not in there:
            signals[place] = join(of_passage, setup.backend.info.tokenizer)
    signals.update({place: signals[first] for place, first in same_as.items()})
    for place in block.repeated:
        if place in signals:
            cache.add(block.digests[place], block.sizes[place], signals[place])
    reported.finish(len(block.ids), sum(map(len, signals.values())))
    return None if elsewhere else [signals[place] for place in range(len(block.ids))]


def _known(block: Block, cache: SignalsCache) -> tuple[dict[int, TokenSignals], dict[int, int], set[int]]:
    """The signals that need not be computed; by place: the earlier place with the same text; places of others' signals.

    The last are of texts of an earlier block that another process computes, or of texts that a rewrite did not change.
    """
    signals, same_as, elsewhere = dict(block.known), dict[int, int](), set(block.elsewhere)
    first_place: dict[str, int] = {}
    for place in block.repeated:
        digest = block.digests[place]
        cached = cache.get(digest) if block.copied is None or place in block.copied else None
        if cached is not None:
            signals.setdefault(place, cached)
        elif place in signals or place in elsewhere:
            continue
        elif block.copied is not None and place in block.copied:
            elsewhere.add(place)
        elif first_place.setdefault(digest, place) != place:
            same_as[place] = first_place[digest]
    return signals, same_as, elsewhere - signals.keys()


def _score_windows(
    setup: PassSetup,
    windows: Sequence[Window],
    first: int,
    progress: BlockProgress,
    unfinished: UnfinishedBlocks | None,
) -> list[TokenSignals]:
    """The signals of each window of the block that begins at the position *first*."""
    if unfinished:
        unfinished.begin_block(first, windows)
    results: dict[int, TokenSignals] = {}
    for positions in batches_of(setup, windows):
        batch = [windows[position] for position in positions]
        kept = unfinished.kept(positions) if unfinished else None
        if kept is not None:
            progress.add_tokens(sum(map(len, kept)))
            progress.add_tokens(0)  # they took no time
        scored = setup.backend.score(batch, progress.add_tokens, prefix=setup.prefix) if kept is None else kept
        _refuse_other_tokens(setup.backend, batch, scored)
        results.update(zip(positions, scored, strict=True))
        if unfinished and kept is None:
            unfinished.add(positions, scored)
    return [results[position] for position in range(len(windows))]


def batches_of(setup: PassSetup, windows: Sequence[Window]) -> Iterator[list[int]]:
    """Positions of *windows*, in the batches in which a pass computes them."""
    # A token of a prefix that the model keeps takes about an eighth of the memory of a token that is fed.
    prefix_cost = 0 if setup.prefix is None else len(setup.prefix) // 8
    return _batches([len(window.tokens) + prefix_cost for window in windows], setup.size.batch_tokens)


def _batches(costs: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions of windows of similar length, longest first, in batches whose padded cost is at most *budget*.

    A window that costs more is a batch alone. The batches depend on the windows only, so a run that continues has the
    same ones; a backend may divide them further.

    >>> list(_batches([3, 9, 10, 3, 3], budget=20))
    [[1, 2], [0, 3, 4]]
    """
    order = sorted(range(len(costs)), key=lambda position: -costs[position])
    start = 0
    while start < len(order):
        count = max(1, budget // max(1, costs[order[start]]))
        yield sorted(order[start : start + count])
        start += count


def _refuse_other_tokens(backend: Backend, windows: Sequence[Window], scored: Sequence[TokenSignals]) -> None:
    """Raises `ModelError` where *backend* gave signals of other tokens than those of *windows*, or no numbers."""
    wanted = [len(window.tokens) - window.first_scored for window in windows]
    if list(map(len, scored)) != wanted:
        raise ModelError(
            f"model {backend.info.id!r}: `score` gave signals of {sum(map(len, scored))} tokens in {len(scored)} "
            f"windows, and {sum(wanted)} in {len(windows)} were to be scored: correct the backend"
        )
    refuse_no_numbers(backend.info, windows, scored)
