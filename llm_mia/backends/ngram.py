"""A byte n-gram model: trained here in a second, on texts that are given, in numpy.

It stands in for a reference model where there is none. It knows nothing of the world, but what it finds surprising
(misprints, another language, another layout) is a property of the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..records import FIELDS, IntArray, ModelRecord, TokenSignals, Window
from . import Report
from ._context import refuse_beyond_context

__all__ = ["MOST_BYTES", "NAME", "ORDER", "NgramBackend"]

NAME = "ngram"
"""The `ModelRecord.id` of every such model."""
ORDER = 5
"""A byte is predicted from the 4 bytes before it, and fewer."""
MOST_BYTES = 1 << 21
"""Bytes of text, after which no further text is used: tables of more would take seconds to count, and memory."""
BYTES, BOS, SYMBOLS = 256, 256, 257
ROWS = 1024
"""Distributions that are computed at once: an array of them has 2 MB, which a processor's cache holds."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Which bytes follow the contexts of a length, and how often."""

    contexts: Ints
    """Shape (contexts,), ascending: the symbols of each are the digits of a number, the last the least significant."""
    starts: Ints
    """Shape (contexts,): where the bytes that follow each begin in the arrays below."""
    sizes: Ints
    """Shape (contexts,): how many there are."""
    followers: NDArray[np.uint8]
    """The distinct bytes that follow each context, ascending."""
    shares: Floats
    """count / (N + T): N occurrences of the context, T distinct bytes after it."""
    backoffs: Floats
    """Shape (contexts,): T / (N + T), the weight of the context that is a symbol shorter."""

    @classmethod
    def of(cls, pairs: Ints) -> tuple[_Counts, bytes]:
        """The counts of *pairs*, each a context times 256 plus the byte that follows; and what their digest covers."""
        distinct, counts = np.unique(pairs, return_counts=True)
        contexts, starts, sizes = np.unique(distinct >> 8, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, starts) + sizes
        table = cls(
            contexts,
            starts,
            sizes,
            (distinct & 255).astype(np.uint8),
            counts / np.repeat(totals, sizes),
            sizes / totals,
        )
        return table, distinct.astype("<i8").tobytes() + counts.astype("<i8").tobytes()

    def places(self, contexts: Ints) -> Ints:
        """The place of each of *contexts* in the table; −1 where it is not there."""
        at = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        return np.where(self.contexts[at] == contexts, at, -1)


