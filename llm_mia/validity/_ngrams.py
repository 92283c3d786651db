"""Words and characters as weighted counts: the features of the blind text classifier. No label has a part in them."""

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
    """A sparse matrix (texts, terms), each half of a row of unit length: words and pairs of words; characters.

    Characters are taken 2 to 4 together inside what white space separates, one blank put on either side. Terms of one
    text only are left out (nothing learned of them carries over), and of the rest all but the 50,000 of most texts.
    """
    from scipy.sparse import csr_matrix, hstack

    by_word = _counts(chain(found, pairwise(found)) for found in map(words, texts))
    # What a word is made of is found once for each distinct word, not once for each time that it stands somewhere.
    distinct: dict[str, int] = {}
    pieces = _counts([[distinct.setdefault(each, len(distinct)) for each in text.split()] for text in texts], distinct)
    made_of = _counts(_characters(each) for each in distinct)
    table = hstack([_weighted(by_word), _weighted(pieces @ made_of)], format="csr")
    return table if table.shape[1] else csr_matrix((len(texts), 1), dtype=np.float32)


def _characters(word: str) -> list[str]:
    """2 to 4 characters together, with a blank on either side.

    >>> _characters("ab")
    [' a', 'ab', 'b ', ' ab', 'ab ', ' ab ']
    """
    padded = f" {word} "
    return [padded[i : i + n] for n in (2, 3, 4) for i in range(len(padded) - n + 1)]


def _counts(rows: Iterable[Iterable[Hashable]], columns: dict[str, int] | None = None) -> Any:
    """How often each term stands in each row, sparse. With *columns* the terms are their numbers already."""
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


def _weighted(counts: Any) -> Any:
    """(1 + log count) · (log((1 + n)/(1 + texts that have it)) + 1), rows of unit length."""
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
