"""Counts of a text that depend on the other texts: what is rare among them, and what a slip makes of a frequent word.

They show what a scanner, an optical recognition or a careless typist leaves behind, in any language with an alphabet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["RARITY", "rarity"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RARITY = ("rare_triples", "rare_words", "exchanged_letters", "replaced_letters", "missing_letters")
"""Names of the columns of `rarity`."""
_WORD = re.compile(r"[^\W\d_]+")
_TIMES = 5
"""A word is a possible slip where a neighbour occurs in at least this many times as many documents."""
_FEWEST_LETTERS = 4
"""Of a word with a replaced or a missing letter: nearly all shorter words have such a neighbour."""

_MOST_LETTERS = 40
"""Of a word that may be a slip: scripts without spaces have longer runs of letters."""


def rarity(texts: Sequence[str], documents: NDArray[np.intp]) -> Floats:
    """Counts of each text, shape (texts, `RARITY`), each a mean over its triples of letters or over its words.

    - ``rare_triples``: the share of its triples of letters that no other document has;
    - ``rare_words``: the share of its words that no other document has;
    - ``exchanged_letters``, ``replaced_letters``, ``missing_letters``: the share of its words that become a word of 5
      times as many documents if two neighbouring letters are exchanged, a letter is replaced, a letter is added or
      removed.

    The labels of the texts are not used: an exchange of labels between documents leaves every count as it is, so a
    permutation test of a count is exact.

    Args:
        texts: of all sets that are compared.
        documents: shape (texts,): the number of the document of each.
    """
    return np.column_stack([_rare_triples(texts, documents), _of_words(texts, documents)])


def _rare_triples(texts: Sequence[str], documents: NDArray[np.intp]) -> Floats:
    """The first column of `rarity`, shape (texts,)."""
    letters, alphabet, text = _letters(texts)
    first, second, third = letters[:-2], letters[1:-1], letters[2:]
    kept = (second > 0) & (text[:-2] == text[2:])  # the blank before or after a word belongs to its triples
    _, triple = np.unique(((first * alphabet + second) * alphabet + third)[kept], return_inverse=True)
    text = text[:-2][kept]
    document = documents[text].astype(np.int64)
    pairs = np.unique(document * (1 + len(triple)) + triple)
    rare = np.bincount(pairs % (1 + len(triple)), minlength=1)[triple] == 1
    sums = np.bincount(text, weights=rare, minlength=len(texts))
    return np.asarray(sums / np.maximum(1, np.bincount(text, minlength=len(texts))))


def _letters(texts: Sequence[str]) -> tuple[Ints, int, Ints]:
    """The letters of all texts as numbers (0: no letter), how many there are, and the text of each."""
    lowered = [f" {text.lower()} " for text in texts]
    points = np.frombuffer("".join(lowered).encode("utf-32-le", errors="replace"), dtype=np.uint32)
    characters, inverse = np.unique(points, return_inverse=True)
    is_letter = np.array([chr(point).isalpha() for point in characters.tolist()], dtype=bool)
    numbers = np.where(is_letter, np.cumsum(is_letter), 0)
    return (
        numbers[inverse].astype(np.int64),
        int(is_letter.sum()) + 1,
        np.repeat(np.arange(len(texts)), list(map(len, lowered))),
    )


def _of_words(texts: Sequence[str], documents: NDArray[np.intp]) -> Floats:
    """The other columns of `rarity`."""
    words = [_WORD.findall(text.lower()) for text in texts]
    in_document: dict[int, set[str]] = {}
    for document, in_text in zip(documents.tolist(), words, strict=True):
        in_document.setdefault(document, set()).update(in_text)
    spread = Counter(word for distinct in in_document.values() for word in distinct)
    most_by_gap = _most_by_gap(spread)
    number = {word: at for at, word in enumerate(spread)}
    kinds = np.array([_kinds(word, spread, most_by_gap) for word in spread], dtype=np.float64).reshape(-1, 4)
    of_text = kinds[np.array([number[word] for in_text in words for word in in_text], dtype=np.intp)]
    sizes = np.array(list(map(len, words)))
    text = np.repeat(np.arange(len(texts)), sizes)
    sums = [np.bincount(text, weights=kind, minlength=len(texts)) for kind in of_text.T]
    return np.asarray(np.stack(sums, axis=1) / np.maximum(1, sizes)[:, None])


def _most_by_gap(spread: Mapping[str, int]) -> dict[str, int]:
    """In how many documents the most frequent word is that has these letters but for a gap, marked ``?``."""
    most: dict[str, int] = {}
    for word, count in spread.items():
        if count >= _TIMES and len(word) <= _MOST_LETTERS:
            for gap in _gaps(word):
                most[gap] = max(count, most.get(gap, 0))
    return most


def _kinds(word: str, spread: Mapping[str, int], most_by_gap: Mapping[str, int]) -> tuple[bool, bool, bool, bool]:
    """Whether a word is rare, and whether it may be a frequent word with each kind of slip."""
    count = spread[word]
    if len(word) > _MOST_LETTERS:
        return count == 1, False, False, False
    needed = _TIMES * count
    exchanged = any(spread.get(other, 0) >= needed for other in _exchanges(word))
    if len(word) < _FEWEST_LETTERS:
        return count == 1, exchanged, False, False
    gaps = list(_gaps(word))
    replaced = any(most_by_gap.get(gap, 0) >= needed for gap in gaps)
    added = any(spread.get(gap.replace("?", ""), 0) >= needed for gap in gaps)
    removed = any(most_by_gap.get(f"{word[:at]}?{word[at:]}", 0) >= needed for at in range(len(word) + 1))
    return count == 1, exchanged, replaced, added or removed


def _exchanges(word: str) -> Iterator[str]:
    """*word* with two neighbouring letters exchanged, in every way that changes it.

    >>> list(_exchanges("all"))
    ['lal']
    """
    for at in range(len(word) - 1):
        if word[at] != word[at + 1]:
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _gaps(word: str) -> Iterator[str]:
    """*word* with ``?`` in the place of each letter.

    >>> list(_gaps("of"))
    ['?f', 'o?']
    """
    for at in range(len(word)):
        yield f"{word[:at]}?{word[at + 1 :]}"
