"""Models that compute the same tokens differently in a longer text: no score depends on what else was fed."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from llm_mia.backends.local import LocalBackend, silence_libraries
from llm_mia.records import IntArray, Window

from .conftest import build_model, build_tokenizer
from .rounding import rounding_of
from .test_local import assert_plain, plain

pytestmark = pytest.mark.precision
ORIGINAL = 64
"""The length above which the rotary positions of these models change."""
# Around the original length, far above it twice, and a repeated length.
LENGTHS = (58, 75, 20, 64, 65, 100, 75, 90)


def tokens(n: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(2, 290, n).astype(np.int32)


WINDOWS = [Window(tokens(n, i), 1, i) for i, n in enumerate(LENGTHS)]
PREFIX = tokens(40, 99)
# After the prefix some are within the original length and others above it.
AFTER_PREFIX = [Window(tokens(n, 20 + i), 0, i) for i, n in enumerate((20, 40, 24, 25, 5, 33))]


def rope_parameters(kind: str) -> dict[str, Any]:
    """Of a model with heads of 8 numbers."""
    parameters: dict[str, Any] = {"rope_type": kind, "rope_theta": 10000.0}
    if kind != "default":
        parameters["factor"] = 4.0
    if kind in ("yarn", "longrope", "llama3"):
        parameters["original_max_position_embeddings"] = ORIGINAL
    if kind == "longrope":
        parameters |= {"short_factor": [1.0, 1.0, 1.0, 1.0], "long_factor": [1.0, 2.0, 4.0, 16.0]}
    if kind == "llama3":
        parameters |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return parameters


def model_of_type(kind: str) -> Any:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    # The type `dynamic` takes the longest position as the original length.
    context = ORIGINAL if kind == "dynamic" else 256
    with silence_libraries():
        return build_model(tokenizer, seed=1, context=context, rope_parameters=rope_parameters(kind))


def with_layer_types(kind: str) -> Any:
    """Gemma 3, whose layers have rotary positions of two types."""
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.3,
        sliding_window=24,
        layer_types=["sliding_attention", "full_attention"],
        max_position_embeddings=ORIGINAL if kind == "dynamic" else 256,
        rope_parameters={"sliding_attention": rope_parameters("default"), "full_attention": rope_parameters(kind)},
    )
    return transformers.Gemma3ForCausalLM(config).eval()


def with_scales_by_length() -> Any:
    """Phi-3.5-MoE, which also has a factor on its positions that depends on the length."""
    torch.manual_seed(0)
    # In Python, because the faster implementation of the experts does not compute in float64.
    config = transformers.PhimoeConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        initializer_range=0.3,
        max_position_embeddings=256,
        rope_parameters=rope_parameters("longrope") | {"short_mscale": 1.0, "long_mscale": 1.5},
    )
    with silence_libraries():
        return transformers.AutoModelForCausalLM.from_config(config, experts_implementation="eager").eval()


def local(model: Any, budget: int | None = None) -> LocalBackend:
    return LocalBackend(model, build_tokenizer(300, bos=False, seed=1), tokens_per_batch=budget, compiled=False)


def assert_scores_do_not_depend_on_what_else_is_fed(model: Any) -> None:
    """The expected values are those of a new copy of the *model* for each window, fed alone."""
    fresh = copy.deepcopy(model)
    rounding = rounding_of(local(copy.deepcopy(model)))

    def alone(fed: IntArray, first: int) -> dict[str, Any]:
        return plain(SimpleNamespace(model=copy.deepcopy(fresh)), fed, first)

    expected = [alone(window.tokens, window.first_scored) for window in WINDOWS]
    backend = local(model, 1000)
    assert_plain(backend.score(WINDOWS), expected, rounding)
    assert_plain([backend.score([window])[0] for window in WINDOWS], expected, rounding)
    for budget in (1, 200):
        assert_plain(local(model, budget).score(WINDOWS[::-1])[::-1], expected, rounding)
    after = [alone(np.concatenate([PREFIX, window.tokens]), len(PREFIX)) for window in AFTER_PREFIX]
    assert_plain(backend.score(AFTER_PREFIX, prefix=PREFIX), after, rounding)
    assert_plain([backend.score([window], prefix=PREFIX)[0] for window in AFTER_PREFIX], after, rounding)


@pytest.mark.parametrize("kind", ["default", *ROPE_INIT_FUNCTIONS])
def test_no_type_of_rotary_positions_makes_a_score_depend_on_what_else_is_fed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The context of `dynamic` is its original length, and a prefix beyond it is refused; this is about what is beyond.
    monkeypatch.setattr("llm_mia.backends.local._backend.context_of", lambda *_: 256)
    assert_scores_do_not_depend_on_what_else_is_fed(model_of_type(kind))


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_nor_do_types_that_differ_between_layers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_mia.backends.local._backend.context_of", lambda *_: 256)
    assert_scores_do_not_depend_on_what_else_is_fed(with_layer_types(kind))


def test_nor_does_a_factor_that_depends_on_the_length() -> None:
    assert_scores_do_not_depend_on_what_else_is_fed(with_scales_by_length())
