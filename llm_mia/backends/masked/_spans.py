"""Where the words stand that a tokenizer makes of a text, and others put in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Unit", "eligible", "in_the_case_of", "spliced", "units"]

# Where less of a text than this share of its units is whole words, it is of a script without spaces, or of a language
# that the tokenizer was not made for: then pieces of words serve.
FEW = 0.25


@dataclass(frozen=True, slots=True)
class Unit:
    """One token, or the several that a character of many bytes takes."""

    first: int
    """Place of its first token."""
    stop: int
    """One more than the place of its last."""
    start: int
    """Where it stands in the text, in characters and without the blanks around it."""
    end: int
    word: int | None
    """The word it belongs to."""


def units(text: str, encoded: Any) -> list[Unit]:
    """The units of *text*, in order, none sharing a character with another; *encoded* holds its offsets."""
    found: list[Unit] = []
    for i, ((start, end), word) in enumerate(zip(encoded.offset_mapping, encoded.word_ids(), strict=True)):
        piece = text[start:end]
        start, end = min(end, start + len(piece) - len(piece.lstrip())), start + len(piece.rstrip())
        if start >= end:
            continue
        if found and start < found[-1].end:
            last = found.pop()
            found.append(Unit(last.first, i + 1, last.start, max(last.end, end), last.word))
        else:
            found.append(Unit(i, i + 1, start, end, word))
    return found


def eligible(text: str, candidates: Sequence[Unit]) -> list[Unit]:
    """Those that are whole words; where they are few all with a letter or a digit, and where there is none all."""
    lettered = [unit for unit in candidates if any(map(str.isalnum, text[unit.start : unit.end]))]
    around = [None, *(unit.word for unit in candidates), None]
    alone = {
        unit.first
        for before, unit, after in zip(around, candidates, around[2:], strict=False)
        if unit.word is not None and unit.word not in (before, after)
    }
    whole = [unit for unit in lettered if unit.first in alone]
    return whole if len(whole) > FEW * len(lettered) else lettered or list(candidates)


def in_the_case_of(original: str, word: str) -> str:
    """*word* in capitals or with an initial one, where *original* is.

    >>> in_the_case_of("The", "river"), in_the_case_of("AND", "or"), in_the_case_of("and", "Anna")
    ('River', 'OR', 'Anna')
    """
    if len(original) > 1 and original.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if original[:1].isupper() else word


def spliced(text: str, spans: Sequence[tuple[int, int]], words: Iterator[str]) -> str:
    """The text with the next of *words* in each span; the spans are in order and apart.

    >>> spliced("one two  three", [(0, 3), (9, 14)], iter(["a", "c"]))
    'a two  c'
    """
    parts: list[str] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], next(words))
        done = end
    return "".join([*parts, text[done:]])
