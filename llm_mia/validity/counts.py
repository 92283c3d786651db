"""Counts of a text: the features of the blind trees, some of which are also checked alone as leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTS", "counts", "latest_year"]

_YEAR = re.compile(r"(?<![0-9])(?:19[0-9]{2}|20[0-9]{2}|2100)(?![0-9])")
_SENTENCE_END = re.compile(r"[.!?…。！？]+(?=\s|$)")
_LAST_LATIN = 0x24F  # the end of Latin Extended-B
_SLIPS = {
    "broken_words": re.compile(r"[^\W\d_][-\u00ad\u00ac]\s+[^\W\d_]"),
    "digits_in_words": re.compile(r"[^\W\d_][0-9]|[0-9][^\W\d_]"),
    "odd_characters": re.compile(r"[\ufb00-\ufb06\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x9f]"),
    "double_spaces": re.compile(r"(?<=\S)[^\S\n]{2,}(?=\S)"),
    "spaced_punctuation": re.compile(r"\w\s+[.,;:!?](?=\s|$)"),
}
_CHARACTER_KINDS = ("upper", "punctuation", "digits", "space", "non_ascii", "other_scripts")
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
    *_SLIPS,
    *_CHARACTER_KINDS,
)
"""Names of the columns of `counts`; the last six are shares of the characters.

The five before them are counts, for each word, of what scanners and careless conversion leave behind: words that a
hyphen and white space divide, digits within words, ligatures with characters that no keyboard writes, several spaces
between words, and white space before punctuation.
"""


def counts(texts: Sequence[str]) -> NDArray[np.float64]:
    """The counts of each text, shape (texts, `COUNTS`)."""
    rows = [[*_count_words(text), *_count_years(text), *_count_slips(text), *_character_shares(text)] for text in texts]
    return np.array(rows).reshape(-1, len(COUNTS))


def latest_year(text: str) -> int:
    """The latest year from 1900 to 2100 in the text, written in four digits; 0 where there is none.

    >>> latest_year("from 1999 to 2005, item 20071"), latest_year("in '99")
    (2005, 0)
    """
    return max(map(int, _YEAR.findall(text)), default=0)


def _count_words(text: str) -> tuple[float, ...]:
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


def _count_years(text: str) -> tuple[float, ...]:
    years = [int(year) for year in _YEAR.findall(text)]
    return len(years), max(years, default=0), min(years, default=0)


def _count_slips(text: str) -> list[float]:
    """The matches of each of `_SLIPS` for each word.

    >>> dict(zip(_SLIPS, _count_slips("an exam- ple c0de"), strict=True))["digits_in_words"]
    0.25
    """
    n = max(1, len(text.split()))
    return [len(slip.findall(text)) / n for slip in _SLIPS.values()]


def _character_shares(text: str) -> NDArray[np.float64]:
    """The share of characters of each of `_CHARACTER_KINDS`.

    >>> dict(zip(_CHARACTER_KINDS, _character_shares("Ab1,é я").round(3).tolist()))["upper"]
    0.143
    """
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    ascii_kinds = _ASCII[points[points < len(_ASCII)]].sum(axis=0)
    non_ascii = points[points >= len(_ASCII)]
    shares = np.zeros(len(_CHARACTER_KINDS))
    shares[:4] = ascii_kinds
    for character in map(chr, non_ascii.tolist()):
        shares[:4] += _classify(character)
    shares[4], shares[5] = len(non_ascii), np.count_nonzero(non_ascii > _LAST_LATIN)
    return shares / max(1, len(points))


def _classify(character: str) -> tuple[bool, bool, bool, bool]:
    """Whether a character is a capital letter, punctuation, a digit, white space."""
    plain = character.isalnum() or character.isspace()
    return character.isupper(), not plain, character.isdigit(), character.isspace()


_ASCII = np.array([_classify(chr(point)) for point in range(128)], dtype=np.float64)
