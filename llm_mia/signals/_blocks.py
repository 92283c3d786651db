"""Blocks: passages that are batched together, cut and encoded ahead of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..backends import Backend
from ..records import IntArray, Passage, TokenSignals, Window, WindowRule
from ..store import SignalsFolder, StoredChunk, text_sha256
from ._inputs import Inputs
from ._plan import Rewrite
from ._progress import Tally
from ._windows import cut, join

__all__ = ["Block", "BlockSize", "Held", "Pass", "block_size", "blocks", "score_block"]

BLOCK_PASSAGES = 4096
# Bytes of a block, for one token that the model likes to compute at once. At four bytes a token that is 32 batches:
# sorted by length, their windows then need little padding, and a slow CPU is done with them in a minute.
BYTES_A_TOKEN = 128
LEAST_BYTES, MOST_BYTES = 1 << 16, 1 << 21
# What is kept of texts that stand more than once: this many bytes of signals, and of Python around them.
HELD_BYTES, BYTES_A_TOKEN_HELD, BYTES_A_TEXT_HELD = 100_000_000, 24, 1024


@dataclass(frozen=True, slots=True)
class BlockSize:
    """Where a block ends. It goes by the input alone, so a run that continues makes the same batches."""

    passages: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One model over all texts."""

    backend: Backend
    rule: WindowRule
    size: BlockSize
    rewrite: Rewrite | None = None
    """What it makes of the texts; None: nothing."""
    as_is: SignalsFolder | None = None
    """The same model's signals of the texts as they stand: they serve where *rewrite* changes nothing."""
    prefix: IntArray | None = None
    """Shape (n,): tokens that stand before every window, BOS included where the model has one."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive passages, ready to be scored."""

    ids: Sequence[str]
    digests: Sequence[str]
    n_bytes: int
    windows: Sequence[Window]
    """Of passages named by their position here."""
    known: Mapping[int, TokenSignals]
    """By position: signals that are on disk already."""
    repeated: Sequence[int]
    """Positions of texts that stand elsewhere too."""


class Held:
    """Signals of texts that stand more than once, by digest; the oldest leave when room is needed.

    What is held depends on the passages before and nothing else, so a run that continues holds the same.
    """

    def __init__(self) -> None:
        self._room = HELD_BYTES
        self._signals: dict[str, TokenSignals] = {}

    def get(self, digest: str) -> TokenSignals | None:
        """The signals of a text, if they are here."""
        return self._signals.get(digest)

    def add(self, digest: str, signals: TokenSignals) -> None:
        """Keep the signals of a text that is not held yet."""
        if digest in self._signals:
            return
        self._signals[digest] = _own(signals)
        self._room -= _size(signals)
        while self._room < 0:
            oldest = next(iter(self._signals))
            self._room += _size(self._signals.pop(oldest))


def _own(signals: TokenSignals) -> TokenSignals:
    """A copy: what a model or a chunk returns are views, which keep the whole batch in memory."""
    arrays = ("token_ids", "logprob", "mean", "std", "top", "rank")
    return replace(signals, **{name: getattr(signals, name).copy() for name in arrays})


def _size(signals: TokenSignals) -> int:
    return BYTES_A_TOKEN_HELD * len(signals) + BYTES_A_TEXT_HELD


def block_size(tokens_per_batch: int) -> BlockSize:
    """The block for a model that computes so many tokens at once."""
    return BlockSize(BLOCK_PASSAGES, min(max(LEAST_BYTES, BYTES_A_TOKEN * tokens_per_batch), MOST_BYTES))


def blocks(one: Pass, inputs: Inputs, start: int) -> Iterator[Block]:
    """The blocks of one pass, from the passage at position *start* on."""
    chunks = one.as_is.chunks(start=start) if one.as_is else None
    on_disk = None if chunks is None else ((chunk, row) for chunk in chunks for row in range(len(chunk)))
    for passages in _cut(islice(inputs, start, None), one.size):
        first, last = np.searchsorted(inputs.check.repeated, [start, start + len(passages)])
        repeated = (inputs.check.repeated[first:last] - start).tolist()
        yield _block(one, passages, on_disk, repeated)
        start += len(passages)


