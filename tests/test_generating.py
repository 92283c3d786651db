"""What a model generates, compared with the probabilities of its logits."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import load_model
from llm_mia.backends.local import LocalBackend, continuations
from llm_mia.errors import ModelError
from llm_mia.metrics import clopper_pearson

from .conftest import build_model, build_tokenizer, sentences, with_doubled_logits
from .rounding import PRECISIONS, rounding_of


@pytest.fixture(scope="module", params=["tiny", "tiny_bos"])
def backend(request: pytest.FixtureRequest) -> Any:
    """In float32: in bfloat16 the two likeliest tokens often have the same logit, and rounding decides between them."""
    return load_model(request.getfixturevalue(request.param), dtype="float32", compiled=False)


@pytest.fixture(scope="module")
def peaked() -> LocalBackend:
    """A model that mostly knows what comes next, so that a text of four tokens comes often enough to be counted."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    return LocalBackend(build_model(tokenizer, seed=4, initializer_range=0.8), tokenizer, compiled=False)


def logits_after(backend: LocalBackend, ids: list[int]) -> torch.Tensor:
    """Of the whole model, without a cache: shape (vocabulary,)."""
    with torch.inference_mode():
        logits: torch.Tensor = backend.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double()
    return logits.clone()


def greedily(backend: LocalBackend, prompt: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """The plain loop: all of it is fed again for every token."""
    ids: list[int] = prompt.tolist()
    for _ in range(n):
        ids.append(int(logits_after(backend, ids).argmax()))
    return np.array(ids[len(prompt) :], dtype=np.int32)


def prompt_of(backend: LocalBackend, text: str) -> np.ndarray[Any, Any]:
    (ids,) = backend.encode([text])
    return np.concatenate([backend.opening, ids]).astype(np.int32)


def test_greedy_is_the_plain_loop(backend: Any) -> None:
    for text in sentences(4, seed=1, longest=12):
        prompt = prompt_of(backend, text)
        wanted = greedily(backend, prompt, 12)
        result = continuations(backend, prompt, wanted)
        assert (result.greedy_tokens, result.greedy_bytes) == (12, result.expected_bytes)
        assert len(result.sample_tokens) == 0
        other = wanted.copy()
        other[7] = (other[7] + 1) % 300
        assert continuations(backend, prompt, other).greedy_tokens == 7


@pytest.mark.parametrize("top_k", [None, 1, 5, 40, 10_000])
def test_the_probability_is_that_of_masked_logits(backend: Any, top_k: int | None) -> None:
    """Oracle: token by token, whole logits in float64, all but the k largest set to -inf, renormalised."""
    prompt = prompt_of(backend, "The river bends under")
    wanted = greedily(backend, prompt, 3)
    wanted[-1] = int(logits_after(backend, [*prompt.tolist(), *wanted[:2].tolist()]).argsort(descending=True)[3])
    expected, ids = 0.0, prompt.tolist()
    for token in wanted.tolist():
        logits = logits_after(backend, ids)
        if top_k is not None and top_k < len(logits):
            logits[logits < logits.sort(descending=True).values[top_k - 1]] = -torch.inf
        expected += float(logits.log_softmax(-1)[token])
        ids.append(token)
    result = continuations(backend, prompt, wanted, top_k=top_k)
    assert result.log_probability == pytest.approx(expected, abs=1e-4)
    assert (result.log_probability == -math.inf) == (top_k == 1)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_the_probability_is_that_of_the_tokens_fed_alone(tiny: str, dtype: str) -> None:
    loaded: Any = load_model(tiny, dtype=dtype, compiled=False)
    prompt, (wanted,) = prompt_of(loaded, "The river bends under"), loaded.encode([" a stone bridge"])
    expected, ids = 0.0, prompt.tolist()
    for token in wanted.tolist():
        expected += float(logits_after(loaded, ids).log_softmax(-1)[token])
        ids.append(token)
    computed = continuations(loaded, prompt, wanted).log_probability
    assert computed == pytest.approx(expected, abs=rounding_of(loaded).of_sum(len(wanted)))


@pytest.mark.parametrize("top_k", [None, 3])
def test_samples_come_as_often_as_they_must(peaked: LocalBackend, top_k: int | None) -> None:
    prompt = prompt_of(peaked, "Anna counts seven geese")
    wanted = greedily(peaked, prompt, 3)
    result = continuations(peaked, prompt, wanted, samples=3000, top_k=top_k, seed=5)
    p = math.exp(result.log_probability)
    assert 0.02 < p < 0.98, "else there is nothing to see"
    matched = int((result.sample_tokens == 3).sum())
    interval = clopper_pearson(matched, 3000, 0.999)
    assert interval.low <= p <= interval.high
    first = math.exp(continuations(peaked, prompt, wanted[:1], top_k=top_k).log_probability)
    begun = clopper_pearson(int((result.sample_tokens >= 1).sum()), 3000, 0.999)
    assert begun.low <= first <= begun.high


def test_the_wrong_rule_would_be_seen(peaked: LocalBackend) -> None:
    """The planted fault: samples among the three likeliest, held against the probability among all."""
    prompt = prompt_of(peaked, "Anna counts seven geese")
    wanted = greedily(peaked, prompt, 3)
    drawn = continuations(peaked, prompt, wanted, samples=3000, top_k=3, seed=5)
    plain = math.exp(continuations(peaked, prompt, wanted).log_probability)
    assert plain < clopper_pearson(int((drawn.sample_tokens == 3).sum()), 3000, 0.999).low


def test_the_seed_draws_and_nothing_else(backend: Any) -> None:
    prompt, wanted = prompt_of(backend, "Every spring the water"), np.array([5, 6, 7], dtype=np.int32)
    state = torch.get_rng_state()
    first, same, other = (
        continuations(backend, prompt, greedily(backend, prompt, 6), samples=200, seed=seed) for seed in (1, 1, 2)
    )
    assert (first.sample_tokens == same.sample_tokens).all()
    assert (first.sample_tokens != other.sample_tokens).any()
    assert torch.equal(torch.get_rng_state(), state)
    assert continuations(backend, prompt, wanted, samples=3).sample_tokens.shape == (3,)


def test_the_end_of_a_text_is_a_token_like_others_and_defaults_of_generation_are_not_used(tiny: str) -> None:
    loaded: Any = load_model(tiny, dtype="float32", compiled=False)
    prompt = prompt_of(loaded, "The old miller")
    wanted = greedily(loaded, prompt, 10)
    loaded.model.generation_config.eos_token_id = int(wanted[2])
    loaded.model.generation_config.repetition_penalty = 5.0
    assert continuations(loaded, prompt, wanted).greedy_tokens == 10


def that_continues(model: Any, followers: dict[int, int]) -> Any:
    """The *model*, whose likeliest next token after each of *followers* is its follower.

    Its logits are doubled too, so that the backend takes all logits from the model itself.
    """

    def follow(_: Any, __: Any, inputs: dict[str, Any], output: Any) -> None:
        for row, ids in enumerate(inputs["input_ids"].tolist()):
            for place, token in enumerate(ids):
                if token in followers:
                    output.logits[row, place, followers[token]] = 1000.0

    with_doubled_logits(model).register_forward_hook(follow, with_kwargs=True)
    return model


def test_the_same_text_in_other_tokens_counts_by_bytes() -> None:
    """The model writes the word letter by letter, where the tokenizer has fewer tokens for it."""
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    word, rest = " bridge", " who built it no one remembers"
    prompt, whole = (tokenizer(text, add_special_tokens=False).input_ids for text in ("no", word))
    letters = [tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in word]
    assert len(whole) < len(letters) == len({*letters})
    followers = dict(pairwise([prompt[-1], *letters]))
    model = that_continues(build_model(tokenizer, seed=1), followers)
    backend = LocalBackend(model, tokenizer, compiled=False)
    assert backend.head is None
    expected = [*whole, *tokenizer(rest, add_special_tokens=False).input_ids][: len(letters)]
    result = continuations(backend, np.array(prompt, dtype=np.int32), np.array(expected, dtype=np.int32))
    assert result.greedy_tokens == 0
    assert result.greedy_bytes == len(word.encode())


def test_more_samples_than_are_held_at_once(backend: Any) -> None:
    prompt = prompt_of(backend, "two gates")
    wanted = greedily(backend, prompt, 4)
    result = continuations(backend, prompt, wanted, samples=10, held_tokens=3 * (len(prompt) + 4))
    assert result.sample_tokens.shape == result.sample_bytes.shape == (10,)


@pytest.mark.parametrize("family", ["GPT2", "Mamba"])
def test_other_architectures(family: str) -> None:
    """Positions by table, and a model that keeps a state in place of keys and values."""
    import transformers

    tokenizer = build_tokenizer(300, bos=False, seed=1)
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, state_size=4
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    backend = LocalBackend(model, tokenizer, compiled=False)
    prompt = prompt_of(backend, "the water rises")
    wanted = greedily(backend, prompt, 5)
    result = continuations(backend, prompt, wanted, samples=4)
    assert result.greedy_tokens == 5
    assert len(result.sample_tokens) == 4


def test_what_does_not_fit_the_context_is_refused(tiny: str) -> None:
    backend: Any = load_model(tiny, compiled=False)
    with pytest.raises(ModelError, match="takes 64 tokens, fewer than a prompt of 60 tokens and 5 more"):
        continuations(backend, np.arange(60, dtype=np.int32), np.arange(5, dtype=np.int32))


def test_out_of_memory_is_one_line(tiny: str) -> None:
    backend: Any = load_model(tiny, dtype="float32", compiled=False)
    backend.model.model.layers[0].register_forward_pre_hook(lambda *_: torch.empty(1 << 55))
    with pytest.raises(ModelError, match="out of memory with a prompt of 3 tokens"):
        continuations(backend, np.arange(3, dtype=np.int32), np.arange(5, dtype=np.int32))