class NgramBackend:
    """An interpolated n-gram model of bytes (Witten and Bell 1991).

    The probability of byte c after context h, of which N occurrences with T distinct bytes after them were seen, is
    (count(h, c) + T · p(c | h without its first byte)) / (N + T); before the context without bytes comes the uniform
    distribution, so no probability is 0. A context that was not seen is shortened.

    Args:
        texts: what it is trained on, in this order, up to `MOST_BYTES`; a longer text is cut there.
        order: the longest n-gram.

    Raises:
        UsageError: *texts* hold nothing.

    In "abab" the byte a is the first, and b follows a, twice:

    >>> model = NgramBackend(["abab"], order=2)
    >>> [signals] = model.score([Window(np.array([256, *b"ab"]), first_scored=1)])
    >>> none = (2 + 2 * (1 / 256)) / (4 + 2)  # a without context: twice among 4 bytes, which are of 2 kinds
    >>> np.allclose(np.exp(signals.logprob), [(1 + none) / (1 + 1), (2 + none) / (2 + 1)])
    True
    """

    def __init__(self, texts: Iterable[str], *, order: int = ORDER) -> None:
        encoded = [text.encode() for text in texts]
        self.trained_on = frozenset(hashlib.sha256(text).hexdigest() for text in encoded)
        """Digests of the texts that it was given; their signals would show that it was trained on them."""
        symbols, depths = _symbols(_within(encoded, MOST_BYTES))
        if not len(symbols):
            raise UsageError("`texts` hold nothing to train an n-gram model on: give texts")
        self._order, digest = order, hashlib.sha256()
        self._tables: list[_Counts] = []
        for length, contexts in enumerate(_contexts(symbols, order - 1)):
            seen = (depths >= length) & (symbols != BOS)
            table, counted = _Counts.of(contexts[seen] * BYTES + symbols[seen])
            digest.update(counted)
            self._tables.append(table)
        self.opening = (BOS,)
        self.tokens_per_batch = 1 << 16
        self.offers = frozenset(FIELDS)
        self.info = ModelRecord(
            id=NAME,
            revision=None,
            weights_sha256=digest.hexdigest(),
            config_sha256=f"Witten-Bell, order {order}",
            dtype="float64",
            tokenizer=f"bytes, BOS {BOS}",
            context=1 << 20,
            opening=self.opening,
            opening_text=("BOS",),
        )

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        """The bytes of each text."""
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals of each window, from the exact distributions over the 256 bytes."""
        if not windows:
            return []
        if prefix is not None:
            refuse_beyond_context(self.info, prefix, windows)
        before = np.empty(0, np.int32) if prefix is None else prefix
        fed = [np.concatenate([before, window.tokens]) for window in windows]
        sizes = [len(window.tokens) - window.first_scored for window in windows]
        symbols = np.concatenate(fed).astype(np.int64)
        depths = np.concatenate([np.arange(len(tokens)) for tokens in fed])
        ends = np.cumsum([len(tokens) for tokens in fed])
        scored = np.concatenate([np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)])
        whole = self._signals(symbols, depths, scored)
        if report:
            report(len(scored))
        bounds = np.cumsum([0, *sizes]).tolist()
        return [whole.take(slice(start, end)) for start, end in pairwise(bounds)]

    def _signals(self, symbols: Ints, depths: Ints, scored: Ints) -> TokenSignals:
        """The signals of the symbols at the positions *scored*; *depths* symbols precede each in its text."""
        following = symbols[scored]
        pairs, pair_of = self._pairs(symbols, depths, scored)
        row_of, lengths, contexts = self._longest_contexts(pairs >> 8)
        pairs, inverse = np.unique(row_of * BYTES + (pairs & 255), return_inverse=True)
        moments, of_pair = np.empty((3, len(lengths))), np.empty((2, len(pairs)))
        for first in range(0, len(lengths), ROWS):
            here = slice(first, first + ROWS)
            p = self._distributions(lengths[here], contexts[here])
            logs = np.log(p)
            moments[0, here] = mean = (p * logs).sum(1)
            moments[1, here] = np.sqrt((p * (logs - mean[:, None]) ** 2).sum(1))
            moments[2, here] = logs.max(1)
            start, end = np.searchsorted(pairs, [first * BYTES, (first + ROWS) * BYTES])
            for at in range(start, end, ROWS):
                part = pairs[at : min(at + ROWS, end)]
                logprob = logs[(part >> 8) - first, part & 255]
                of_pair[0, at : at + len(part)] = logprob
                of_pair[1, at : at + len(part)] = (logs[(part >> 8) - first] > logprob[:, None]).sum(1)
        mean, std, top = moments[:, (pairs >> 8)[inverse][pair_of]]
        logprob, rank = of_pair[:, inverse[pair_of]]
        return TokenSignals.of(
            logprob, token_ids=following, mean=mean, std=std, top=top, rank=rank, tokenizer=self.info.tokenizer
        )

    def _pairs(self, symbols: Ints, depths: Ints, scored: Ints) -> tuple[Ints, Ints]:
        """The distinct pairs of a history and the byte after it, as numbers, and which pair is at each position.

        A history is what precedes a byte: a context of the length `order` − 1, or as much as there is, and its length.
        """
        lengths = np.minimum(depths[scored], self._order - 1)
        histories = np.zeros(len(scored), np.int64)
        for length, contexts in enumerate(_contexts(symbols, self._order - 1)):
            histories[lengths == length] = contexts[scored[lengths == length]]
        return np.unique((histories * self._order + lengths) * BYTES + symbols[scored], return_inverse=True)

    def _longest_contexts(self, histories: Ints) -> tuple[Ints, Ints, Ints]:
        """Of each of *histories*, ascending, the number of its row; of each row the length of its context, and itself.

        A row is the longest end of a history that was seen in training; rows ascend by the lengths.
        """
        first = np.flatnonzero(np.diff(histories, prepend=-1))
        contexts, lengths = histories[first] // self._order, histories[first] % self._order
        best = np.zeros(len(first), np.int64)
        width = max(len(table.contexts) for table in self._tables)
        for length, table in enumerate(self._tables):
            at = np.flatnonzero(lengths >= length)
            places = table.places(contexts[at] % SYMBOLS**length)
            best[at] = np.where(places >= 0, length * width + places, best[at])
        rows, row_of = np.unique(best, return_inverse=True)
        seen = [table.contexts[rows[rows // width == length] % width] for length, table in enumerate(self._tables)]
        repeats = np.diff(np.append(first, len(histories)))
        return np.repeat(row_of, repeats), rows // width, np.concatenate(seen)

    def _distributions(self, lengths: Ints, contexts: Ints) -> Floats:
        """The distribution after each context that was seen in training, shape (contexts, 256); *lengths* ascend."""
        p = np.full((len(lengths), BYTES), 1 / BYTES)
        for length, table in enumerate(self._tables):
            first = int(np.searchsorted(lengths, length))
            places = table.places(contexts[first:] % SYMBOLS**length)
            p[first:] *= table.backoffs[places, None]
            starts, sizes = table.starts[places], table.sizes[places]
            entries = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
            rows = np.repeat(np.arange(first, len(lengths)), sizes)
            p[rows, table.followers[entries]] += table.shares[entries]
        return p


def _within(texts: Sequence[bytes], most: int) -> Iterator[bytes]:
    """The first *most* bytes of *texts*."""
    for text in texts:
        if most <= 0:
            return
        yield text[:most]
        most -= len(text)


def _symbols(texts: Iterable[bytes]) -> tuple[Ints, Ints]:
    """The symbols of all texts, each after BOS; and how many symbols of its text precede each."""
    arrays = [np.frombuffer(text, dtype=np.uint8).astype(np.int64) for text in texts if text]
    symbols = [np.concatenate([[BOS], array]) for array in arrays]
    depths = [np.arange(len(array)) for array in symbols]
    empty = np.empty(0, np.int64)
    return np.concatenate([empty, *symbols]), np.concatenate([empty, *depths])


def _contexts(symbols: Ints, longest: int) -> Iterator[Ints]:
    """For each length from 0 to *longest*: the symbols before each position, as the digits of a number.

    At a position that fewer symbols precede, the number means nothing.
    """
    contexts = np.zeros(len(symbols), np.int64)
    yield contexts.copy()
    for length in range(1, longest + 1):
        contexts[length:] += symbols[:-length] * SYMBOLS ** (length - 1)
        yield contexts.copy()
