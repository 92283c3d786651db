"""Sketches of prompts: two prompts that share much of their text have sketches that agree in many places."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["END_LENGTHS", "SKETCH_BYTES", "Sketches", "hashed_shingles", "sketch_prompts"]

Words = NDArray[np.uint32]
MINIMA = 64
"""Places of the MinHash part."""
END_LENGTHS = tuple(32 << step for step in range(8))
"""Lengths in bytes, 32 to 4,096, of the beginnings and of the ends of a text that a sketch holds a digest of."""
STEM_STEP = 32
STEMS = 8
_ENDS = len(END_LENGTHS)
SKETCH_BYTES = 4 * (MINIMA + 2 * _ENDS + STEMS + 2)
SHINGLE = 24
READ_BYTES = 1 << 16
"""A longer text is sketched by so many of its first bytes; only the digest of the text is of the whole."""
AT_ONCE = 1 << 14
"""Bytes of text whose hashes are in memory at the same time."""
EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Sketches:
    """The parts of many sketches, a row each."""

    minima: Words
    """Shape (n, 64). The share of places in which two rows agree estimates the Jaccard similarity of the two texts."""
    beginnings: Words
    """Shape (n, 8): a digest of the first `END_LENGTHS` bytes of the folded text; 0 where the text is shorter."""
    ends: Words
    """Shape (n, 8): the same of its last bytes."""
    stems: Words
    """Shape (n, 8): digests of the beginnings whose lengths are the eight largest multiples of 32 within the text, the
    longest first; 0 where there is none. Texts that differ only in a short end have a stem in common."""
    digests: NDArray[np.uint64]
    """Shape (n,): of the text as it is, so that texts that differ only in case or white space differ here."""

    @classmethod
    def of(cls, sketches: Sequence[bytes]) -> Sketches:
        """The parts of *sketches*, which `sketch_prompts` returned under the same key.

        Raises:
            ValueError: a sketch has another length.
        """
        if set(map(len, sketches)) - {SKETCH_BYTES}:
            raise ValueError(f"a sketch has {SKETCH_BYTES} bytes, and at least one of these has another length")
        words = np.frombuffer(b"".join(sketches), "<u4").reshape(len(sketches), SKETCH_BYTES // 4)
        minima, beginnings, ends, stems, digests = np.split(words, np.cumsum([MINIMA, _ENDS, _ENDS, STEMS]), axis=1)
        return cls(minima, beginnings, ends, stems, np.ascontiguousarray(digests).view("<u8")[:, 0])


def sketch_prompts(prompts: Sequence[str], key: bytes) -> list[bytes]:
    """The sketch of each text, `SKETCH_BYTES` long; `Sketches` takes sketches apart.

    The MinHash part is about the set of substrings of 24 bytes (lower case, each run of white space a blank). The share
    of places in which two sketches agree estimates the Jaccard similarity of the sets without bias; its standard
    deviation is about 1/16 at most where both texts have a few hundred bytes, and larger for shorter texts (Broder
    1997, "On the resemblance and containment of documents"; one permutation: Li, Owen and Zhang, arXiv:1208.1259).

    Whoever has *key* can test whether a sketch is that of a text he guesses. Without *key* this is not practical, but
    the hash is built for speed: keep logs with sketches as confidential as their prompts deserve.

    Args:
        prompts: the texts.
        key: a secret; sketches of different keys do not agree.
    """
    secret = hashlib.sha256(key).digest()
    raw = [prompt.encode(errors="surrogatepass") for prompt in prompts]
    folded = [" ".join(prompt.lower().split()).encode(errors="surrogatepass")[:READ_BYTES] for prompt in prompts]
    digests = [hashlib.blake2b(text, key=secret, digest_size=8).digest() for text in raw]
    words = [_of_texts(part, secret) for part in _parts(folded)]
    return [
        row.tobytes() + digest for row, digest in zip((row for part in words for row in part), digests, strict=True)
    ]


def hashed_shingles(text: str, key: bytes) -> Words:
    """The values that the MinHash part of a sketch is taken from, of every substring of 24 bytes, sorted, each once."""
    secret = hashlib.sha256(key).digest()
    data = " ".join(text.lower().split()).encode(errors="surrogatepass")
    step = AT_ONCE
    values = [
        (
            _hashes(np.frombuffer(data[at : at + step + SHINGLE - 1].ljust(SHINGLE, b"\0"), np.uint8), secret) >> 32
        ).astype(np.uint32)
        for at in range(0, max(1, len(data) - SHINGLE + 1), step)
    ]
    return np.unique(np.concatenate(values))


def _parts(texts: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """*texts* in pieces of limited size."""
    first = size = 0
    for at, text in enumerate(texts):
        if size and size + len(text) > AT_ONCE:
            yield texts[first:at]
            first, size = at, 0
        size += len(text)
    if first < len(texts):
        yield texts[first:]


def _hashes(data: NDArray[np.uint8], secret: bytes) -> NDArray[np.uint64]:
    """A keyed hash of each window of 24 bytes of *data*, by doubling: of 1, 2, 4, 8, 16 and then 16 + 8 bytes."""
    numbers = np.frombuffer(hashlib.shake_128(secret).digest(8 * 258), "<u8").astype(np.uint64)
    base, seed = int(numbers[256]) | 1, numbers[257]
    hashes = numbers[:256][data]
    for width in (1, 2, 4, 8):
        if width == 8:
            of_eight = hashes
        hashes = hashes[:-width] * _power(base, width) + hashes[width:]
    hashes = hashes[:-8] * _power(base, 8) + of_eight[16:]
    hashes ^= seed  # then the finalizer of splitmix64, so that every bit depends on every byte
    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes


def _power(base: int, exponent: int) -> np.uint64:
    return np.uint64(pow(base, exponent, 1 << 64))


def _of_texts(texts: Sequence[bytes], secret: bytes) -> Words:
    """The sketches of folded texts without their digests, shape (n, 88)."""
    padded = [text.ljust(SHINGLE, b"\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    hashes = _hashes(np.frombuffer(b"".join(padded), np.uint8), secret)
    places, values = (hashes & np.uint64(MINIMA - 1)).astype(np.intp), (hashes >> np.uint64(32)).astype(np.uint32)
    minima = np.full((len(texts), MINIMA), EMPTY)
    for row, start, length in zip(minima, starts.tolist(), lengths.tolist(), strict=True):
        within = slice(start, start + length - SHINGLE + 1)  # the windows that lie within this text
        np.minimum.at(row, places[within], values[within])
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)])
    ends = np.broadcast_to(np.array(END_LENGTHS), (len(texts), _ENDS))
    stems = (lengths // STEM_STEP * STEM_STEP)[:, None] - STEM_STEP * np.arange(STEMS)
    wanted = np.hstack([ends, ends, stems])
    first = np.repeat(starts[:, None], wanted.shape[1], axis=1)
    first[:, _ENDS : 2 * _ENDS] += lengths[:, None] - ends
    # A digest of the wanted bytes is the sum of the hashes of the windows within them; 0 where there are fewer bytes.
    there = (wanted >= STEM_STEP) & (lengths[:, None] >= wanted)
    last = np.where(there, first + wanted - SHINGLE + 1, 0)
    total = sums[last] - sums[np.where(there, first, 0)]
    digests = np.where(there, (total >> np.uint64(32)).astype(np.uint32) | np.uint32(1), np.uint32(0))
    return np.hstack([_without_gaps(minima), digests]).astype("<u4")


def _without_gaps(minima: Words) -> Words:
    """*minima* in which each place that no substring fell into takes the value of the next place that has one."""
    for step in (1, 2, 4, 8, 16, 32):
        gaps = minima == EMPTY
        if not gaps.any():
            break
        minima = np.where(gaps, np.roll(minima, -step, axis=1), minima)
    return minima
