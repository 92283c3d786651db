"""Texts that are longer than a window: cut into pieces for their tokens, and into windows again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from ...records import IntArray

__all__ = ["LongTexts", "pieces_of"]

MOST_BYTES = 1 << 24
"""Bytes of long texts that are remembered: those of the blocks that are under way."""


def pieces_of(text: str, most: int) -> list[str]:
    """*text* in pieces of at most *most* bytes, each but the first beginning with white space if there is any.

    No tokenizer cuts less than a byte, so a piece has at most *most* tokens. Tokenizers begin tokens with white space,
    so the tokens of the pieces are those of the text, but for rare exceptions.

    >>> pieces_of("ab cde fg", 6)
    ['ab', ' cde', ' fg']
    """
    pieces, start = list[str](), 0
    while start < len(text):
        end = start + len(text[start : start + most].encode()[:most].decode(errors="ignore"))
        if end < len(text):
            at = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
            end = at if at > start else end
        pieces.append(text[start:end])
        start = end
    return pieces


class LongTexts:
    """Remembers long texts with their tokens, so that the text of a window is known with what follows it."""

    def __init__(self) -> None:
        self._texts: deque[tuple[bytes, IntArray, bytes]] = deque()
        self._bytes = 0

    def add(self, ids: IntArray, ends: IntArray, text: bytes) -> None:
        """Remember a text; the oldest are forgotten."""
        self._texts.append((ids.tobytes(), ends, text))
        self._bytes += len(text)
        while self._bytes > MOST_BYTES and len(self._texts) > 1:
            self._bytes -= len(self._texts.popleft()[2])

    def text_of(self, tokens: IntArray, token_bytes: Mapping[int, bytes]) -> tuple[bytes, IntArray]:
        """The bytes to send for the window *tokens*, shape (n,), and where each token ends in them.

        The text begins with a whole character. It ends with the word in which the window ends, so that the last token
        of the window is cut as in the whole text.
        """
        needle = tokens.astype(np.int32).tobytes()
        for ids, ends, text in self._texts:
            at = ids.find(needle)
            while at >= 0 and at % 4:
                at = ids.find(needle, at + 1)
            if at >= 0:
                first = at // 4
                start = int(ends[first - 1]) if first else 0
                last = int(ends[first + len(tokens) - 1])
                return _whole_characters(text, start, last, ends[first : first + len(tokens)])
        data = b"".join(token_bytes[token] for token in tokens.tolist())
        ends = np.cumsum([len(token_bytes[token]) for token in tokens.tolist()], dtype=np.int32)
        return _whole_characters(data, 0, len(data), ends)


def _whole_characters(text: bytes, start: int, last: int, ends: IntArray) -> tuple[bytes, IntArray]:
    while start < last and 128 <= text[start] < 192:  # within a character
        start += 1
    stop = last
    if stop < len(text) and text[stop : stop + 1].strip():
        while stop < len(text) and text[stop : stop + 1].strip() and stop - last < 64:
            stop += 1
    while stop < len(text) and 128 <= text[stop] < 192:
        stop += 1
    return text[start:stop], np.maximum(ends - start, 0).astype(np.int32)
