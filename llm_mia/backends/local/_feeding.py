"""Feeds a prompt and, token by token, what follows it; keys and values are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...records import IntArray

if TYPE_CHECKING:
    from ._backend import LocalBackend

__all__ = ["feed", "feed_prompt", "padded_length"]


def padded_length(backend: LocalBackend, prompt: int, whole: int) -> int | None:
    """The length to which every input is padded, where a prompt of *prompt* tokens grows to *whole*; None: to none.

    Where the model computes the whole in another way than the prompt, every input is padded to the whole's length, and
    no cache is used: it would hold keys of both ways.
    """
    rule = backend.forward.length_rule(whole, backend.tolerance)
    return whole if rule.group(prompt) != rule.group(whole) else None


def feed_prompt(backend: LocalBackend, prompt: IntArray, rows: int, padded: int | None) -> tuple[Tensor, Tensor, Any]:
    """The *prompt*, fed once, in *rows* rows; the logits after it, shape (rows, vocabulary); and the model's cache."""
    ids = torch.from_numpy(prompt).long().to(backend.device)[None]
    logits, cache = feed(backend, ids, None, padded)
    if rows > 1 and cache is not None:
        cache.batch_repeat_interleave(rows)
    return ids.expand(rows, -1), logits.expand(rows, -1), cache


def feed(backend: LocalBackend, ids: Tensor, cache: Any, padded: int | None) -> tuple[Tensor, Any]:
    """The logits after *ids*, shape (rows, vocabulary), and a cache; None for a model without a cache of keys.

    With *padded*, ids follow to that length, which a causal model does not look at, and there is no cache.
    """
    last = ids.shape[1] - 1
    if padded is not None:
        ids = torch.nn.functional.pad(ids, (0, padded - ids.shape[1]))
    # Only the last token of a prompt needs logits, so the head is not applied to the others.
    model = backend.model if backend.head is None else backend.model.base_model
    backend.forward.forget_lengths()
    arguments = {} if cache is None else {"past_key_values": cache}
    output = model(input_ids=ids, use_cache=padded is None, **arguments)
    # Some architectures keep another kind of state: then all tokens are fed again for every new token.
    cache = getattr(output, "past_key_values", None)
    cache = cache if padded is None and hasattr(cache, "batch_repeat_interleave") else None
    if backend.head is None:
        return output.logits[:, last].float() / backend.info.temperature, cache
    states = output.last_hidden_state[:, last].to(backend.head.weight.device)
    return backend.head.logits(states).float() / backend.info.temperature, cache