def _cut(passages: Iterator[Passage], size: BlockSize) -> Iterator[list[Passage]]:
    block: list[Passage] = []
    n_bytes = 0
    for passage in passages:
        more = passage.n_bytes
        if block and (len(block) == size.passages or n_bytes + more > size.bytes):
            yield block
            block, n_bytes = [], 0
        block.append(passage)
        n_bytes += more
    if block:
        yield block


def _block(
    one: Pass,
    passages: Sequence[Passage],
    on_disk: Iterator[tuple[StoredChunk, int]] | None,
    repeated: Sequence[int],
) -> Block:
    known: dict[int, TokenSignals] = {}
    positions, texts = [], []
    rewritten: Sequence[str] = [passage.text for passage in passages]
    if one.rewrite is not None:
        rewritten = one.rewrite(rewritten)
    for position, (passage, text) in enumerate(zip(passages, rewritten, strict=True)):
        if on_disk is not None:
            chunk, row = next(on_disk)
            if text == passage.text:
                known[position] = _own(chunk.signals(row))
                continue
        positions.append(position)
        texts.append(text)
    encoded = one.backend.encode(texts) if texts else []
    return Block(
        ids=[passage.id for passage in passages],
        digests=[text_sha256(passage) for passage in passages],
        n_bytes=sum(passage.n_bytes for passage in passages),
        windows=[
            window
            for position, tokens in zip(positions, encoded, strict=True)
            for window in _windows(one, tokens, position)
        ],
        known=known,
        repeated=repeated,
    )


def _windows(one: Pass, tokens: IntArray, position: int) -> list[Window]:
    """The windows of one passage. After a prefix they score the same tokens as without, though BOS opens the prefix."""
    bos = one.backend.bos
    windows = cut(tokens, one.rule, bos=bos, passage=position)
    if one.prefix is None or bos is None:
        return windows
    return [Window(window.tokens[1:], window.first_scored - 1, position) for window in windows]


def score_block(one: Pass, block: Block, held: Held, report: Tally) -> list[TokenSignals]:
    """The signals of each passage of *block*; what is known of its texts already is not computed again."""
    found, copies = dict(block.known), dict[int, int]()
    first: dict[str, int] = {}
    for position in block.repeated:
        digest = block.digests[position]
        if (signals := held.get(digest)) is not None:
            found.setdefault(position, signals)
        elif position not in found and first.setdefault(digest, position) != position:
            copies[position] = first[digest]
    windows = [w for w in block.windows if w.passage not in found and w.passage not in copies]
    parts: list[list[TokenSignals]] = [[] for _ in block.ids]
    reported = _Shares(block.n_bytes, sum(len(w.tokens) - w.first_scored for w in windows), report)
    if windows:
        scored = one.backend.score(windows, reported, prefix=one.prefix)
        for window, one_window in zip(windows, scored, strict=True):
            parts[window.passage].append(one_window)
    for position, passage_parts in enumerate(parts):
        if position not in found and position not in copies:
            found[position] = join(passage_parts, one.backend.info.tokenizer)
    found.update({position: found[source] for position, source in copies.items()})
    for position in block.repeated:
        held.add(block.digests[position], found[position])
    signals_of_all = [found[position] for position in range(len(block.ids))]
    report(len(block.ids), sum(map(len, signals_of_all)) - reported.tokens, block.n_bytes - reported.bytes)
    return signals_of_all


class _Shares:
    """Passes on the tokens of each batch. It mixes all passages, so of the bytes it tells the share that is done."""

    def __init__(self, n_bytes: int, n_tokens: int, report: Tally) -> None:
        self._n_bytes, self._n_tokens, self._report = n_bytes, n_tokens, report
        self.tokens = self.bytes = 0

    def __call__(self, tokens: int) -> None:
        self.tokens += tokens
        n_bytes = self._n_bytes * self.tokens // self._n_tokens - self.bytes
        self.bytes += n_bytes
        self._report(0, tokens, n_bytes)
