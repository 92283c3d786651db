"""The implementation of attention that a backend chooses for short inputs on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.llama import modeling_llama

from llm_mia.backends import load_model
from llm_mia.records import Window

Attention = Callable[..., tuple[torch.Tensor, None]]


def windows(length: int) -> list[Window]:
    """Two windows of random tokens."""
    rng = np.random.default_rng(0)
    return [Window(rng.integers(3, 400, length).astype(np.int32), first_scored=1) for _ in range(2)]


def used(backend: Any, length: int) -> list[str]:
    """The implementations that the first layer computes windows of *length* tokens with."""
    seen: list[str] = []
    layer = backend.model.model.layers[0].self_attn
    hook = layer.register_forward_pre_hook(lambda module, _: seen.append(module.config._attn_implementation))
    try:
        list(backend.score(windows(length)))
    finally:
        hook.remove()
    return seen


def test_short_inputs_in_bfloat16_take_products_and_the_model_stays_as_it_was(tiny: str) -> None:
    backend: Any = load_model(tiny, dtype="bfloat16", device="cpu")
    assert set(used(backend, 60)) == {"eager"}
    assert backend.model.config._attn_implementation == "sdpa"
    exact: Any = load_model(tiny, dtype="float32", device="cpu")
    assert set(used(exact, 60)) == {"sdpa"}


def test_long_inputs_take_the_fused_attention(tiny: str) -> None:
    backend: Any = load_model(tiny, dtype="bfloat16", device="cpu")
    attention = backend.forward.attention
    for tokens, expected in ((256, "eager"), (257, "sdpa")):
        with attention.within(tokens):
            assert backend.model.config._attn_implementation == expected
    with pytest.raises(ValueError, match="stopped"), attention.within(10):
        raise ValueError("stopped")
    assert backend.model.config._attn_implementation == "sdpa"


def test_both_are_as_far_from_float32(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend: Any = load_model(tiny, dtype="bfloat16", device="cpu")
    exact = logprobs(load_model(tiny, dtype="float32", device="cpu"))
    quick = logprobs(backend)
    monkeypatch.setattr(backend.forward.attention, "_applies", False)
    fused = logprobs(backend)
    assert not np.array_equal(quick, fused)
    # Of two samples of 118 errors of the same spread, the spreads differ by a factor of 1.5 with a probability of 1e-5.
    assert np.std(quick - exact) < 1.5 * np.std(fused - exact)


def logprobs(backend: Any) -> Any:
    """The log-likelihoods of the tokens of two windows."""
    return np.concatenate([signals.logprob for signals in backend.score(windows(60))])


@pytest.mark.parametrize("error", [None, RuntimeError("unknown")])
def test_a_model_that_they_disagree_for_keeps_the_fused_attention(
    tiny: str, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    right: Attention = modeling_llama.eager_attention_forward

    def wrong(*arguments: Any, **named: Any) -> tuple[torch.Tensor, None]:
        if error:
            raise error
        output, weights = right(*arguments, **named)
        return output + 1, weights

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", wrong)
    backend: Any = load_model(tiny, dtype="bfloat16", device="cpu")
    assert set(used(backend, 60)) == {"sdpa"}
