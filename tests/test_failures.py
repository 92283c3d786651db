"""A model that fails: one line with the passage, the reason and what to do; before the work where that is possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from llm_mia.backends import LengthChecking, WindowError, load_model
from llm_mia.backends.local import LocalBackend, continuations, silence_libraries
from llm_mia.errors import ModelError
from llm_mia.passages import read_passages
from llm_mia.records import Window
from llm_mia.signals import signals_of, write_signals

from .conftest import build_model, build_tokenizer, sentences

LONG = "the river bends under a stone bridge while Anna counts seven geese " * 8


def built(config: Any) -> Any:
    torch.manual_seed(0)
    with silence_libraries():
        return transformers.AutoModelForCausalLM.from_config(config).eval()


def local(model: Any, tokenizer: Any = None) -> LocalBackend:
    return LocalBackend(model, tokenizer or build_tokenizer(300, bos=False, seed=1), compiled=False)


def mpt(context: int = 64) -> Any:
    return built(transformers.MptConfig(vocab_size=300, d_model=32, n_heads=4, n_layers=2, max_seq_len=context))


CONTEXTS = {
    "Mpt": {"max_seq_len": 48, "d_model": 32, "n_heads": 4, "n_layers": 1},
    "GPT2": {"n_positions": 48, "n_embd": 32, "n_layer": 1, "n_head": 4},
    "CodeGen": {"n_positions": 48, "n_embd": 32, "n_layer": 1, "n_head": 4, "rotary_dim": 8},
    "OPT": {
        "max_position_embeddings": 48,
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    },
    "Rwkv": {"context_length": 48, "hidden_size": 32, "num_hidden_layers": 2},
    "Whisper": {"max_target_positions": 48, "d_model": 32, "decoder_layers": 1, "decoder_attention_heads": 4},
}


@pytest.mark.parametrize("family", CONTEXTS)
def test_the_context_is_read_from_whatever_name_it_has(family: str) -> None:
    sizes = {"vocab_size": 300, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **CONTEXTS[family]}
    backend = local(built(getattr(transformers, f"{family}Config")(**sizes)))
    assert backend.info.context == 48
    backend.score([Window(np.full(48, 5, np.int32), 1)])


def test_a_table_of_positions_limits_the_context_whatever_the_configuration_says() -> None:
    """RoBERTa as a decoder has 50 rows, of which the two before the first position are not used."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.RobertaConfig(vocab_size=300, max_position_embeddings=50, is_decoder=True, **sizes)
    backend = local(built(config))
    assert backend.info.context == 48
    backend.score([Window(np.full(48, 5, np.int32), 1)])


@pytest.mark.parametrize(("by_tokenizer", "context"), [(512, 512), (int(1e30), 1 << 20), (20, 1 << 20)])
def test_where_the_configuration_has_no_length_the_tokenizer_may_have(by_tokenizer: int, context: int) -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    tokenizer.model_max_length = by_tokenizer
    config = transformers.MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=1, state_size=4)
    assert local(built(config), tokenizer).info.context == context


def lying() -> LocalBackend:
    """A model for 64 tokens whose configuration says 1,000."""
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 8}
    model = built(transformers.CodeGenConfig(vocab_size=300, n_positions=64, **sizes))
    model.config.n_positions = 1000
    return local(model)


def test_a_length_that_the_model_does_not_take_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    """Also where the long passage comes last; and with the window that the message gives, it works."""
    texts, steps = [*sentences(20, longest=6), LONG], list[Any]()
    with pytest.raises(ModelError) as refused:
        write_signals(texts, lying(), out=tmp_path / "run", progress=steps.append)
    assert str(refused.value).startswith("model 'in memory' takes 64 tokens, and fails on ")
    assert str(refused.value).endswith("): give a `window_tokens` of at most 64")
    assert not [step for step in steps if step.tokens]
    write_signals(texts, lying(), out=tmp_path / "run", window_tokens=64)
    with pytest.raises(ModelError, match="takes 64 tokens"):
        signals_of(lying(), [LONG])


def test_the_check_of_a_length_takes_a_layer_once() -> None:
    backend, ran = local(mpt()), list[int]()
    assert isinstance(backend, LengthChecking)
    for name, block in enumerate(backend.model.transformer.blocks):
        block.register_forward_hook(lambda *_, name=name: ran.append(name))
    for length in (40, 64, 20):
        backend.check_length(length)
    assert ran == [0, 0]
    with pytest.raises(ModelError, match=r"takes 64 tokens, and fails on 65 .*: give fewer or shorter `shots`, or a"):
        backend.check_length(25, prefix=40)


