"""Rewritten versions of a passage, without a model: words dropped, moved or exchanged, reproducibly.

A version depends only on the text, the number of the version and the seed. The random numbers come from SHA-256 and
SHAKE-256 alone, so a version is the same on every platform, with every release of Python and numpy, and in any order of
calls.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable

from .errors import UsageError

__all__ = ["UNSPACED", "choose", "draws", "neighbour", "swap_words"]

# Scripts without spaces between words (Thai to Tibetan, Burmese, Khmer, Japanese, Chinese): each character is a unit.
UNSPACED = (
    "\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
WORD = re.compile(rf"([{UNSPACED}]|[^\s{UNSPACED}]+)")
ASCII_WORD = re.compile(r"(\S+)")  # the same for ASCII text, in a third of the time
CHARACTER = re.compile(r"(\S)")


def neighbour(text: str, number: int, *, seed: int = 0, share: float = 0.1) -> str:
    """Version *number* of *text*: a share of its words, at least 1, is changed; half of them are dropped, half moved.

    A moved word changes places with the next word. Of the two gaps around a dropped word, the longer is kept, so
    paragraphs remain separate. In a text of a single word, characters are dropped or moved instead. A text of a single
    character, or without any, is returned unchanged. Every other version is shorter than the text, and never empty.

    Raises:
        UsageError: *share* is not in (0, 1].

    >>> neighbour("one two  three", 0), neighbour("one two  three", 2)
    ('one  three', 'two  three')
    """
    words, gaps = _units(text)
    n = len(words)
    if n < 2:
        return text
    count = max(1, int(_checked(share) * n + 0.5))
    places = choose(count, n, draws(f"neighbour {seed} {number}", text, count))
    dropped = {*places[: (count + 1) // 2]}
    for i in places[(count + 1) // 2 :]:
        j = i + 1 if i + 1 < n else i - 1
        words[i], words[j] = words[j], words[i]
    parts, first = _interleave(words, gaps), 0
    for i in sorted(dropped):
        before, after = parts[2 * i], parts[2 * i + 2]
        parts[2 * i] = parts[2 * i + 1] = ""
        if i == first:  # the gap before the first word is kept
            parts[2 * i + 2], first = before, i + 1
        elif i < n - 1:
            parts[2 * i + 2] = max(before, after, key=len)
    return "".join(parts)


def swap_words(text: str, number: int, *, seed: int = 0, share: float = 0.3) -> str:
    """Version *number* of *text*, with two words exchanged ⌊share · words⌋ times, at least once (arXiv:2405.11930).

    Gaps stay in place. The two words of an exchange are at different places, and if all exchanges together cancel out,
    there is another. The authors' code (yyy01/PAC, ``src/eda.py``) stops after some attempts, which can leave a short
    text unchanged, and splits words at single spaces only. In a text of a single word, characters are exchanged
    instead. A text without two different words or characters is returned unchanged.

    Raises:
        UsageError: *share* is not in (0, 1].

    >>> swap_words("one two  three", 0), swap_words("one two  three", 1)
    ('two one  three', 'three two  one')
    """
    words, gaps = _units(text)
    n = len(words)
    if n < 2:
        return text
    before = [*words]
    count = max(1, int(_checked(share) * n + 1e-9))
    numbers = iter(draws(f"swapped {seed} {number}", text, 2 * count))
    for a, b in zip(numbers, numbers, strict=True):
        i = a % n
        j = (i + 1 + b % (n - 1)) % n
        words[i], words[j] = words[j], words[i]
    if words == before:
        i = next((i for i in range(n - 1) if words[i] != words[i + 1]), 0)
        words[i], words[i + 1] = words[i + 1], words[i]
    return "".join(_interleave(words, gaps))


def draws(key: str, text: str, count: int) -> list[int]:
    """*count* pseudo-random numbers, uniform over 0 … 2⁶⁴ − 1, that depend only on *key* and *text*.

    >>> draws("a", "text", 2) == draws("a", "text", 3)[:2] != draws("b", "text", 2)
    True
    """
    # A lone surrogate cannot be encoded as UTF-8, but must not raise an error here.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return list(struct.unpack(f"<{count}Q", hashlib.shake_256(digest + key.encode()).digest(8 * count)))


def choose(count: int, n: int, numbers: Iterable[int]) -> list[int]:
    """*count* different integers of 0 … n − 1 in random order, chosen by as many random *numbers* (see `draws`).

    >>> choose(3, 10, [0, 0, 0]), choose(3, 3, [2, 1, 0])
    ([0, 1, 2], [2, 0, 1])
    """
    order = list(range(n))
    for i, number in zip(range(count), numbers, strict=True):
        j = i + number % (n - i)
        order[i], order[j] = order[j], order[i]
    return order[:count]


def _units(text: str) -> tuple[list[str], list[str]]:
    """The words, and the gaps before, between and after them; in a text of a single word, its characters."""
    parts = (ASCII_WORD if text.isascii() else WORD).split(text)
    if len(parts) < 5:
        parts = CHARACTER.split(text)
    return parts[1::2], parts[::2]


def _interleave(words: list[str], gaps: list[str]) -> list[str]:
    """Gap, word, gap, …, word, gap."""
    parts = [*gaps, *words]
    parts[::2], parts[1::2] = gaps, words
    return parts


def _checked(share: float) -> float:
    if not 0 < share <= 1:
        raise UsageError(f"`share` must lie between 0 and 1, 0 excluded: got {share}")
    return share
