r"""Division of a document into passages, at the ends of paragraphs and sentences, without a model.

    The rain had stopped. She went out.⏎⏎Nobody was there…
    └────────── sentence ┴─ sentence ──┴─ paragraph

The length of a passage in tokens is an estimate: four UTF-8 bytes a token, close to the average of English text in
common tokenizers. No tokenizer is used, because passages must not depend on the model: two models, or a target and its
reference, have to be scored on the same passages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BYTES_PER_TOKEN = 4

_CLOSERS = r"""["'”’»›)\]」』）】]"""
# Possessive quantifiers, and no match that starts inside a run of end marks: the time is linear in any text.
_UNIT_END = re.compile(
    rf"(?<![.!?…])[.!?…]++{_CLOSERS}*+\s++"  # a sentence; the full stop in 3.14 has no white space after it
    rf"|(?<![。！？])[。！？]++{_CLOSERS}*+\s*+"  # a sentence in a script without blanks
    r"|\n[^\S\n]*+\n\s*+"  # a paragraph
)
_WORD = re.compile(r"\S++\s*+")

_WORD_END, _SENTENCE_END, _PARAGRAPH_END = 0, 1, 2


def cut_document(text: str, passage_tokens: int) -> Iterator[str]:
    r"""The passages of *text*, each of at most about *passage_tokens* tokens (4 UTF-8 bytes a token, see the module).

    Joined, they are exactly *text*. White space belongs to the passage before it, where it does not count towards the
    limit; white space at the start of *text* belongs to the first passage. No passage is white space alone. A sentence
    longer than the limit is cut at white space, a longer word between characters. *text* must not be white space alone.

    >>> list(cut_document("One two. Three four.\n\nFive.", 4))
    ['One two. ', 'Three four.\n\n', 'Five.']
    """
    limit = passage_tokens * BYTES_PER_TOKEN
    start = 0
    pending: list[tuple[int, int, int]] = []  # atoms before a cut: end in text, bytes since start, strength of the end
    size = 0  # their bytes
    for end, strength in _atoms(text, limit):
        begin = pending[-1][0] if pending else start
        atom = text[begin:end]
        content = len(atom.rstrip().encode())
        while pending and size + content > limit:
            cut = _best_cut(pending, limit)
            stop, taken, _ = pending[cut]
            yield text[start:stop]
            start, size = stop, size - taken
            pending = [(at, since - taken, kind) for at, since, kind in pending[cut + 1 :]]
        size += len(atom.encode())
        pending.append((end, size, strength))
    yield text[start:]


def _best_cut(pending: list[tuple[int, int, int]], limit: int) -> int:
    """The index of the strongest end in the second half of a full passage, the last of equal ones; else the last end.

    The first half is not cut, or a heading would become a passage of three tokens.
    """
    return max(range(len(pending)), key=lambda i: (pending[i][2] if 2 * pending[i][1] >= limit else 0, i))


def _atoms(text: str, limit: int) -> Iterator[tuple[int, int]]:
    """Ends of the parts that are never cut, with the strength of each end.

    The parts are sentences, or pieces of a sentence longer than *limit* bytes. Each but the first starts with a
    character that is not white space.
    """
    start = 0
    for end, strength in _units(text):
        yield from _pieces(text, start, end, strength, limit)
        start = end


def _units(text: str) -> Iterator[tuple[int, int]]:
    """Ends of sentences and paragraphs, with the strength of each."""
    lead = len(text) - len(text.lstrip())
    end = lead
    for match in _UNIT_END.finditer(text, lead):
        end = match.end()
        yield end, _PARAGRAPH_END if match.group().count("\n") > 1 else _SENTENCE_END
    if end < len(text):
        yield len(text), _PARAGRAPH_END


def _pieces(text: str, start: int, end: int, strength: int, limit: int) -> Iterator[tuple[int, int]]:
    """The end of a unit; before it the ends of words if it is longer than *limit* bytes, and cuts within long words."""
    if len(text[start:end].strip().encode()) > limit:
        for match in _WORD.finditer(text, start, end):
            yield from ((at, _WORD_END) for at in _character_cuts(match.group(), match.start(), limit))
            if match.end() < end:
                yield match.end(), _WORD_END
    yield end, strength


def _character_cuts(word: str, start: int, limit: int) -> Iterator[int]:
    """Where a word of more than *limit* bytes, without trailing white space, is cut into pieces of at most *limit*."""
    raw = word.rstrip().encode()
    at, position = 0, start
    while len(raw) - at > limit:
        stop = at + limit
        while raw[stop] & 0xC0 == 0x80:  # a continuation byte: go back to the start of its character
            stop -= 1
        position += len(raw[at:stop].decode())
        at = stop
        yield position