def test_a_window_that_fails_is_named_by_its_passage(write_jsonl: Any, tmp_path: Path) -> None:
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1))
    bad = int(backend.encode([" émigré"])[0][2])

    def refuse_token(_: Any, __: Any, given: dict[str, Any]) -> None:
        if bool((given["input_ids"] == bad).any()):
            raise KeyError("no such\nexpert")

    backend.model.model.register_forward_pre_hook(refuse_token, with_kwargs=True)
    fine = [text for text in sentences(40) if bad not in backend.encode([text])[0]]
    source = read_passages(
        write_jsonl("p.jsonl", [{"text": text} for text in (*fine[:5], "An émigré writes.", *fine[5:])])
    )
    with pytest.raises(ModelError) as refused:
        write_signals(source, backend, out=tmp_path / "run")
    message = str(refused.value)
    assert f"p.jsonl line 6: model 'in memory' fails on the token {bad} (" in message
    assert message.endswith("): give the tokenizer that belongs to its weights, or another model")
    assert "\n" not in message
    windows = [Window(np.array(ids, np.int32), 1, i) for i, ids in enumerate([[5, 6], [5, bad, 7], [8, 9]])]
    with pytest.raises(WindowError) as of_window:
        backend.score(windows)
    assert of_window.value.passage == 1


def test_a_token_that_the_model_excludes_has_no_score() -> None:
    """Its logit is −∞: the passage with it is named, the others have scores."""
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1))
    excluded = int(backend.encode([" émigré"])[0][2])
    exclude = torch.zeros(300).index_fill(0, torch.tensor([excluded]), -torch.inf)
    backend.model.lm_head.register_forward_hook(lambda *given: given[-1] + exclude)
    backend = local(backend.model)
    assert backend.info.head == "whole"
    assert all(np.isfinite(signals.logprob).all() for signals in signals_of(backend, ["the river bends", "Anna"]))
    with pytest.raises(ModelError, match=rf"passage '1': .* gives the token {excluded} the probability 0, so the pass"):
        signals_of(backend, ["the river bends", "An émigré writes"])


def test_logits_of_a_model_with_a_layer_before_its_head_come_from_the_model() -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.ElectraConfig(vocab_size=300, embedding_size=16, is_decoder=True, **sizes)
    assert local(built(config)).info.head == "whole"


def test_a_model_that_takes_a_single_row_at_a_time_is_fed_so() -> None:
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1))
    windows = [Window(np.arange(3, 20, dtype=np.int32) + i, 1, i) for i in range(4)]
    expected = [backend.score([window])[0].logprob for window in windows]

    def refuse_rows(_: Any, __: Any, given: dict[str, Any]) -> None:
        if len(given["input_ids"]) > 1:
            raise ValueError("one row only")

    backend.model.model.register_forward_pre_hook(refuse_rows, with_kwargs=True)
    for signals, alone in zip(backend.score(windows), expected, strict=True):
        assert signals.logprob.tolist() == alone.tolist()


def spoiled(value: float) -> LocalBackend:
    """A model with *value* among the weights of a token that the check at loading does not meet."""
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1))
    with torch.no_grad():
        backend.model.model.embed_tokens.weight[int(backend.encode([" geese"])[0][-1]), 0] = value
    return backend


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused_with_their_passage(value: float) -> None:
    texts = ["the river bends", "Anna counts seven geese and writes"]
    with pytest.raises(ModelError) as refused:
        signals_of(spoiled(value), texts)
    assert str(refused.value).startswith("passage '1': model 'in memory' gives nan as the log-probability of the token")
    assert str(refused.value).endswith("exceed the range of float32; repair it, or give another model")


def test_out_of_memory_in_generation_halves_the_rows_and_draws_the_same() -> None:
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=4, initializer_range=0.8))
    prompt, expected = np.arange(3, 12, dtype=np.int32), np.array([5, 6, 7], np.int32)
    fed: list[int] = []

    def refuse_many(_: Any, __: Any, given: dict[str, Any]) -> None:
        fed.append(len(given["input_ids"]))
        if fed[-1] > 10:
            raise torch.OutOfMemoryError("out of memory")

    backend.model.model.register_forward_pre_hook(refuse_many, with_kwargs=True)
    assert len(continuations(backend, prompt, expected, samples=32).sample_tokens) == 32
    assert max(rows for rows in fed if rows <= 10) == 8


def test_a_model_that_fails_in_generation_is_one_line() -> None:
    backend = local(build_model(build_tokenizer(300, bos=False, seed=1), seed=1))
    backend.model.model.register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(ModelError, match=r"fails on a prompt of 9 tokens \(inconsistent .*: leave out `proof`"):
        continuations(backend, np.arange(3, 12, dtype=np.int32), np.array([5, 6], np.int32))


def test_a_model_that_always_fails_says_so(tiny: str) -> None:
    backend: Any = load_model(tiny, compiled=False)
    backend.model.model.register_forward_pre_hook(lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(ModelError, match=r"fails on every text \(inconsistent .*\): repair it, or give"):
        signals_of(backend, ["the river bends"])
