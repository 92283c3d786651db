"""A prefix before every window: computed once, then kept as keys and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from ...records import IntArray
from ._memory import is_out_of_memory

__all__ = ["ComputedPrefix", "PrefixCache", "compute_prefix"]

# A kept token of the prefix takes this fraction of the memory of a token that is fed. For a token that is fed, a layer
# holds about thirty vectors at once; for a kept token a key and a value, and both again where heads share them.
MEMORY_DIVISOR = 8


class PrefixCache(DynamicCache):  # type: ignore[misc]
    """Records the keys and values of the first forward pass, and then puts their start before every row of a batch.

    It does not change after that. It keeps all keys, also those before a sliding window: masks go by position, and so
    one length fits every layer. Only methods that models call are overridden; they are the same in transformers 4.48
    to 5.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[int, tuple[Tensor, Tensor]] = {}
        """Keys and values by layer, shapes (1, heads, tokens, width)."""
        self._length = 0

    def truncate(self, length: int) -> None:
        """End the recording, and keep the first *length* positions only."""
        # Clones, because views would keep the rest in memory.
        self.stored = {
            layer: (keys[..., :length, :].clone(), values[..., :length, :].clone())
            for layer, (keys, values) in self.stored.items()
        }
        self._length = length

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """The keys and values to attend to in a layer: those of the prefix, the same for all rows, and the new."""
        if not self._length:
            self.stored[layer_idx] = key_states, value_states
            return key_states, value_states
        keys, values = self.stored[layer_idx]
        return _append(keys, key_states), _append(values, value_states)

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """The number of positions before the tokens that are fed."""
        return self._length

    def get_mask_sizes(self, query: int | Tensor, *_: Any, **__: Any) -> tuple[int, int]:
        """The number of keys for *query* tokens (their positions, in transformers 4), and the first key's position."""
        return self._length + (query if isinstance(query, int) else len(query)), 0


def _append(stored: Tensor, new: Tensor) -> Tensor:
    return torch.cat([stored.expand(len(new), *stored.shape[1:]), new], dim=-2)


@dataclass(frozen=True, slots=True, eq=False)
class ComputedPrefix:
    """A prefix and what a model has computed from it."""

    tokens: IntArray
    """Shape (n,)."""
    last_state: Tensor
    """Shape (1, width): the state (or the logits) after the last token, which predicts the first token of a window."""
    cache: PrefixCache | None
    """None where the model does not continue correctly from a cache: then the prefix is fed with every window."""
    longest_window: int
    """The cache was tried with a window of this many tokens."""
    group: int
    """The cache is that of lengths in this group, see `LengthRule.group`."""

    def serves(self, prefix: IntArray, longest_window: int, group: int) -> bool:
        """Whether it can be used for *prefix* before windows of *group*, of up to *longest_window* tokens."""
        tried = self.cache is None or (longest_window <= self.longest_window and group == self.group)
        return tried and np.array_equal(self.tokens, prefix)

    @property
    def cost(self) -> int:
        """The tokens to add to the cost of each window in a batch."""
        return -(-len(self.tokens) // MEMORY_DIVISOR)


States: TypeAlias = Callable[[Tensor, PrefixCache], Tensor]


@torch.inference_mode()
def compute_prefix(states: States, prefix: IntArray, window: IntArray, tolerance: float, group: int) -> ComputedPrefix:
    """Feed *prefix* and *window* together, then check that the window alone gives the same with the cache.

    The window should be the longest that will follow: faults with sliding windows only show at that length. State-space
    layers do not keep keys, and differ here too.

    Args:
        states: computes states, shape (batch, tokens, width), from ids, shape (batch, tokens), and a cache.
        prefix: token ids, shape (n,), n ≥ 1.
        window: token ids, shape (m,), m ≥ 1.
        tolerance: the largest difference between the states of a token, as a share of their norm.
        group: the group of lengths that prefix and window belong to together, see `LengthRule.group`.
    """
    ids = torch.from_numpy(np.concatenate([prefix, window])).long()[None]
    cache = PrefixCache()
    try:
        whole = states(ids, cache)[0]
        cache.truncate(len(prefix))
        # Two rows, because some models can continue from a cache of one row with one row only.
        continued = states(ids[:, len(prefix) :].expand(2, -1), cache)
    except Exception as error:  # models without such a cache raise errors of any class
        if is_out_of_memory(error):
            raise
        return ComputedPrefix(prefix, torch.empty(0), None, len(window), group)
    expected = whole[len(prefix) :].float()
    differences = (continued.float() - expected).norm(dim=-1) / expected.norm(dim=-1)
    # False where a difference is NaN.
    same = bool((differences <= tolerance).all())
    return ComputedPrefix(prefix, whole[len(prefix) - 1, None].clone(), cache if same else None, len(window), group)
