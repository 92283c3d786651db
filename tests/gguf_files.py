"""GGUF files as llama.cpp's converter writes them (convert_hf_to_gguf.py), for small models of many families."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GGUF_FAMILIES", "GgufFamily", "gguf_tensors", "write_model"]

Array = NDArray[np.float32]
Change = Callable[[str, Array], Array]


def unchanged(_: str, array: Array) -> Array:
    return array


def neighbours(queries: int, keys: int) -> Change:
    """Rows of queries and keys so that RoPE turns neighbours (``LlamaModel.permute``)."""

    def change(name: str, array: Array) -> Array:
        heads = queries if "q_proj" in name else keys if "k_proj" in name else 0
        if not heads:
            return array
        return (
            array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        )

    return change


def plus_one(name: str, array: Array) -> Array:
    """``data_torch + 1`` for norms of Gemma and Nemotron."""
    return array + 1 if name.endswith("norm.weight") else array


def turned(name: str, array: Array) -> Array:
    """``data_torch.transpose(1, 0)`` for the Conv1D layers of GPT-2."""
    return array.T if name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")) else array


def queries_first(heads: int) -> Change:
    """All queries, all keys, all values (``BloomModel``, ``GPTNeoXModel``)."""

    def change(name: str, array: Array) -> Array:
        if "query_key_value" not in name:
            return array
        parts = array.reshape(heads, 3, -1, *array.shape[1:])
        return np.concatenate([parts[:, i].reshape(-1, *array.shape[1:]) for i in range(3)])

    return change


def groups_apart(queries: int, keys: int) -> Change:
    """All queries, all keys, all values where heads share keys (``FalconModel``)."""

    def change(name: str, array: Array) -> Array:
        if "query_key_value" not in name:
            return array
        parts = array.reshape(keys, queries // keys + 2, -1, array.shape[1])
        kinds = (parts[:, :-2], parts[:, [-2]], parts[:, [-1]])
        return np.concatenate([kind.reshape(-1, array.shape[1]) for kind in kinds])

    return change


def of_mamba(name: str, array: Array) -> Array:
    if name.endswith("A_log"):
        return -np.exp(array)
    return array.squeeze(1) if "conv1d.weight" in name else array


@dataclass(frozen=True)
class GgufFamily:
    """A family of models: how transformers configures a small model, and what llama.cpp's converter writes for it."""

    family: str
    """The name in transformers, without ``Config``."""
    architecture: str
    config: Mapping[str, Any]
    entries: Mapping[str, Any]
    change: Change = unchanged
    extra: Mapping[str, Array] = field(default_factory=dict)
    """Tensors that are not weights."""
    exact: bool = True
    """Whether all numbers come through the file without rounding."""


WIDTH, HEADS, KEYS, INNER, LAYERS, CONTEXT = 32, 4, 2, 48, 2, 64
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEYS,
    "intermediate_size": INNER,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
    "pad_token_id": None,
}
ENTRIES: dict[str, Any] = {
    "context_length": CONTEXT,
    "embedding_length": WIDTH,
    "block_count": LAYERS,
    "feed_forward_length": INNER,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KEYS,
}
RMS = {**ENTRIES, "attention.layer_norm_rms_epsilon": 1e-5}
NORM = {**ENTRIES, "attention.layer_norm_epsilon": 1e-5}
ROPE = {"rope.freq_base": 500.0}
THETA = {"rope_type": "default", "rope_theta": 500.0}
WIDE = {"attention.key_length": 12, "attention.value_length": 12}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
    "rope_theta": 500.0,
}


def llama3_factors() -> Array:
    """What ``LlamaModel.generate_extra_tensors`` computes for `LLAMA3`."""
    lengths = 2 * np.pi * 500.0 ** (np.arange(0, 8, 2) / 8)
    smooth = (16 / lengths - 1.0) / (4.0 - 1.0)
    middle = 1 / ((1 - smooth) / 8.0 + smooth)
    return np.where(lengths < 16 / 4.0, 1.0, np.where(lengths > 16 / 1.0, 8.0, middle)).astype(np.float32)


def scaled(kind: str, factor: float, **more: float) -> dict[str, Any]:
    return {"rope_parameters": {**THETA, "rope_type": kind, "factor": factor, **more}}


