"""Which shadow model is trained on which documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

__all__ = ["FEWEST_SHADOWS", "draw_halves"]

FEWEST_SHADOWS = 4
"""With 4, a shadow in the target's place is compared with a shadow of each kind."""


def draw_halves(sizes: Sequence[int], shadows: int, seed: int) -> NDArray[np.bool_]:
    """Which of the *shadows* are trained on each group of documents, shape (groups, shadows): half of them.

    Theorem. The set of the shadows of a group is uniform among the sets of half of the shadows. The number of documents
    of each shadow differs from half of the documents by at most half of the largest group; so it is exactly half of an
    even number of groups of equal size.

    Proof. Groups are put into pairs. The first of a pair gets a random half of the shadows, and the second gets the
    other half, so both are uniform. Each shadow has exactly 1 group of each pair. Pairs are drawn among groups of
    descending sizes s₁ ≥ s₂ ≥ …, so the differences within pairs, and the last group without a partner, add up to at
    most s₁. Groups of different pairs are independent, and the pairs of groups of equal size are random.

    Args:
        sizes: the number of documents of each group; the documents of a group go together.
        shadows: how many shadow models there are.
        seed: of the draw.

    Raises:
        UsageError: *shadows* is odd, or below `FEWEST_SHADOWS`.

    >>> draw_halves([1, 1, 1, 1], shadows=4, seed=0).sum(axis=0).tolist()
    [2, 2, 2, 2]
    """
    if shadows < FEWEST_SHADOWS or shadows % 2:
        raise UsageError(f"`shadows` is {shadows}: it must be even, and at least {FEWEST_SHADOWS}")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(sizes))
    order = shuffled[np.argsort(-np.asarray(sizes, dtype=np.int64)[shuffled], kind="stable")]
    half = np.arange(shadows) < shadows // 2
    drawn = rng.permuted(np.tile(half, (-(-len(sizes) // 2), 1)), axis=1)
    inside = np.zeros((len(sizes), shadows), dtype=np.bool_)
    inside[order[::2]] = drawn
    inside[order[1::2]] = ~drawn[: len(sizes) // 2]
    return inside
