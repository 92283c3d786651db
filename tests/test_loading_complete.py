"""A model in memory is the model of its files: what is missing, superfluous or ambiguous is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_mia import load_model
from llm_mia.backends.local import silence_libraries

from .conftest import build_model, build_tokenizer, save
from .families import build_family
from .test_loading import WEIGHTS, logprobs, refusal, set_config

INDEX = "model.safetensors.index.json"


def change_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def build(folder: Path, **changes: Any) -> Path:
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    return Path(save(folder, build_model(tokenizer, seed=1, **changes), tokenizer))


@pytest.fixture
def model(tiny: str, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.fixture
def sharded(tiny: str, tmp_path: Path) -> Path:
    """The tiny model in several files."""
    import transformers

    folder = Path(shutil.copytree(tiny, tmp_path / "sharded"))
    (folder / WEIGHTS).unlink()
    with silence_libraries():
        transformers.AutoModelForCausalLM.from_pretrained(tiny).save_pretrained(folder, max_shard_size="50KB")
    return folder


# Tensors without a place

NO_PLACE = (
    "its weights hold tensors that config.json gives no place to ({}, such as {}): without them it is another model; "
    "use the config.json that belongs to these weights"
)


def test_biases_that_the_configuration_switches_off(tmp_path: Path) -> None:
    folder = build(tmp_path / "biased", attention_bias=True)
    set_config(folder, attention_bias=False)
    assert refusal(folder) == NO_PLACE.format(8, "model.layers.0.self_attn.k_proj.bias")


def test_more_layers_than_the_configuration(model: Path) -> None:
    set_config(model, num_hidden_layers=1)
    assert refusal(model) == NO_PLACE.format(9, "model.layers.1.input_layernorm.weight")


def test_an_adapter_that_was_saved_with_its_base(model: Path) -> None:
    def wrap(weights: dict[str, Any]) -> None:
        name = "model.layers.0.self_attn.q_proj"
        weights[f"{name}.base_layer.weight"] = weights.pop(f"{name}.weight")
        weights[f"{name}.lora_A.default.weight"] = torch.ones(4, 32)

    change_weights(model, wrap)
    assert refusal(model).startswith("its weights do not match config.json: tensors are missing or have another shape")


HARMLESS: dict[str, Any] = {
    "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
    "transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8, dtype=torch.bool).tril(),
    "transformer.h.0.attn.masked_bias": torch.tensor(-1e9),
    "model.embeddings.position_ids": torch.arange(8)[None],
    "v_head.summary.weight": torch.ones(1, 32),
    "vision_tower.patch.weight": torch.ones(3, 3),
}


def test_tensors_that_no_prediction_depends_on(model: Path, tiny: str) -> None:
    change_weights(model, lambda weights: weights.update(HARMLESS))
    loaded, plain = (load_model(name, dtype="float32", compiled=False) for name in (model, tiny))
    assert np.array_equal(logprobs(loaded), logprobs(plain))


def test_a_bias_is_no_mask(model: Path) -> None:
    change_weights(model, lambda weights: weights.update({"transformer.h.0.attn.bias": torch.ones(32)}))
    assert refusal(model) == NO_PLACE.format(1, "transformer.h.0.attn.bias")


@pytest.mark.parametrize("family", ["GPT2", "GPTNeoX", "OPT", "Bloom", "Falcon", "Mpt", "Gemma2", "Mixtral", "Mamba"])
def test_families_are_complete_as_transformers_saves_them(family: str, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    expected = build_family(family, "float32", vocab_size=500)
    backend = load_model(save(tmp_path, expected, tokenizer), dtype="float32", compiled=False)
    in_memory = load_model(expected, tokenizer=tokenizer, compiled=False)
    assert np.array_equal(logprobs(backend), logprobs(in_memory)), "the same weights in the same arithmetic"


# Experts, which transformers stores one by one and holds together


@pytest.fixture
def experts(tmp_path: Path) -> Path:
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    return Path(save(tmp_path / "experts", build_family("Mixtral", "float32", vocab_size=500), tokenizer))


EXPERT = "model.layers.0.block_sparse_moe.experts.{}.w{}.weight"


def lose_part_of_expert(weights: dict[str, Any]) -> None:
    del weights[EXPERT.format(1, 2)]


def lose_last_expert(weights: dict[str, Any]) -> None:
    for part in (1, 2, 3):
        del weights[EXPERT.format(3, part)]


def rename_expert(weights: dict[str, Any]) -> None:
    for part in (1, 2, 3):
        weights[EXPERT.format(4, part)] = weights.pop(EXPERT.format(2, part))


def cut_expert(weights: dict[str, Any]) -> None:
    weights[EXPERT.format(0, 1)] = weights[EXPERT.format(0, 1)][1:].clone()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lose_part_of_expert, "tensors are missing or have another shape ("),
        (lose_last_expert, "tensors are missing or have another shape (2, such as model.layers.0.mlp.experts.down_pro"),
        (rename_expert, "tensors are missing or have another shape (3, such as model.layers.0.block_sparse_moe.exper"),
        (cut_expert, "a tensor of its experts is missing or has another shape: copy or download the whole model again"),
    ],
)
def test_experts_that_are_not_all_there(damage: Callable[[dict[str, Any]], None], expected: str, experts: Path) -> None:
    change_weights(experts, damage)
    assert refusal(experts).startswith(f"its weights do not match config.json: {expected}")


# Tied embeddings


def test_tied_embeddings_need_no_head(tmp_path: Path) -> None:
    folder = build(tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / WEIGHTS)
    assert np.isfinite(logprobs(load_model(folder, compiled=False))).all()
    set_config(folder, tie_word_embeddings=False)
    assert refusal(folder).startswith(
        "its weights do not match config.json: tensors are missing or have another shape (1, such as lm_head.weight)"
    )


def test_a_head_of_its_own_is_used_whatever_the_configuration(model: Path, tiny: str) -> None:
    set_config(model, tie_word_embeddings=True)
    loaded, plain = (load_model(name, dtype="float32", compiled=False) for name in (model, tiny))
    assert np.array_equal(logprobs(loaded), logprobs(plain))


# Several files


def test_several_files(sharded: Path, tiny: str) -> None:
    loaded, plain = (load_model(name, dtype="float32", compiled=False) for name in (sharded, tiny))
    assert len([*sharded.glob("*.safetensors")]) == 4
    assert np.array_equal(logprobs(loaded), logprobs(plain))


def repeat_tensor(folder: Path) -> None:
    first, second, *_ = sorted(folder.glob("*.safetensors"))
    name, tensor = next(iter(load_file(first).items()))
    save_file({**load_file(second), name: tensor + 1}, second, {"format": "pt"})


def promise_tensor(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["ghost.weight"] = "model-00001-of-00004.safetensors"
    (folder / INDEX).write_text(json.dumps(index))


def add_whole(folder: Path) -> None:
    save_file({"a": torch.ones(2)}, folder / WEIGHTS)


SEVERAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file gone": (
        lambda f: (f / "model-00003-of-00004.safetensors").unlink(),
        f"its weights are incomplete: {INDEX} names model-00003-of-00004.safetensors, which is not there: download or "
        "copy it too",
    ),
    "no index": (
        lambda f: (f / INDEX).unlink(),
        f"holds model-00001-of-00004.safetensors, but no {WEIGHTS}, and no {INDEX}, which lists the files of a model: "
        "copy it too",
    ),
    "index damaged": (lambda f: (f / INDEX).write_text("{"), f"its {INDEX} is damaged: download or copy it again"),
    "a tensor twice": (
        repeat_tensor,
        "both model-00001-of-00004.safetensors and model-00002-of-00004.safetensors hold the tensor "
        "lm_head.weight, so its weights are ambiguous: save the model again",
    ),
    "a tensor promised": (
        promise_tensor,
        "its weights do not match config.json: tensors are missing or have another shape (1, such as ghost.weight): "
        "copy or download the whole model again",
    ),
    "two sets": (
        add_whole,
        f"holds {WEIGHTS} and {INDEX}, which are two sets of weights: move away the set that does not "
        "belong to the model",
    ),
}


@pytest.mark.parametrize(("damage", "expected"), SEVERAL.values(), ids=SEVERAL)
def test_damaged_sets_of_files(damage: Callable[[Path], object], expected: str, sharded: Path) -> None:
    damage(sharded)
    assert refusal(sharded) == expected


def test_a_file_that_git_did_not_fetch(model: Path) -> None:
    (model / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert refusal(model) == f"{WEIGHTS} is a placeholder of Git LFS without the weights: run 'git lfs pull' there"


# Quantised weights

NAME = "model.layers.0.mlp.up_proj.weight"
NO_CONFIG = (
    "its weights are quantised ({}; 1, such as " + NAME + "), and config.json has no quantization_config that says how "
    "to read them: use the config.json that belongs to these weights, or the unquantised model"
)


@pytest.mark.parametrize(("dtype", "stored"), [(torch.int8, "I8"), (torch.float8_e4m3fn, "F8_E4M3")])
def test_codes_without_a_key(dtype: torch.dtype, stored: str, model: Path) -> None:
    change_weights(model, lambda weights: weights.update({NAME: (10 * weights[NAME]).to(dtype)}))
    assert refusal(model) == NO_CONFIG.format(stored)


def quantise(weights: dict[str, Any]) -> dict[str, Any]:
    """Turn the projections of *weights* into fp8 with a scale for each 16 × 16 block; return what they stand for."""
    exact = dict(weights)
    for name in [name for name in weights if "_proj" in name]:
        blocks = weights[name].unfold(0, 16, 16).unfold(1, 16, 16)
        scale = blocks.abs().amax((2, 3)) / 448
        spread = scale.repeat_interleave(16, 0).repeat_interleave(16, 1)
        weights[name] = (weights[name] / spread).to(torch.float8_e4m3fn)
        weights[f"{name}_scale_inv"] = scale
        exact[name] = weights[name].float() * spread
    return exact


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_fp8_is_multiplied_by_its_scales(dtype: str, model: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(model, tmp_path / "plain"))
    weights = load_file(model / WEIGHTS)
    save_file(quantise(weights), plain / WEIGHTS, {"format": "pt"})
    save_file(weights, model / WEIGHTS, {"format": "pt"})
    set_config(model, quantization_config={"quant_method": "fp8", "weight_block_size": [16, 16], "fmt": "e4m3"})
    loaded, expected = (load_model(name, dtype=dtype, compiled=False) for name in (model, plain))
    assert loaded.info.dtype == dtype
    assert np.array_equal(logprobs(loaded), logprobs(expected))


def test_a_quantisation_that_cannot_be_read(model: Path) -> None:
    set_config(model, quantization_config={"quant_method": "gptq", "bits": 4})
    message = refusal(model)
    assert message.startswith("its weights are quantised (gptq), and transformers cannot read them here (")
    assert message.endswith("): name the unquantised model")


# Settings that transformers ignores


@pytest.mark.parametrize("scale", ["inv_sqrt_d_model", 0.3])
def test_the_scale_of_mpt(scale: object, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(500, bos=False, seed=1)
    save(tmp_path, build_family("Mpt", "float32", vocab_size=500), tokenizer)
    set_config(tmp_path, logit_scale=scale)
    assert refusal(tmp_path) == (
        f"its config.json sets logit_scale ({scale!r}), which transformers does not apply to MPT: its probabilities "
        "would be those of another model"
    )


# What has no config.json


def test_the_folder_of_a_gguf_file_or_of_adapters(tmp_path: Path) -> None:
    none = "holds no config.json, so it is not a model that transformers can load"
    (tmp_path / "a.gguf").touch()
    assert refusal(tmp_path) == f"{none}; name its file a.gguf"
    (tmp_path / "a.gguf").rename(tmp_path / "a.txt")
    (tmp_path / "french").mkdir()
    (tmp_path / "french" / "adapter_config.json").touch()
    assert refusal(tmp_path) == f"{none}; name its folder french, an adapter"
