"""A prefix that stands before every window: read once, then kept as keys and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from ...records import IntArray
from ._memory import out_of_memory

__all__ = ["PrefixCache", "ReadPrefix", "read_prefix"]

# What a token of the prefix adds to a window's share of a batch. Of a token that is fed, a layer holds some thirty
# vectors at once; of one that is kept, a key and a value, and both again where heads share them.
SHARE = 8


class PrefixCache(DynamicCache):  # type: ignore[misc]
    """Records the first forward pass; from then on sets its start before every row of every batch, and stays as it is.

    All keys are kept, those beyond a sliding window too: masks go by position, and then one length fits every layer.
    Only the methods that models ask are overridden; they are the same from transformers 4.48 to 5.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[int, tuple[Tensor, Tensor]] = {}
        self._length = 0

    def hold(self, length: int) -> None:
        """End the recording, and keep its first *length* positions."""
        # Clones, or what comes after them would stay in memory as well.
        self._held = {
            layer: (keys[..., :length, :].clone(), values[..., :length, :].clone())
            for layer, (keys, values) in self._held.items()
        }
        self._length = length

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """The keys and values to attend to in one layer: the prefix's, shared by all rows, and then the row's own."""
        if not self._length:
            self._held[layer_idx] = key_states, value_states
            return key_states, value_states
        keys, values = self._held[layer_idx]
        return _behind(keys, key_states), _behind(values, value_states)

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """How many positions come before the tokens that are fed."""
        return self._length

    def get_mask_sizes(self, query: int | Tensor, *_: Any, **__: Any) -> tuple[int, int]:
        """How many keys there are for *query* tokens (their positions, in transformers 4), and where they begin."""
        return self._length + (query if isinstance(query, int) else len(query)), 0


def _behind(kept: Tensor, new: Tensor) -> Tensor:
    return torch.cat([kept.expand(len(new), *kept.shape[1:]), new], dim=-2)


@dataclass(frozen=True, slots=True, eq=False)
class ReadPrefix:
    """What is kept of a prefix."""

    tokens: IntArray
    """Shape (n,)."""
    last: Tensor
    """Shape (1, width): the state (or the logits) after its last token, which predicts a window's first one."""
    cache: PrefixCache | None
    """None where the model does not go on from one as it should: then the prefix is fed with every window."""
    longest: int
    """Windows of at most so many tokens were tried."""

    def serves(self, prefix: IntArray, longest: int) -> bool:
        """Whether it is the one to put before windows of up to *longest* tokens."""
        return np.array_equal(self.tokens, prefix) and (self.cache is None or longest <= self.longest)

    @property
    def cost(self) -> int:
        """What it adds to a window in a batch, in tokens."""
        return -(-len(self.tokens) // SHARE)


States: TypeAlias = Callable[[Tensor, PrefixCache], Tensor]


@torch.inference_mode()
def read_prefix(states: States, prefix: IntArray, window: IntArray, tolerance: float) -> ReadPrefix:
    """Feed *prefix* with *window* behind it, once, and try whether the window alone gives the same after what was kept.

    The window should be the longest there is: sliding windows, and positions that are scaled with the length, only
    show at their own length. State-space layers keep something else than keys, and differ here as well.

    Args:
        states: ids, shape (batch, tokens), and a cache → states, shape (batch, tokens, width).
        prefix: token ids, shape (n,), n ≥ 1.
        window: token ids, shape (m,), m ≥ 1.
        tolerance: how far the states of a token may differ, as a share of their norm.
    """
    ids = torch.from_numpy(np.concatenate([prefix, window])).long()[None]
    cache = PrefixCache()
    try:
        whole = states(ids, cache)[0]
        cache.hold(len(prefix))
        # Twice, for some models would go on from a cache of one row with one row only.
        again = states(ids[:, len(prefix) :].expand(2, -1), cache)
    except Exception as error:  # a model without such a cache fails in a way of its own; the prefix is fed whole then
        if out_of_memory(error):
            raise
        return ReadPrefix(prefix, torch.empty(0), None, len(window))
    expected = whole[len(prefix) :].float()
    apart = (again.float() - expected).norm(dim=-1) / expected.norm(dim=-1)
    # NaN is no proof either.
    same = bool((apart <= tolerance).all())
    return ReadPrefix(prefix, whole[len(prefix) - 1, None].clone(), cache if same else None, len(window))
