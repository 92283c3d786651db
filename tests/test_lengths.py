"""Models that compute the same tokens differently in a longer text: no score depends on what else was fed."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from llm_mia.backends.local import LocalBackend, continuations, silence_libraries
from llm_mia.errors import ModelError
from llm_mia.records import IntArray, Window

from .conftest import build_model, build_tokenizer
from .rounding import rounding_of
from .test_local import assert_plain, plain

ORIGINAL = 64
"""The length above which the rotary positions of these models change."""
# Around the original length, far above it twice, and a repeated length.
LENGTHS = (58, 75, 64, 65, 100, 75)


def tokens(n: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(2, 290, n).astype(np.int32)


WINDOWS = [Window(tokens(n, i), 1, i) for i, n in enumerate(LENGTHS)]
PREFIX = tokens(40, 99)
# After the prefix some are within the original length and others above it.
AFTER_PREFIX = [Window(tokens(n, 20 + i), 0, i) for i, n in enumerate((20, 40, 24, 25))]


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
    """The *model* with a context of 256: that of `dynamic` is its original length, and this is about what is beyond."""
    backend = LocalBackend(model, build_tokenizer(300, bos=False, seed=1), tokens_per_batch=budget, compiled=False)
    backend.info = replace(backend.info, context=256)
    return backend


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
def test_no_type_of_rotary_positions_makes_a_score_depend_on_what_else_is_fed(kind: str) -> None:
    assert_scores_do_not_depend_on_what_else_is_fed(model_of_type(kind))


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_nor_do_types_that_differ_between_layers(kind: str) -> None:
    assert_scores_do_not_depend_on_what_else_is_fed(with_layer_types(kind))


def test_nor_does_a_factor_that_depends_on_the_length() -> None:
    assert_scores_do_not_depend_on_what_else_is_fed(with_scales_by_length())


def test_nor_does_a_model_whose_configuration_does_not_show_it() -> None:
    """ProphetNet computes the start of a text otherwise than the same tokens alone."""
    torch.manual_seed(0)
    config = transformers.ProphetNetConfig(
        vocab_size=300,
        hidden_size=32,
        num_decoder_layers=2,
        num_decoder_attention_heads=4,
        decoder_ffn_dim=64,
        max_position_embeddings=256,
        init_std=0.3,
        is_decoder=True,
        is_encoder_decoder=False,
        add_cross_attention=False,
    )
    with silence_libraries():
        assert_scores_do_not_depend_on_what_else_is_fed(transformers.ProphetNetForCausalLM(config).eval())


def test_windows_that_the_model_computes_alike_still_share_a_batch() -> None:
    backend, fed = local(model_of_type("longrope"), 1000), list[tuple[int, ...]]()
    backend.model.model.register_forward_pre_hook(
        lambda _, __, given: fed.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    backend.score(WINDOWS)
    # 100 is alone because padding the others to it costs more than a batch.
    assert sorted(fed) == [(1, 100), (2, 64), (3, 75)]


@pytest.mark.parametrize("kind", ["yarn", "longrope", "dynamic"])
def test_a_generated_token_is_that_of_the_whole_fed_at_once(kind: str) -> None:
    """With top_k = 1 the model draws its first choices, whose probability is 1: if both see the same model."""
    backend, prompt, length = local(model_of_type(kind)), tokens(60, 3), 12
    whole = np.concatenate([prompt, np.zeros(length, np.int32)])
    fresh = copy.deepcopy(backend.model)
    for at in range(len(prompt), len(whole)):  # the plain loop: all positions are fed for every token
        with torch.inference_mode():
            logits = copy.deepcopy(fresh)(input_ids=torch.from_numpy(whole).long()[None]).logits[0]
        whole[at] = int(logits[at - 1].argmax())
    result = continuations(backend, prompt, whole[len(prompt) :], samples=3, top_k=1)
    assert result.greedy_tokens == length
    assert result.log_probability == pytest.approx(0, abs=1e-6)
    assert result.sample_tokens.tolist() == [length] * 3


class ByLength(transformers.LlamaModel):  # type: ignore[misc]
    """Code of somebody else: it scales its states by the length of what is fed."""

    def forward(self, *arguments: Any, **options: Any) -> Any:
        output = super().forward(*arguments, **options)
        output.last_hidden_state = output.last_hidden_state * (1 + self.length(output.last_hidden_state.shape[1]) / 100)
        return output

    def length(self, now: int) -> int:
        return now


class ByLongest(ByLength):
    """It scales its states by the greatest length so far."""

    longest = 0

    def length(self, now: int) -> int:
        self.longest = max(self.longest, now)
        return self.longest


def with_code_of_others(code: type[Any]) -> Any:
    model = build_model(build_tokenizer(300, bos=False, seed=1), seed=1, context=256)
    model.model.__class__ = code
    return model


def test_code_of_others_that_depends_on_the_length_is_measured() -> None:
    assert_scores_do_not_depend_on_what_else_is_fed(with_code_of_others(ByLength))


def test_code_of_others_that_remembers_lengths_is_refused() -> None:
    backend = local(with_code_of_others(ByLongest))
    with pytest.raises(ModelError, match="remembers what it was fed before: its prediction for a text differs after"):
        backend.score(WINDOWS)


def test_the_model_of_a_caller_is_left_as_it_was() -> None:
    """A text beyond the original length changes the frequencies that the type `dynamic` keeps."""
    model = model_of_type("dynamic")
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    local(model).score(WINDOWS)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    loss = model.train()(input_ids=torch.from_numpy(WINDOWS[1].tokens).long()[None]).logits.sum()
    loss.backward()
    assert model.model.embed_tokens.weight.grad is not None
