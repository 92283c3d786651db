"""What can be counted in a text: the features of the blind trees, some of which are also asked one at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTS", "counts", "latest_year"]

_YEAR = re.compile(r"(?<![0-9])(?:19[0-9]{2}|20[0-9]{2}|2100)(?![0-9])")
_SENTENCE_END = re.compile(r"[.!?…。！？]+(?=\s|$)")
_LAST_LATIN = 0x24F  # the end of Latin Extended-B
_KINDS = ("upper", "punctuation", "digits", "space", "non_ascii", "other_scripts")
COUNTS = (
    "bytes",
    "words",
    "bytes_per_word",
    "longest_word",
    "distinct_words",
    "capitalised_words",
    "words_per_sentence",
    "lines",
    "years",
    "latest_year",
    "earliest_year",
    *_KINDS,
)
"""Names of the columns of `counts`; the last six are shares of the characters."""


def counts(texts: Sequence[str]) -> NDArray[np.float64]:
    """Shape (texts, `COUNTS`)."""
    return np.array([[*_words(text), *_years(text), *_shares(text)] for text in texts]).reshape(-1, len(COUNTS))


def latest_year(text: str) -> int:
    """The latest year from 1900 to 2100 that the text names in four digits; 0 where it names none.

    >>> latest_year("from 1999 to 2005, item 20071"), latest_year("in '99")
    (2005, 0)
    """
    return max(map(int, _YEAR.findall(text)), default=0)


def _words(text: str) -> tuple[float, ...]:
    parts = text.split()
    n, n_bytes = max(1, len(parts)), len(text.encode())
    sentences = max(1, len(_SENTENCE_END.findall(text)))
    return (
        n_bytes,
        len(parts),
        n_bytes / n,
        max(map(len, parts), default=0),
        len(set(parts)) / n,
        sum(part[0].isupper() for part in parts) / n,
        len(parts) / sentences,
        1 + text.count("\n"),
    )


def _years(text: str) -> tuple[float, ...]:
    named = [int(year) for year in _YEAR.findall(text)]
    return len(named), max(named, default=0), min(named, default=0)


def _shares(text: str) -> NDArray[np.float64]:
    """Shares of the characters that are of each of `_KINDS`.

    >>> dict(zip(_KINDS, _shares("Ab1,é я").round(3).tolist()))["upper"]
    0.143
    """
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    ascii_kinds = _ASCII[points[points < len(_ASCII)]].sum(axis=0)
    beyond = points[points >= len(_ASCII)]
    shares = np.zeros(len(_KINDS))
    shares[:4] = ascii_kinds
    for character in map(chr, beyond.tolist()):
        shares[:4] += _kinds(character)
    shares[4], shares[5] = len(beyond), np.count_nonzero(beyond > _LAST_LATIN)
    return shares / max(1, len(points))


def _kinds(character: str) -> tuple[bool, bool, bool, bool]:
    plain = character.isalnum() or character.isspace()
    return character.isupper(), not plain, character.isdigit(), character.isspace()


_ASCII = np.array([_kinds(chr(point)) for point in range(128)], dtype=np.float64)
