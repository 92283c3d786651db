"""The block of data in a page: gzip members in base64, a line each, of which a reader decodes only what it needs.

    line 0                an index in JSON: what the page lists and sorts
    line 1, 3, 5, …       the texts of `PER_CHUNK` passages, in JSON
    line 2, 4, 6, …       the tokens of the same passages

A line of tokens holds, after gzip: the length of its JSON in 4 bytes (little-endian), the JSON, and planes of bytes.
The JSON says how many tokens each passage has, in ``n``. A plane holds a byte for each token of all these passages;
values of two bytes lie in two planes, the low bytes and then the high bytes, which compress better apart:

    plane    holds                                                                        not known
    0, 1     length of the token in UTF-16 units, as JavaScript counts; 0 where a token
             shares its first character with the token before it
    2, 3     −log-probability under the target, in steps of `Steps.logprob`                65535
    4        entropy of the next token under the target, in steps of `Steps.entropy`       255
    5, 6     how many tokens are strictly likelier, at most 65534                          65535
    7, 8     planes 2 and 3 of the reference, less those of the target, modulo 65536;
             left out where the reference divides the texts into other tokens
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "PER_CHUNK",
    "Steps",
    "Tokens",
    "as_base64",
    "decode_tokens",
    "encode_tokens",
    "packed",
    "unpacked",
    "utf16_lengths",
]

LEVEL = 6
"""Of gzip: 9 takes three times as long, and saves 0.4 %."""
PER_CHUNK = 64
"""Passages that are decoded at once."""
MANY_TOKENS = 1_000_000
"""With more tokens, their figures are rounded more, so that a page of 10,000 passages stays below 25 MB."""
UNKNOWN, UNLIKELY = 65_535, 65_534
"""In planes of two bytes: not known; and the largest value, which stands for all above, −∞ included."""
UNKNOWN_BYTE = 255

Ints = NDArray[np.int64]


class Steps(NamedTuple):
    """To what figures of tokens are rounded, nats: the error is at most half a step, up to `UNLIKELY` steps."""

    logprob: float = 0.01
    entropy: float = 0.05

    @classmethod
    def of(cls, tokens: int) -> Steps:
        """For so many tokens in all."""
        return cls() if tokens <= MANY_TOKENS else cls(0.05, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The tokens of a passage as a page shows them; arrays of shape (tokens,)."""

    lengths: Ints
    """In UTF-16 units."""
    logprob: NDArray[np.float64]
    """Under the target, nats; NaN where it is not known."""
    entropy: NDArray[np.float64]
    """Of the next token under the target, nats; NaN where it is not known."""
    rank: Ints
    """−1 where it is not known."""
    reference: NDArray[np.float64] | None = None
    """Log-probability under the reference; None where that has other tokens."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else belongs to the passage, in JSON."""

    def __len__(self) -> int:
        return len(self.lengths)


def packed(data: bytes) -> str:
    """*data* as gzip in base64, in a line; the same bytes always give the same line."""
    return as_base64(gzip.compress(data, compresslevel=LEVEL, mtime=0))


def unpacked(line: str) -> bytes:
    """What `packed` was given."""
    return gzip.decompress(base64.b64decode(line))


def as_base64(data: bytes) -> str:
    """*data* in base64."""
    return base64.b64encode(data).decode("ascii")


def utf16_lengths(text: str, ends: ArrayLike) -> Ints:
    """The length in UTF-16 units of each token of *text* that ends at a character of *ends*, which never decrease.

    >>> utf16_lengths("a😀b", [1, 2, 2, 3]).tolist()
    [1, 2, 0, 1]
    """
    units = 1 + (np.frombuffer(text.encode("utf-32-le"), dtype="<u4") > 0xFFFF)
    until = np.concatenate([[0], np.cumsum(units)]).astype(np.int64)
    return np.diff(until[np.minimum(np.asarray(ends, dtype=np.int64), len(text))], prepend=0)


def encode_tokens(passages: Sequence[Tokens], steps: Steps) -> bytes:
    """The tokens of several passages, of which all or none have a reference, before gzip; see above."""
    target = _rounded([each.logprob for each in passages], steps.logprob)
    planes = [
        *_two_bytes(np.minimum(_joined([each.lengths for each in passages]), UNKNOWN)),
        *_two_bytes(target),
        _entropies([each.entropy for each in passages], steps.entropy),
        *_two_bytes(_ranks([each.rank for each in passages])),
    ]
    references = [each.reference for each in passages if each.reference is not None]
    if references:
        planes += _two_bytes((_rounded(references, steps.logprob) - target) % (UNKNOWN + 1))
    facts = {
        "n": [len(each) for each in passages],
        "reference": bool(references),
        "passages": [each.facts for each in passages],
    }
    head = json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return struct.pack("<I", len(head)) + head + b"".join(plane.tobytes() for plane in planes)


def decode_tokens(data: bytes, steps: Steps) -> Iterator[Tokens]:
    """What `encode_tokens` was given, as exactly as it is kept: what ``page.js`` reads, for tests and other readers."""
    (size,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + size])
    total = sum(head["n"])
    shape = 9 if head["reference"] else 7, total
    planes = np.frombuffer(data, dtype=np.uint8, offset=4 + size).reshape(shape).astype(np.int64)
    target = planes[2] + 256 * planes[3]
    entropy = np.where(planes[4] == UNKNOWN_BYTE, np.nan, steps.entropy * planes[4])
    rank = planes[5] + 256 * planes[6]
    reference = (planes[7] + 256 * planes[8] + target) % (UNKNOWN + 1) if head["reference"] else None
    at = 0
    for n, facts in zip(head["n"], head["passages"], strict=True):
        here = slice(at, at + n)
        yield Tokens(
            lengths=(planes[0] + 256 * planes[1])[here],
            logprob=_nats(target[here], steps.logprob),
            entropy=entropy[here],
            rank=np.where(rank == UNKNOWN, -1, rank)[here],
            reference=None if reference is None else _nats(reference[here], steps.logprob),
            facts=facts,
        )
        at += n


def _joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0), *arrays])


def _rounded(logprobs: Iterable[NDArray[np.float64]], step: float) -> Ints:
    values = -_joined(logprobs) / step
    return np.where(np.isnan(values), UNKNOWN, np.rint(np.clip(np.nan_to_num(values), 0, UNLIKELY))).astype(np.int64)


def _nats(steps: Ints, step: float) -> NDArray[np.float64]:
    return np.where(steps == UNKNOWN, np.nan, np.where(steps == UNLIKELY, -np.inf, -step * steps))


def _entropies(entropies: Iterable[NDArray[np.float64]], step: float) -> NDArray[np.uint8]:
    values = _joined(entropies) / step
    return np.where(np.isnan(values), UNKNOWN_BYTE, np.rint(np.clip(values, 0, UNKNOWN_BYTE - 1))).astype(np.uint8)


def _ranks(ranks: Iterable[Ints]) -> Ints:
    values = _joined(ranks)
    return np.where(values < 0, UNKNOWN, np.minimum(values, UNLIKELY)).astype(np.int64)


def _two_bytes(values: NDArray[Any]) -> list[NDArray[np.uint8]]:
    whole = values.astype(np.int64)
    return [(whole & 255).astype(np.uint8), (whole >> 8).astype(np.uint8)]
