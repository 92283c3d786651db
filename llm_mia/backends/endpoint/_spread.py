"""Log-probabilities of the tokens into which a server has cut a text → of other tokens of the same bytes."""

from __future__ import annotations

import numpy as np

from ...records import IntArray
from ._answers import Answer

__all__ = ["spread"]


def spread(answer: Answer, ends: IntArray, ids: IntArray) -> Answer:
    """The *answer* for the tokens that end at *ends*, shape (tokens,), in the same text.

    Where both cut the text in the same places, the values are those of the answer. Where they do not, as at the end of
    a window that ends within a word, the log-probability of the bytes between two common places is divided among the
    tokens by their bytes, so that its sum is that of the answer.

    >>> answer = Answer(*(np.array(v) for v in ([1, 2, 4], [5, 6, 7], [-1.0, -2.0, -4.0], [0.0, 0.0, 0.0], [1, 2, 3])))
    >>> spread(answer, np.array([1, 3, 4]), np.array([5, 8, 9])).logprob
    array([-1., -4., -2.])
    """
    common = [end for end in ends.tolist() if end in set(answer.ends.tolist())]
    start = int(ends[0]) and _start(answer, ends)
    places = [start, *common]
    logprob, top = np.full(len(ends), np.nan), np.full(len(ends), np.nan)
    rank = np.full(len(ends), -1, np.int32)
    token_of = np.searchsorted(ends, places[1:], side="left")
    first = 0
    for begin, end, last in zip(places, places[1:], token_of.tolist(), strict=False):
        theirs = (answer.ends > begin) & (answer.ends <= end)
        mine = slice(first, last + 1)
        if theirs.sum() == 1 and last == first:
            logprob[mine], top[mine], rank[mine] = answer.logprob[theirs], answer.top[theirs], answer.rank[theirs]
        elif theirs.any():
            sizes = np.diff(ends[mine], prepend=begin) / max(1, end - begin)
            logprob[mine], top[mine] = answer.logprob[theirs].sum() * sizes, answer.top[theirs].sum() * sizes
            rank[mine] = answer.rank[theirs].max()
        first = last + 1
    return Answer(ends, ids, logprob, top, rank)


def _start(answer: Answer, ends: IntArray) -> int:
    """Where the first token begins: the last place before its end that the answer knows."""
    before = answer.ends[answer.ends < ends[0]]
    return int(before[-1]) if len(before) else 0
