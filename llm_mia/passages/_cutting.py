r"""One document into passages, at paragraph and sentence ends, without a model.

    The rain had stopped. She went out.⏎⏎Nobody was there…
    └────────── sentence ┴─ sentence ──┴─ paragraph

A passage is at most about so many tokens, by an estimate: one token is four UTF-8 bytes, close to what English takes
in the usual tokenizers. No tokenizer is asked, because passages must not change with the model: two models, or a
target and its reference, have to be scored on the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BYTES_PER_TOKEN = 4

_CLOSERS = r"""["'”’»›)\]」』）】]"""
# Possessive quantifiers, and no match may start inside a run of its own characters: linear in the text, whatever it is.
_UNIT_END = re.compile(
    rf"(?<![.!?…])[.!?…]++{_CLOSERS}*+\s++"  # a sentence; a full stop inside 3.14 is followed by no white space
    rf"|(?<![。！？])[。！？]++{_CLOSERS}*+\s*+"  # a sentence in a script that writes no blanks
    r"|\n[^\S\n]*+\n\s*+"  # a paragraph
)
_WORD = re.compile(r"\S++\s*+")

_WORD_END, _SENTENCE_END, _PARAGRAPH_END = 0, 1, 2


def cut_document(text: str, passage_tokens: int) -> Iterator[str]:
    r"""Passages of *text*, each of at most about *passage_tokens* tokens (4 UTF-8 bytes a token, see the module).

    Joined, they are *text* again, character for character. White space stays with the passage before it (that at the
    very start goes with the first), is not counted against the limit there, and never stands alone. A sentence beyond
    the limit is cut at white space, a word beyond it between characters. *text* must not be white space alone.

    >>> list(cut_document("One two. Three four.\n\nFive.", 4))
    ['One two. ', 'Three four.\n\n', 'Five.']
    """
    limit = passage_tokens * BYTES_PER_TOKEN
    start = 0
    held: list[tuple[int, int, int]] = []  # atoms not yet in a passage: end in text, bytes since start, strength of end
    size = 0  # bytes of them
    for end, strength in _atoms(text, limit):
        begin = held[-1][0] if held else start
        atom = text[begin:end]
        content = len(atom.rstrip().encode())
        while held and size + content > limit:
            cut = _best_cut(held, limit)
            stop, taken, _ = held[cut]
            yield text[start:stop]
            start, size = stop, size - taken
            held = [(at, since - taken, kind) for at, since, kind in held[cut + 1 :]]
        size += len(atom.encode())
        held.append((end, size, strength))
    yield text[start:]


def _best_cut(held: list[tuple[int, int, int]], limit: int) -> int:
    """Index of the strongest end in the second half of a full passage, the later of equals; else the last end.

    The first half is left alone, or a heading would become a passage of three tokens.
    """
    return max(range(len(held)), key=lambda i: (held[i][2] if 2 * held[i][1] >= limit else 0, i))


def _atoms(text: str, limit: int) -> Iterator[tuple[int, int]]:
    """Ends of what is never cut, and how strong an end each is: sentences, or the pieces of one beyond *limit* bytes.

    Every atom but the first starts with a character that is not white space.
    """
    start = 0
    for end, strength in _units(text):
        yield from _pieces(text, start, end, strength, limit)
        start = end


def _units(text: str) -> Iterator[tuple[int, int]]:
    """Ends of sentences and paragraphs, and which of them it is."""
    lead = len(text) - len(text.lstrip())
    end = lead
    for match in _UNIT_END.finditer(text, lead):
        end = match.end()
        yield end, _PARAGRAPH_END if match.group().count("\n") > 1 else _SENTENCE_END
    if end < len(text):
        yield len(text), _PARAGRAPH_END


def _pieces(text: str, start: int, end: int, strength: int, limit: int) -> Iterator[tuple[int, int]]:
    """One unit as it is, or in words where it is beyond *limit* bytes, or between characters where a word is."""
    if len(text[start:end].strip().encode()) > limit:
        for match in _WORD.finditer(text, start, end):
            yield from ((at, _WORD_END) for at in _character_cuts(match.group(), match.start(), limit))
            if match.end() < end:
                yield match.end(), _WORD_END
    yield end, strength


def _character_cuts(word: str, start: int, limit: int) -> Iterator[int]:
    """Where a word beyond *limit* bytes (its trailing white space aside) is cut into pieces of at most that."""
    raw = word.rstrip().encode()
    at, position = 0, start
    while len(raw) - at > limit:
        stop = at + limit
        while raw[stop] & 0xC0 == 0x80:  # a continuation byte: step back to the start of its character
            stop -= 1
        position += len(raw[at:stop].decode())
        at = stop
        yield position
