"""Counts how often each token occurs in a corpus, for attacks that give rare tokens more weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..backends import Tokenizer
from ..passages import Passages
from ..records import Passage, TokenFrequencies

__all__ = ["count_frequencies"]


def count_frequencies(passages: Passages, tokenizer: Tokenizer, *, chunk_characters: int = 1 << 20) -> TokenFrequencies:
    """How often each token of *tokenizer* occurs in *passages*: counts of shape (vocabulary,), not smoothed.

    Every token of every passage is counted; BOS, which no passage holds, is not. Memory does not grow with the corpus.

    Args:
        passages: the corpus.
        tokenizer: of the target model.
        chunk_characters: characters that are encoded at once. The default keeps a tokenizer's threads busy, and takes
            some 50 MB of Python integers.

    Raises:
        PassageError: the corpus cannot be read, see `read_passages`.
    """
    counts = np.zeros(tokenizer.vocabulary, dtype=np.int64)
    for texts in _chunks(passages, chunk_characters):
        counts += np.bincount(np.concatenate(tokenizer.encode(texts)), minlength=len(counts))
    return TokenFrequencies(counts, tokenizer.fingerprint, passages.name)


def _chunks(passages: Iterable[Passage], characters: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    room = characters
    for passage in passages:
        chunk.append(passage.text)
        room -= len(passage.text)
        if room <= 0:
            yield chunk
            chunk, room = [], characters
    if chunk:
        yield chunk
