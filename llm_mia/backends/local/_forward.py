"""The forward pass of a model: states for token ids, the lengths that it takes, and what to say where it fails."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...records import IntArray, Window
from ..moments import Head
from ._attention import QuickAttention
from ._failures import describe_failure
from ._length_checks import feed_first_layer, measure_length_rule
from ._lengths import LengthRule, forget_lengths, growing_modules, is_known
from ._memory import is_out_of_memory
from ._prefix import PrefixCache

__all__ = ["FailedWindow", "Forward"]


class FailedWindow(Exception):  # noqa: N818 - it does not leave the package
    """A window that the model fails on, with the model's error."""

    def __init__(self, window: Window, error: Exception) -> None:
        super().__init__(window, error)
        self.window, self.error = window, error


class Forward:
    """Feeds token ids to a model, which is in evaluation mode meanwhile.

    Args:
        model: a model of transformers.
        tokenizer: its tokenizer.
        device: where token ids have to be.
        name: the name in messages.
    """

    def __init__(self, model: Any, tokenizer: Any, device: torch.device, name: str) -> None:
        self.head: Head | None = None
        """Computes logits from states; None where only the model itself can compute them."""
        self._model, self._tokenizer, self._device, self._name = model, tokenizer, device, name
        self._vocabulary: int = model.config.get_text_config().vocab_size
        self._lengths = LengthRule.of(model)
        # The longest input for which the rule is known to hold; that of other code is measured when it is needed.
        self._holds_to = math.inf if is_known(model) else 0
        self._growing = growing_modules(model)
        self._checked_to = 0
        self.attention = QuickAttention(model, device)

    def states(self, ids: Tensor, head: Head | None, cache: PrefixCache | None = None) -> Tensor:
        """The input of *head*, shape (batch, tokens, width); the model's own logits where there is no head."""
        self.forget_lengths()
        # Models continue from a cache that is given, whatever use_cache is: that only asks for a new cache.
        arguments = {} if cache is None else {"past_key_values": cache}
        before = 0 if cache is None else cache.get_seq_length()
        with self.attention.within(before + ids.shape[1]):
            if head is None:
                logits: Tensor = self._model(input_ids=ids, use_cache=False, **arguments).logits
                return logits
            states: Tensor = self._model.base_model(input_ids=ids, use_cache=False, **arguments).last_hidden_state
        return states.to(head.weight)  # the device and the precision: some models keep their last state in float32

    def forget_lengths(self) -> None:
        """Undo what the model remembers of the lengths of earlier inputs."""
        forget_lengths(self._growing)

    def length_rule(self, longest: int, tolerance: float) -> LengthRule:
        """Which inputs of up to *longest* tokens may be fed together, or after the same computed prefix.

        Args:
            longest: in tokens.
            tolerance: the largest difference between the states of a token, as a share of their norm, that is rounding.

        Raises:
            ModelError: the predictions for a text depend on what was fed before.
        """
        if longest <= self._holds_to:
            return self._lengths
        try:
            self._lengths = measure_length_rule(self._feed, self._random(longest), tolerance, self._lengths)
        except ModelError as error:
            raise ModelError(f"model {self._name!r} {error}") from None
        except Exception:  # noqa: BLE001 - the model fails on this length: on a passage it fails again, with its place
            return LengthRule(separate_above=0)
        self._holds_to = longest
        return self._lengths

    def try_twice_the_length(self, ids: Tensor, expected: Tensor, tolerance: float) -> None:
        """Let `length_rule` measure, where the model computes a text differently where it is the start of another.

        That is so in ProphetNet, whose configuration does not show it.

        Args:
            ids: token ids, shape (1, n).
            expected: their logits, shape (1, n, vocabulary).
            tolerance: as for `length_rule`. Half of the tokens may differ more: rounding may send a token to another
                expert.
        """
        n = ids.shape[1]
        if self._lengths.group(n) != self._lengths.group(2 * n):
            return
        try:
            within = self.states(torch.cat([ids, ids], dim=1), None)[:, :n]
        except Exception:  # noqa: BLE001 - the model does not take the length, so no text is fed in it
            return
        alone = expected.nan_to_num(neginf=0.0)
        difference = (within.float().nan_to_num(neginf=0.0) - alone).norm(dim=-1) / alone.norm(dim=-1).clamp(min=1e-30)
        if float(difference.median()) > tolerance:
            self._holds_to = 0

    def check_length(self, tokens: int, prefix: int = 0) -> None:
        """Feed random tokens to the first layer, *tokens* of them after *prefix*; not again for fewer.

        Raises:
            ModelError: the model fails on them.
        """
        if prefix + tokens <= self._checked_to:
            return
        ids = self._random(prefix + tokens)
        try:
            self._feed_first_layer(ids)
            self._checked_to = prefix + tokens
        except Exception as error:  # hundreds of model classes, each of which fails in its own way
            size = f"{len(ids)} tokens"
            problem = f"is out of memory with {size}: give a smaller `window_tokens`, or another `device`"
            if not is_out_of_memory(error):
                problem = describe_failure(self._feed_first_layer, ids, error, self._tokenizer, prefix=prefix)
            raise ModelError(f"model {self._name!r} {problem}") from error

    def describe_failure(self, tokens: IntArray, error: Exception, prefix: int = 0) -> str:
        """What to say of the *error* of the model on *tokens*, of which the first *prefix* precede every window."""
        return describe_failure(self._feed, tokens, error, self._tokenizer, prefix=prefix)

    @torch.inference_mode()
    def _feed(self, tokens: IntArray) -> Tensor:
        return self.states(torch.from_numpy(tokens).long().to(self._device)[None], self.head)[0]

    def _feed_first_layer(self, tokens: IntArray) -> None:
        feed_first_layer(self._model, lambda: self._feed(tokens))

    def _random(self, length: int) -> IntArray:
        return np.random.default_rng(0).integers(0, self._vocabulary, length).astype(np.int32)
