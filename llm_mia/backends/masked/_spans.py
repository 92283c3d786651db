"""The positions of a tokenizer's words in a text, and other words in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Unit", "eligible_units", "match_case", "replace_spans", "units_of"]

# Where no more than this share of a text's units are whole words, its script has no spaces, or the tokenizer was made
# for another language: then parts of words are replaced.
LEAST_WHOLE_WORDS = 0.25


@dataclass(frozen=True, slots=True)
class Unit:
    """A token, or several tokens that share a character."""

    first: int
    """The index of its first token."""
    stop: int
    """The index after its last token."""
    start: int
    """Its first character in the text, without the blanks around it."""
    end: int
    """The position after its last character."""
    word: int | None
    """The index of the word that it is part of."""


def units_of(text: str, encoded: Any) -> list[Unit]:
    """The units of *text* in order, none of which share a character; *encoded* holds the offsets of its tokens."""
    units: list[Unit] = []
    for i, ((start, end), word) in enumerate(zip(encoded.offset_mapping, encoded.word_ids(), strict=True)):
        piece = text[start:end]
        start, end = min(end, start + len(piece) - len(piece.lstrip())), start + len(piece.rstrip())
        if start >= end:
            continue
        if units and start < units[-1].end:
            last = units.pop()
            units.append(Unit(last.first, i + 1, last.start, max(last.end, end), last.word))
        else:
            units.append(Unit(i, i + 1, start, end, word))
    return units


def eligible_units(text: str, units: Sequence[Unit]) -> list[Unit]:
    """The *units* that may be replaced: whole words; where they are few, all with a letter or a digit; else all."""
    lettered = [unit for unit in units if any(map(str.isalnum, text[unit.start : unit.end]))]
    words = [None, *(unit.word for unit in units), None]
    single = {
        unit.first
        for before, unit, after in zip(words, units, words[2:], strict=False)
        if unit.word is not None and unit.word not in (before, after)
    }
    whole = [unit for unit in lettered if unit.first in single]
    return whole if len(whole) > LEAST_WHOLE_WORDS * len(lettered) else lettered or list(units)


def match_case(original: str, word: str) -> str:
    """*word* in capitals, or with a first capital, where *original* is.

    >>> match_case("The", "river"), match_case("AND", "or"), match_case("A", "river")
    ('River', 'OR', 'River')
    >>> match_case("and", "Anna"), match_case("1", "a")
    ('Anna', 'a')
    """
    if len(original) > 1 and original.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if original[:1].isupper() else word


def replace_spans(text: str, spans: Sequence[tuple[int, int]], words: Iterator[str]) -> str:
    """The *text* with the next of *words* in place of each span; the spans are in order and do not overlap.

    >>> replace_spans("one two  three", [(0, 3), (9, 14)], iter(["a", "c"]))
    'a two  c'
    """
    parts: list[str] = []
    last = 0
    for start, end in spans:
        parts += (text[last:start], next(words))
        last = end
    return "".join([*parts, text[last:]])
