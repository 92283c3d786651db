"""Rewritten versions of a passage without a model: words dropped, words exchanged, the same ones wherever it is run.

What is drawn depends on the text, the number of the version and the seed, and on nothing else: SHA-256 and SHAKE-256
are the only generator, so no release of Python or numpy, no order of calls and no platform changes a version.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable

from .errors import UsageError

__all__ = ["UNSPACED", "draws", "neighbour", "some", "swapped"]

# Thai to Tibetan, Burmese, Khmer, Japanese and Chinese put no space between words: there each character is a unit.
UNSPACED = (
    "\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
WORD = re.compile(rf"([{UNSPACED}]|[^\s{UNSPACED}]+)")
ASCII_WORD = re.compile(r"(\S+)")  # the same there, in a third of the time
CHARACTER = re.compile(r"(\S)")


def neighbour(text: str, number: int, *, seed: int = 0, share: float = 0.1) -> str:
    """Version *number* of *text*: a share of its words (one at least) is touched, half of them dropped, half moved.

    A word that is moved changes places with the one beside it. Of two gaps that a dropped word leaves the longer stays,
    so paragraphs stay apart. A text of one word loses or moves some of its characters instead; one of a single
    character (or of none) stays as it is. Any other comes back shorter, and never empty.

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
    places = some(count, n, draws(f"neighbour {seed} {number}", text, count))
    dropped = {*places[: (count + 1) // 2]}
    for i in places[(count + 1) // 2 :]:
        j = i + 1 if i + 1 < n else i - 1
        words[i], words[j] = words[j], words[i]
    parts, first = _woven(words, gaps), 0
    for i in sorted(dropped):
        before, after = parts[2 * i], parts[2 * i + 2]
        parts[2 * i] = parts[2 * i + 1] = ""
        if i == first:  # what opens the text goes on opening it
            parts[2 * i + 2], first = before, i + 1
        elif i < n - 1:
            parts[2 * i + 2] = max(before, after, key=len)
    return "".join(parts)


def swapped(text: str, number: int, *, seed: int = 0, share: float = 0.3) -> str:
    """Version *number* of *text*, with two words exchanged ⌊share · words⌋ times (once at least): 2405.11930.

    Gaps stay where they are. Both words of an exchange stand in different places, and a version in which the exchanges
    cancelled out gets one more; the authors' code (yyy01/PAC, ``src/eda.py``) gives up after some tries, which can
    leave a short text as it was, and calls words only what stands between single spaces. A text of one word exchanges
    its characters instead; one without two unlike words or characters stays as it is.

    Raises:
        UsageError: *share* is not in (0, 1].

    >>> swapped("one two  three", 0), swapped("one two  three", 1)
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
    return "".join(_woven(words, gaps))


def draws(key: str, text: str, count: int) -> list[int]:
    """*count* numbers, each even over 0 … 2⁶⁴ − 1, that depend on *key* and *text* only.

    >>> draws("a", "text", 2) == draws("a", "text", 3)[:2] != draws("b", "text", 2)
    True
    """
    # A lone surrogate is no text that could be encoded, but may not stop anybody.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return list(struct.unpack(f"<{count}Q", hashlib.shake_256(digest + key.encode()).digest(8 * count)))


def some(count: int, n: int, numbers: Iterable[int]) -> list[int]:
    """*count* different ones of 0 … n − 1 in an order as even as *numbers* (one each; see `draws`).

    >>> some(3, 10, [0, 0, 0]), some(3, 3, [2, 1, 0])
    ([0, 1, 2], [2, 0, 1])
    """
    left = list(range(n))
    for i, number in zip(range(count), numbers, strict=True):
        j = i + number % (n - i)
        left[i], left[j] = left[j], left[i]
    return left[:count]


def _units(text: str) -> tuple[list[str], list[str]]:
    """The words (of a text of one word its characters), and the gaps around them: one more."""
    parts = (ASCII_WORD if text.isascii() else WORD).split(text)
    if len(parts) < 5:
        parts = CHARACTER.split(text)
    return parts[1::2], parts[::2]


def _woven(words: list[str], gaps: list[str]) -> list[str]:
    parts = [*gaps, *words]
    parts[::2], parts[1::2] = gaps, words
    return parts


def _checked(share: float) -> float:
    if not 0 < share <= 1:
        raise UsageError(f"`share` must lie between 0 and 1, 0 excluded: got {share}")
    return share
