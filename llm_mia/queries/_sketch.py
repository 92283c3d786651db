"""Sketches of prompts: two prompts that share much of their text have sketches that agree in many places."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SKETCH_SIZE", "sketch_prompts"]

SKETCH_SIZE = 64
"""Places of a sketch."""
SHINGLE_BYTES = 24


def sketch_prompts(prompts: Sequence[str], key: bytes) -> NDArray[np.uint32]:
    """MinHash sketches of the texts, shape (texts, `SKETCH_SIZE`).

    The share of places in which two sketches agree estimates the Jaccard similarity of the sets of substrings of 24
    bytes (lower case, each run of white space a blank); its standard deviation is at most 1/16. Whoever lacks *key*
    cannot compute the sketch of a text (Broder 1997, "On the resemblance and containment of documents").

    Args:
        prompts: the texts.
        key: a secret; sketches of different keys do not agree.
    """
    seeds = np.frombuffer(hashlib.shake_128(key).digest(8 * SKETCH_SIZE), np.uint64) | np.uint64(1)
    return (
        np.stack([_sketch(prompt, seeds) for prompt in prompts]) if prompts else np.empty((0, SKETCH_SIZE), np.uint32)
    )


def _sketch(prompt: str, seeds: NDArray[np.uint64]) -> NDArray[np.uint32]:
    data = " ".join(prompt.lower().split()).encode()
    shingles = {data[at : at + SHINGLE_BYTES] for at in range(max(1, len(data) - SHINGLE_BYTES + 1))}
    hashes = np.array([int.from_bytes(hashlib.blake2b(each, digest_size=8).digest(), "little") for each in shingles])
    return ((hashes.astype(np.uint64)[:, None] * seeds) >> np.uint64(32)).min(0).astype(np.uint32)
