"""Words and characters as weighted counts: the features of the blind text classifier, computed without labels."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["tf_idf", "words"]

_WORD = re.compile(r"\w+")
_MOST_TERMS = 50_000


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, in lower case.

    >>> words("The U.S. of 1999")
    ['the', 'u', 's', 'of', '1999']
    """
    return _WORD.findall(text.lower())


def tf_idf(texts: Sequence[str]) -> Any:
    """A sparse matrix (texts, terms) of words and pairs of words, then of runs of characters.

    Each of the two parts of a row has unit length. Runs of 2 to 4 characters are taken within words separated by white
    space, with a blank on either side. Terms that occur in a single text are left out (they cannot help with other
    texts); of the others, the 50,000 that occur in most texts are kept.
    """
    from scipy.sparse import csr_matrix, hstack

    by_word = _count_terms(chain(in_text, pairwise(in_text)) for in_text in map(words, texts))
    # The runs of characters of a word are computed once, not each time that the word occurs.
    distinct: dict[str, int] = {}
    word_numbers = [[distinct.setdefault(word, len(distinct)) for word in text.split()] for text in texts]
    runs_of_word = _count_terms(_character_runs(word) for word in distinct)
    by_run = _count_terms(word_numbers, distinct) @ runs_of_word
    table = hstack([_weigh(by_word), _weigh(by_run)], format="csr")
    return table if table.shape[1] else csr_matrix((len(texts), 1), dtype=np.float32)


def _character_runs(word: str) -> list[str]:
    """Runs of 2 to 4 characters, with a blank on either side of the word.

    >>> _character_runs("ab")
    [' a', 'ab', 'b ', ' ab', 'ab ', ' ab ']
    """
    padded = f" {word} "
    return [padded[i : i + n] for n in (2, 3, 4) for i in range(len(padded) - n + 1)]


def _count_terms(rows: Iterable[Iterable[Hashable]], columns: dict[str, int] | None = None) -> Any:
    """How often each term occurs in each row, sparse. With *columns*, the terms are column numbers already."""
    from scipy.sparse import csr_matrix

    numbers: defaultdict[Hashable, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # the next free column
    indices: list[int] = []
    ends = [0]
    for row in rows:
        indices.extend(row if columns is not None else map(numbers.__getitem__, row))  # type: ignore[arg-type]
        ends.append(len(indices))
    shape = len(ends) - 1, len(numbers if columns is None else columns)
    table = csr_matrix((np.ones(len(indices), np.float32), np.array(indices, np.int32), np.array(ends)), shape=shape)
    table.sum_duplicates()
    return table


def _weigh(counts: Any) -> Any:
    """(1 + log count) · (log((1 + n)/(1 + texts with the term)) + 1), scaled to rows of unit length."""
    from scipy.sparse import diags

    texts: NDArray[np.intp] = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(texts >= 2)
    if len(kept) > _MOST_TERMS:
        kept = np.sort(kept[np.argsort(-texts[kept], kind="stable")[:_MOST_TERMS]])
    table = counts[:, kept]
    table.data = 1 + np.log(table.data)
    table = table @ diags(np.log((1 + table.shape[0]) / (1 + texts[kept])).astype(np.float32) + 1)
    length = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    return diags(1 / np.where(length > 0, length, 1).astype(np.float32)) @ table
