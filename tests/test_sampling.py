"""Texts that models continue prompts with: reproducible, drawn from the model's distribution, ended where it ends."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from llm_mia.backends import Sampler, load_model
from llm_mia.backends.fake import FakeBackend
from llm_mia.backends.local import LocalBackend
from llm_mia.errors import ModelError
from llm_mia.metrics import clopper_pearson

from .conftest import build_model, build_tokenizer, with_doubled_logits

PROMPTS = ["The river bends under", "Anna counts seven geese", "no"]


@pytest.fixture(scope="module")
def peaked() -> LocalBackend:
    """A model with few likely tokens, so that each comes often enough to be counted."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    return LocalBackend(build_model(tokenizer, seed=4, initializer_range=0.5), tokenizer, compiled=False)


@pytest.fixture(scope="module", params=["fake", "tiny", "tiny_bos"])
def backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeBackend(1)
    return load_model(request.getfixturevalue(request.param), compiled=False)


def drawn(backend: Any, prompts: list[str], **changes: Any) -> list[list[str]]:
    settings = {"number": 3, "max_tokens": 8, "temperature": 1.0, "seed": 0, **changes}
    continued: list[list[str]] = backend.sample(prompts, **settings)
    return continued


def logits_after(backend: LocalBackend, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = backend.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double()
    return logits.clone()


def test_a_backend_that_samples_is_a_sampler(backend: Any) -> None:
    assert isinstance(backend, Sampler)


def test_continuations_depend_on_their_prompt_alone(backend: Any) -> None:
    together = drawn(backend, PROMPTS)
    assert [len(each) for each in together] == [3, 3, 3]
    assert len({text for each in together for text in each}) == 9
    assert [drawn(backend, [prompt])[0] for prompt in reversed(PROMPTS)] == together[::-1]


def test_the_seed_draws_and_nothing_else(backend: Any) -> None:
    state = torch.get_rng_state()
    assert drawn(backend, PROMPTS) == drawn(backend, PROMPTS) != drawn(backend, PROMPTS, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_temperature_0_takes_the_likeliest_token(backend: Any) -> None:
    several = drawn(backend, PROMPTS, temperature=0.0)
    assert all(len({*texts}) == 1 for texts in several)
    assert several == drawn(backend, PROMPTS, temperature=1e-6)


def test_greedy_is_the_plain_loop(tiny: str) -> None:
    """Oracle: all of it is fed again for every token. In float32: in bfloat16 likeliest tokens are often equal."""
    loaded: Any = load_model(tiny, dtype="float32", compiled=False)
    for prompt, (text,) in zip(PROMPTS, drawn(loaded, PROMPTS, number=1, temperature=0.0), strict=True):
        ids: list[int] = [*loaded.opening, *loaded.encode([prompt])[0].tolist()]
        start = len(ids)
        while len(ids) < start + 8 and 1 not in ids[start:]:
            ids.append(int(logits_after(loaded, ids).argmax()))
        assert text == loaded.tokenizer.decode([each for each in ids[start:] if each != 1])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_tokens_come_as_often_as_they_must(peaked: LocalBackend, temperature: float) -> None:
    [ids] = peaked.encode(PROMPTS[:1])
    p: Counter[str] = Counter()
    for token, of_token in enumerate((logits_after(peaked, ids.tolist()) / temperature).softmax(-1).tolist()):
        p[peaked.tokenizer.decode([token])] += of_token  # bytes that are no characters have the same text
    [texts] = drawn(peaked, PROMPTS[:1], number=3000, max_tokens=1, temperature=temperature)
    counts = Counter(texts)
    likely = [text for text, of_text in p.items() if of_text > 0.001]
    assert len(likely) > 1, "else there is nothing to see"
    for text in likely:
        interval = clopper_pearson(counts[text], 3000, 0.999)
        assert interval.low <= p[text] <= interval.high


def test_another_temperature_would_be_seen(peaked: LocalBackend) -> None:
    """The planted fault: continuations at the temperature 0.5, held against probabilities at 1."""
    [ids] = peaked.encode(PROMPTS[:1])
    p = logits_after(peaked, ids.tolist()).softmax(-1)
    [texts] = drawn(peaked, PROMPTS[:1], number=3000, max_tokens=1, temperature=0.5)
    token = int(p.argmax())
    interval = clopper_pearson(Counter(texts)[peaked.tokenizer.decode([token])], 3000, 0.999)
    assert float(p[token]) < interval.low


def test_the_temperature_of_the_model_comes_first(tiny: str) -> None:
    hot, plain = (load_model(tiny, dtype="float32", temperature=t, compiled=False) for t in (2.0, 1.0))
    assert drawn(hot, PROMPTS) == drawn(plain, PROMPTS, temperature=2.0) != drawn(plain, PROMPTS)


def test_a_text_ends_where_the_model_ends_it(tiny: str) -> None:
    loaded: Any = load_model(tiny, dtype="float32", compiled=False)
    [[whole]] = drawn(loaded, PROMPTS[:1], number=1, temperature=0.0)
    tokens = loaded.encode([whole])[0].tolist()
    loaded.model.generation_config.eos_token_id = [1, tokens[3]]
    [[ended]] = drawn(loaded, PROMPTS[:1], number=1, temperature=0.0)
    assert whole.startswith(ended)
    assert ended == loaded.tokenizer.decode(tokens[: tokens.index(tokens[3])])


def test_of_a_long_prompt_the_end_is_read(tiny: str) -> None:
    loaded: Any = load_model(tiny, dtype="float32", compiled=False)
    room = loaded.info.context - 8
    long = loaded.tokenizer.decode(loaded.encode([" ".join(["the river"] * 200 + ["bends twice"])])[0])
    ids = loaded.encode([long])[0]
    assert len(ids) > room
    [[text]] = drawn(loaded, [long], number=1, temperature=0.0)
    assert text.startswith(loaded.tokenizer.decode([int(logits_after(loaded, ids[-room:].tolist()).argmax())]))
    with pytest.raises(ModelError, match="takes 64 tokens, so 64 tokens leave no room for a prompt: give fewer"):
        drawn(loaded, PROMPTS, max_tokens=64)


def test_a_model_without_a_head_of_its_kind_is_continued_too() -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    plain, doubled = build_model(tokenizer, seed=1), with_doubled_logits(build_model(tokenizer, seed=1))
    continued = [LocalBackend(model, tokenizer, compiled=False) for model in (plain, doubled)]
    assert continued[1].head is None
    assert drawn(continued[1], PROMPTS) == drawn(continued[0], PROMPTS, temperature=0.5)


def test_without_memory_fewer_are_drawn_at_once(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Any = load_model(tiny, dtype="float32", compiled=False)
    wanted, forward = drawn(loaded, PROMPTS[:1], number=8), loaded.model.base_model.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        if kwargs["input_ids"].shape[0] > 2:
            raise torch.OutOfMemoryError
        return forward(*args, **kwargs)

    monkeypatch.setattr(loaded.model.base_model, "forward", limited)
    assert drawn(loaded, PROMPTS[:1], number=8) == wanted


def test_a_model_that_gives_nan_is_refused(tiny: str) -> None:
    loaded: Any = load_model(tiny, dtype="float32", compiled=False)
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.fill_(math.nan)
    with pytest.raises(ModelError, match="gives NaN: leave out the attacks on `samples`"):
        drawn(loaded, PROMPTS)


def test_the_fake_draws_from_its_table() -> None:
    fake = FakeBackend(3)
    [texts] = fake.sample(["a"], number=4000, max_tokens=1, temperature=1.0, seed=0)
    counts = Counter(text for text in texts if text.isascii())
    byte = max(range(128), key=lambda each: float(fake.score([_pair(each)])[0].logprob[0]))
    p = math.exp(float(fake.score([_pair(byte)])[0].logprob[0]))
    interval = clopper_pearson(counts[chr(byte)], 4000, 0.999)
    assert interval.low <= p <= interval.high


def _pair(byte: int) -> Any:
    from llm_mia.records import Window

    return Window(np.array([ord("a"), byte], dtype=np.int32), first_scored=1)
