"""Whether a model takes a length, and whether it computes the same tokens alike in texts of different length."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ...errors import ModelError
from ...records import IntArray
from ._lengths import LengthRule

__all__ = ["feed_first_layer", "measure_length_rule"]


class _Reached(Exception):  # noqa: N818 - no error: it ends a forward pass early
    """The first layer is done."""


def feed_first_layer(model: Any, feed: Callable[[], object]) -> None:
    """Call *feed*, which feeds *model*, and stop it after the first layer.

    Positions, masks and biases are computed before that, so faults with the length show. A model that is not wholly in
    memory runs to its end, because the layer has to leave the device again.
    """
    layers = next((module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)), None)
    if layers is None or any(parameter.is_meta for parameter in model.parameters()):
        feed()
        return

    def stop(*_: object) -> None:
        raise _Reached

    hook = layers[0].register_forward_hook(stop)
    try:
        with contextlib.suppress(_Reached):
            feed()
    finally:
        hook.remove()


def measure_length_rule(
    feed: Callable[[IntArray], Tensor], tokens: IntArray, tolerance: float, rule: LengthRule
) -> LengthRule:
    """*rule*, or the rule that no two lengths are computed alike, where the model shows that.

    The first half of *tokens* is fed before the whole, as part of it, and after it.

    Args:
        feed: the states or logits, shape (n, width), of token ids, shape (n,).
        tokens: token ids, shape (n,), of the greatest length that will be fed.
        tolerance: the largest difference between the states of a token, as a share of their norm, that is rounding.
        rule: what is known so far.

    Raises:
        ModelError: the states of the first half are others after the whole was fed.
    """
    half = tokens[: max(1, len(tokens) // 2)]
    before, within, after = feed(half).float(), feed(tokens)[: len(half)].float(), feed(half).float()
    norm = before.norm(dim=-1).clamp(min=1e-30)
    if not bool(((after - before).norm(dim=-1) <= tolerance * norm).all()):
        raise ModelError(
            "remembers what it was fed before: its prediction for a text differs after a longer text, so no "
            "text has a score; give another model"
        )
    alike = bool(((within - before).norm(dim=-1) <= tolerance * norm).all())
    return rule if alike else LengthRule(separate_above=0)
