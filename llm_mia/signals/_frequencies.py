"""How often each token stands in a corpus: what a token is worth as evidence depends on how common it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..backends import Tokenizer
from ..passages import Passages
from ..records import Passage, TokenFrequencies

__all__ = ["count_frequencies"]

# Characters that are encoded at once: enough to keep a tokenizer's threads busy, and some 50 MB of Python integers.
CHUNK_CHARACTERS = 1 << 20


def count_frequencies(passages: Passages, tokenizer: Tokenizer) -> TokenFrequencies:
    """How often each token of *tokenizer* stands in *passages*: counts of shape (vocabulary,), not smoothed.

    Every token of every passage counts; BOS, which no passage holds, does not. Memory does not grow with the corpus.

    Raises:
        PassageError: the corpus cannot be read, see `read_passages`.
    """
    counts = np.zeros(tokenizer.vocabulary, dtype=np.int64)
    for texts in _chunks(passages):
        counts += np.bincount(np.concatenate(tokenizer.encode(texts)), minlength=len(counts))
    return TokenFrequencies(counts, tokenizer.fingerprint, passages.name)


def _chunks(passages: Iterable[Passage]) -> Iterator[list[str]]:
    chunk: list[str] = []
    room = CHUNK_CHARACTERS
    for passage in passages:
        chunk.append(passage.text)
        room -= len(passage.text)
        if room <= 0:
            yield chunk
            chunk, room = [], CHUNK_CHARACTERS
    if chunk:
        yield chunk
