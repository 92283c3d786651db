r"""Tokens as a server writes them → where each ends in the bytes of the text.

A token may be a part of a character. Servers then write ``\ufffd``, the empty string, or ``bytes:\xe2\x80``. The bytes
of such a token follow from the text: they are what no other token spells. Where two such tokens share the bytes, each
gets an equal part; this changes no score, only which bytes the id of a token is derived from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

__all__ = ["token_ends"]

BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+|[^\\]+|\\")
HOLE = "\ufffd"
HOLES = re.compile(f"({HOLE}+)")
PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_ends(tokens: Sequence[str], text: bytes) -> list[int] | None:
    r"""Where each of *tokens* ends in *text*, in bytes; None where they do not spell it.

    >>> token_ends(["a", "\ufffd", "\ufffd", " b"], "aé b".encode())
    [1, 2, 3, 5]
    >>> token_ends(["a", "", " b"], "aé b".encode()), token_ends(["a", " b"], b"a c")
    ([1, 3, 5], None)
    """
    parts = [_parts(token) for token in tokens]
    last = list(accumulate(map(len, parts)))  # of each token, where its parts end in the list of all parts
    ends = _ends([part for of_token in parts for part in of_token], text)
    if ends is not None:
        return [ends[at - 1] for at in last]
    for spelled in (_byte_level, _sentencepiece):
        written = spelled(tokens)
        if written is not None and (ends := _ends(written, text)) is not None:
            return ends
    return None


Written = list[bytes | None]
"""The bytes of each token, or part of one; None where the server shows none that can be trusted."""


def _parts(token: str) -> Written:
    """The parts of a token: those that it shows, and None for those that are parts of characters."""
    if token.startswith("bytes:"):
        parts = BYTES.findall(token.removeprefix("bytes:"))
        return [b"".join(bytes.fromhex(p.replace("\\x", "")) if p.startswith("\\x") else p.encode() for p in parts)]
    shown = [None if part.startswith(HOLE) else part.encode() for part in HOLES.split(token) if part]
    return shown or [None]


def _byte_level(tokens: Sequence[str]) -> Written | None:
    """Tokens in the alphabet in which byte-level vocabularies write bytes, such as ``Ġthe``."""
    alphabet = _alphabet()
    if not any(character in token for token in tokens for character in "ĠĊ"):
        return None
    if any(character not in alphabet for token in tokens for character in token):
        return None
    return [bytes(alphabet[character] for character in token) or None for token in tokens]


@lru_cache(maxsize=1)
def _alphabet() -> dict[str, int]:
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _sentencepiece(tokens: Sequence[str]) -> Written | None:
    """Tokens as SentencePiece writes them, such as ``▁the`` and ``<0xE2>``."""
    if not any("▁" in token or PIECE.fullmatch(token) for token in tokens):
        return None
    spelled = []
    for token in tokens:
        piece = PIECE.fullmatch(token)
        spelled.append(bytes([int(piece[1], 16)]) if piece else token.replace("▁", " ").encode() or None)
    return spelled


def _ends(written: Written, text: bytes) -> list[int] | None:
    """The ends of tokens that are *written* so; tried are, in order, the ways in which unknown bytes may be placed."""
    failed: set[tuple[int, int]] = set()
    # A way is a token, where it begins, and the ends so far; the last is tried first.
    open_ways: list[tuple[int, int, list[int]]] = [(0, 0, [])]
    while open_ways:
        at, start, ends = open_ways.pop()
        if at == len(written):
            if start == len(text):
                return ends
            continue
        if (at, start) in failed:
            continue
        failed.add((at, start))
        following: Callable[[Written, bytes, int, int], Iterator[list[int]]] = (
            _known if written[at] is not None else _unknown
        )
        for more in reversed(list(following(written, text, at, start))):
            open_ways.append((at + len(more), more[-1], [*ends, *more]))
    return None


def _known(written: Written, text: bytes, at: int, start: int) -> Iterator[list[int]]:
    token = written[at]
    assert token is not None
    if text.startswith(token, start):
        yield [start + len(token)]
    if at == 0 and token[:1] == b" " and text.startswith(token[1:], start) and len(token) > 1:
        yield [start + len(token) - 1]  # SentencePiece puts a space before a text
    if at == 0 and text[:1] == b" " and text.startswith(token, 1):
        yield [1 + len(token)]  # and some servers drop the space of the first token
    for skipped in _skips(text, start, 1):  # bytes of an incomplete character that the server has dropped
        if text.startswith(token, start + skipped):
            yield [start + skipped + len(token)]


def _unknown(written: Written, text: bytes, at: int, start: int) -> Iterator[list[int]]:
    """The ends of the unknown tokens from *at* on, up to the next token whose bytes are known."""
    stop = next((i for i in range(at, len(written)) if written[i] is not None), len(written))
    count, token = stop - at, written[stop] if stop < len(written) else None
    for skipped in _skips(text, start, count):
        if (token is None and start + skipped == len(text)) or (
            token is not None and text.startswith(token, start + skipped)
        ):
            yield [start + skipped * (i + 1) // count for i in range(count)]
    if start == 0 or text[start : start + 1] > b"\x7f":
        yield [start] * count  # a server that writes the whole character with the token that completes it


def _skips(text: bytes, start: int, least: int) -> Iterator[int]:
    """Numbers of bytes from *start* on, at least *least*, that belong to characters of several bytes."""
    end = start
    while end < len(text) and text[end] >= 128:
        end += 1
        if end - start >= least:
            yield end - start