SHORT, LONG = [1.0, 1.5, 2.0, 2.5], [2.0, 4.0, 8.0, 16.0]
LONGROPE = {
    **THETA,
    "rope_type": "longrope",
    "short_factor": SHORT,
    "long_factor": LONG,
    "original_max_position_embeddings": 16,
}
EXPERTS = {"expert_count": 4, "expert_used_count": 2}
SLIDING = {"attention.sliding_window": 5}
PLAIN_LLAMA = {**RMS, **ROPE, "rope.dimension_count": 8}
PERMUTED = neighbours(HEADS, KEYS)

GGUF_FAMILIES: dict[str, GgufFamily] = {
    "llama": GgufFamily(
        "Llama", "llama", {**SIZES, "rope_parameters": THETA, "rms_norm_eps": 1e-5}, PLAIN_LLAMA, PERMUTED
    ),
    "llama, biases, wide heads, tied": GgufFamily(
        "Llama",
        "llama",
        {
            **SIZES,
            "rope_parameters": THETA,
            "rms_norm_eps": 1e-2,
            "head_dim": 12,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
        },
        {**PLAIN_LLAMA, **WIDE, "rope.dimension_count": 12, "attention.layer_norm_rms_epsilon": 1e-2},
        PERMUTED,
    ),
    "llama 3.1": GgufFamily(
        "Llama",
        "llama",
        {**SIZES, "rope_parameters": LLAMA3, "rms_norm_eps": 1e-5},
        PLAIN_LLAMA,
        PERMUTED,
        {"rope_freqs.weight": llama3_factors()},
        exact=False,  # transformers divides the frequencies in another order
    ),
    "llama, linear": GgufFamily(
        "Llama",
        "llama",
        {**SIZES, **scaled("linear", 4.0), "rms_norm_eps": 1e-5},
        {**PLAIN_LLAMA, "rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        PERMUTED,
    ),
    "mistral": GgufFamily(
        "Mistral",
        "llama",
        {**SIZES, "rope_parameters": THETA, "rms_norm_eps": 1e-5, "sliding_window": 5},
        {**PLAIN_LLAMA, **SLIDING},
        PERMUTED,
    ),
    "mixtral": GgufFamily(
        "Mixtral",
        "llama",
        {**SIZES, "rope_parameters": THETA, "rms_norm_eps": 1e-5, "num_local_experts": 4, "num_experts_per_tok": 2},
        {**PLAIN_LLAMA, **EXPERTS},
        PERMUTED,
    ),
    "qwen2, yarn": GgufFamily(
        "Qwen2",
        "qwen2",
        {**SIZES, **scaled("yarn", 4.0, original_max_position_embeddings=16), "rms_norm_eps": 1e-5},
        {
            **RMS,
            **ROPE,
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 16,
            "rope.scaling.finetuned": True,
        },
    ),
    "qwen2moe": GgufFamily(
        "Qwen2Moe",
        "qwen2moe",
        {
            **SIZES,
            "rope_parameters": THETA,
            "rms_norm_eps": 1e-5,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "shared_expert_intermediate_size": 40,
        },
        {**RMS, **ROPE, **EXPERTS, "expert_feed_forward_length": 24, "expert_shared_feed_forward_length": 40},
    ),
    "qwen3": GgufFamily(
        "Qwen3",
        "qwen3",
        {**SIZES, "rope_parameters": THETA, "rms_norm_eps": 1e-5, "head_dim": 12},
        {**RMS, **ROPE, **WIDE},
    ),
    "qwen3moe": GgufFamily(
        "Qwen3Moe",
        "qwen3moe",
        {
            **SIZES,
            "rope_parameters": THETA,
            "rms_norm_eps": 1e-5,
            "head_dim": 12,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "norm_topk_prob": True,
        },
        {**RMS, **ROPE, **WIDE, **EXPERTS, "expert_feed_forward_length": 24},
    ),
    "gemma": GgufFamily(
        "Gemma",
        "gemma",
        {**SIZES, "rope_parameters": THETA, "rms_norm_eps": 1e-5, "head_dim": 12},
        {**RMS, **ROPE, **WIDE},
        plus_one,
    ),
    "gemma2": GgufFamily(
        "Gemma2",
        "gemma2",
        {
            **SIZES,
            "rope_parameters": THETA,
            "rms_norm_eps": 1e-5,
            "head_dim": 12,
            "query_pre_attn_scalar": 12,
            "sliding_window": 5,
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 4.0,
        },
        {**RMS, **ROPE, **WIDE, **SLIDING, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 4.0},
        plus_one,
    ),
    "gemma2, 27B": GgufFamily(
        "Gemma2",
        "gemma2",
        {
            **SIZES,
            "num_hidden_layers": 46,
            "rope_parameters": THETA,
            "rms_norm_eps": 1e-5,
            "head_dim": 12,
            "query_pre_attn_scalar": 8,
            "sliding_window": 5,
        },
        {**RMS, **ROPE, **WIDE, **SLIDING, "block_count": 46},
        plus_one,
    ),
    "gemma3": GgufFamily(
        "Gemma3Text",
        "gemma3",
        {
            **SIZES,
            "num_hidden_layers": 7,
            "rms_norm_eps": 1e-5,
            "head_dim": 12,
            "query_pre_attn_scalar": 12,
            "sliding_window": 5,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 500.0, "factor": 8.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        },
        {
            **RMS,
            **ROPE,
            **WIDE,
            **SLIDING,
            "block_count": 7,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
        plus_one,
    ),
    "phi3": GgufFamily(
        "Phi3",
        "phi3",
        {**SIZES, "rope_parameters": THETA, "rms_norm_eps": 1e-5, "sliding_window": 5},
        {**RMS, **ROPE, **SLIDING, "rope.dimension_count": 8, "rope.scaling.original_context_length": CONTEXT},
    ),
    "phi3, longrope": GgufFamily(
        "Phi3",
        "phi3",
        {**SIZES, "rope_parameters": LONGROPE, "original_max_position_embeddings": 16, "rms_norm_eps": 1e-5},
        {
            **RMS,
            **ROPE,
            "rope.dimension_count": 8,
            "rope.scaling.original_context_length": 16,
            "rope.scaling.attn_factor": float(np.sqrt(1 + np.log(CONTEXT / 16) / np.log(16))),
            "attention.sliding_window": 0,
        },
        extra={
            "rope_factors_short.weight": np.array(SHORT, np.float32),
            "rope_factors_long.weight": np.array(LONG, np.float32),
        },
        exact=False,  # the factor of the attention is stored in float32
    ),
    "starcoder2": GgufFamily("Starcoder2", "starcoder2", {**SIZES, "rope_parameters": THETA}, {**NORM, **ROPE}),
    "stablelm": GgufFamily(
        "StableLm",
        "stablelm",
        {**SIZES, "rope_parameters": {**THETA, "partial_rotary_factor": 0.5}, "use_qkv_bias": True},
        {**NORM, **ROPE, "rope.dimension_count": 4, "use_parallel_residual": True},
    ),
    "nemotron": GgufFamily(
        "Nemotron",
        "nemotron",
        {**SIZES, "rope_parameters": {**THETA, "partial_rotary_factor": 0.5}},
        {**NORM, **ROPE, "rope.dimension_count": 4},
        plus_one,
    ),
    "gptneox": GgufFamily(
        "GPTNeoX",
        "gptneox",
        {
            **{name: size for name, size in SIZES.items() if name != "num_key_value_heads"},
            "rope_parameters": {**THETA, "partial_rotary_factor": 0.5},
            "use_parallel_residual": False,
        },
        {**NORM, **ROPE, "attention.head_count_kv": HEADS, "rope.dimension_count": 4, "use_parallel_residual": False},
        queries_first(HEADS),
    ),
    "gpt2": GgufFamily(
        "GPT2",
        "gpt2",
        {
            "n_embd": WIDTH,
            "n_layer": LAYERS,
            "n_head": HEADS,
            "n_positions": CONTEXT,
            "n_inner": INNER,
            "initializer_range": 0.3,
        },
        {name: value for name, value in NORM.items() if name != "attention.head_count_kv"},
        turned,
    ),
    "falcon 7B": GgufFamily(
        "Falcon",
        "falcon",
        {
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "ffn_hidden_size": INNER,
            "max_position_embeddings": CONTEXT,
            "initializer_range": 0.3,
            "rope_parameters": {**THETA, "rope_theta": 10000.0},
        },
        {**NORM, "attention.head_count_kv": 1, "tensor_data_layout": "jploski"},
        groups_apart(HEADS, 1),
    ),
    "falcon 40B": GgufFamily(
        "Falcon",
        "falcon",
        {
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_kv_heads": KEYS,
            "new_decoder_architecture": True,
            "ffn_hidden_size": INNER,
            "max_position_embeddings": CONTEXT,
            "initializer_range": 0.3,
            "rope_parameters": {**THETA, "rope_theta": 10000.0},
        },
        {**NORM, "tensor_data_layout": "jploski"},
        groups_apart(HEADS, KEYS),
    ),
    "bloom": GgufFamily(
        "Bloom",
        "bloom",
        {"hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "initializer_range": 0.3},
        {**NORM, "feed_forward_length": 4 * WIDTH, "attention.head_count_kv": HEADS},
        queries_first(HEADS),
    ),
    "mamba": GgufFamily(
        "Mamba",
        "mamba",
        {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "state_size": 4, "initializer_range": 0.3},
        {
            "context_length": 1 << 20,
            "embedding_length": WIDTH,
            "feed_forward_length": 0,
            "attention.head_count": 0,
            "block_count": LAYERS,
            "ssm.conv_kernel": 4,
            "ssm.inner_size": 2 * WIDTH,
            "ssm.state_size": 4,
            "ssm.time_step_rank": WIDTH // 16,
            "attention.layer_norm_rms_epsilon": 1e-5,
        },
        of_mamba,
    ),
}


def gguf_tensors(case: GgufFamily, model: Any) -> dict[str, Array]:
    """The tensors of *model* under llama.cpp's names; experts one by one become a tensor for each layer."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    names = get_tensor_name_map(
        next(key for key, name in MODEL_ARCH_NAMES.items() if name == case.architecture), model.config.num_hidden_layers
    )
    tied = model.config.tie_word_embeddings
    tensors: dict[str, Array] = dict(case.extra)
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        array = case.change(name, tensor.float().numpy())
        stem, _, kind = name.rpartition(".")
        if kind == "gate_up_proj":
            layer = name.split(".")[2]
            gate, up = np.split(array, 2, axis=1)
            tensors |= {f"blk.{layer}.ffn_gate_exps.weight": gate, f"blk.{layer}.ffn_up_exps.weight": up}
        elif kind in ("weight", "bias"):
            tensors[f"{names.get_name(stem) or names.get_name(stem.removeprefix('transformer.'))}.{kind}"] = array
        else:
            suffix = ".weight" if kind == "down_proj" else ""
            tensors[f"{names.get_name(name)}{suffix}"] = array
    return tensors


def write_model(
    path: Path,
    architecture: str,
    entries: Mapping[str, Any],
    tensors: Mapping[str, Array],
    tokenizer: Path,
    parts: Sequence[Sequence[str]] | None = None,
    codes: str = "Q8_0",
) -> list[Path]:
    """Write a GGUF file with the tokenizer of a folder, or a file for each of *parts*, which are names of tensors.

    Tensors of bytes are stored as quantised numbers of the kind *codes*.
    """
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.constants import TokenType

    names = [[*tensors]] if parts is None else parts
    count = len(names)
    paths = (
        [path]
        if count == 1
        else [path.with_name(f"{path.stem}-{i:05}-of-{count:05}.gguf") for i in range(1, count + 1)]
    )
    described = json.loads((tokenizer / "tokenizer.json").read_text())["model"]
    vocabulary = sorted(described["vocab"], key=described["vocab"].__getitem__)
    for number, (part, held) in enumerate(zip(paths, names, strict=True)):
        file = GGUFWriter(part, architecture)
        if count > 1:
            file.add_uint16("split.no", number)
            file.add_uint16("split.count", count)
            file.add_int32("split.tensors.count", sum(map(len, names)))
        if number == 0:
            file.add_name("small")
            for name, value in entries.items():
                _add_entry(file, name if name.startswith("general.") else f"{architecture}.{name}", value)
            file.add_tokenizer_model("gpt2")
            file.add_tokenizer_pre("gpt-2")
            file.add_token_list(vocabulary)
            file.add_token_types([TokenType.CONTROL] * 2 + [TokenType.NORMAL] * (len(vocabulary) - 2))
            file.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in described["merges"]])
            file.add_bos_token_id(0)
            file.add_eos_token_id(1)
        for name in held:
            array = np.ascontiguousarray(tensors[name])
            file.add_tensor(name, array, raw_dtype=GGMLQuantizationType[codes] if array.dtype == np.uint8 else None)
        file.write_header_to_file()
        file.write_kv_data_to_file()
        file.write_tensors_to_file()
        file.close()
    return paths


def _add_entry(file: Any, name: str, value: Any) -> None:
    add = {
        bool: file.add_bool,
        int: file.add_uint32,
        float: file.add_float32,
        str: file.add_string,
        list: file.add_array,
    }
    add[type(value)](name, value)
