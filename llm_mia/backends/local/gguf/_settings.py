"""From the entries of a GGUF file to the configuration of transformers for the same model.

llama.cpp writes some settings under other names, holds others in its code, and writes some kinds of model in another
form. Each function below is a kind that a test compares with the model that transformers saves. An entry that nothing
here reads would be lost, so it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ....errors import ModelError
from ._entries import Entries, decoder_settings, head_dim, rope_parameters
from ._file import GgufFile

__all__ = ["ARCHITECTURES", "transformers_settings"]


def _llama(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries)
    settings["rope_parameters"] = rope_parameters(entries, settings)
    if entries.has("blk.0.ffn_gate_inp.weight"):
        experts = entries.take_sizes(num_local_experts="expert_count", num_experts_per_tok="expert_used_count")
        return {"model_type": "mixtral", **settings, **experts, "sliding_window": None}
    window = entries.take("attention.sliding_window", 0)
    if window:
        return {"model_type": "mistral", **settings, "sliding_window": window}
    biases = {"attention_bias": entries.has("blk.0.attn_q.bias"), "mlp_bias": entries.has("blk.0.ffn_up.bias")}
    return {"model_type": "llama", **settings, **biases}


def _qwen2(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries)
    settings["rope_parameters"] = rope_parameters(entries, settings)
    return {"model_type": "qwen2", **settings}


def _qwen2_moe(entries: Entries) -> dict[str, Any]:
    experts = entries.take_sizes(
        num_experts="expert_count",
        num_experts_per_tok="expert_used_count",
        moe_intermediate_size="expert_feed_forward_length",
        shared_expert_intermediate_size="expert_shared_feed_forward_length",
    )
    return {**_qwen2(entries), "model_type": "qwen2_moe", **experts, "norm_topk_prob": False}


def _qwen3(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries)
    settings["rope_parameters"] = rope_parameters(entries, settings)
    return {"model_type": "qwen3", **settings}


def _qwen3_moe(entries: Entries) -> dict[str, Any]:
    experts = entries.take_sizes(
        num_experts="expert_count",
        num_experts_per_tok="expert_used_count",
        moe_intermediate_size="expert_feed_forward_length",
    )
    return {**_qwen3(entries), "model_type": "qwen3_moe", **experts, "norm_topk_prob": True}


def _gemma(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries)
    settings["rope_parameters"] = rope_parameters(entries, settings)
    return {"model_type": "gemma", **settings}


def _attention_scale(settings: dict[str, Any], largest: int) -> int:
    """The square of what attention scores are divided by; llama.cpp's code has another for the *largest* model."""
    if settings["num_hidden_layers"] == largest:
        return int(settings["hidden_size"] // settings["num_attention_heads"])
    return int(settings["head_dim"])


def _gemma2(entries: Entries) -> dict[str, Any]:
    settings = {**_gemma(entries), "model_type": "gemma2"}
    return {
        **settings,
        "query_pre_attn_scalar": _attention_scale(settings, 46),
        "sliding_window": entries.take("attention.sliding_window", 4096),
        "attn_logit_softcapping": entries.take("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": entries.take("final_logit_softcapping", 30.0),
    }


def _gemma3(entries: Entries) -> dict[str, Any]:
    local = {"rope_type": "default", "rope_theta": entries.take("rope.freq_base_swa", 10000.0)}
    every = entries.take("attention.sliding_window_pattern", 6)
    settings = {**_gemma(entries), "model_type": "gemma3_text"}
    layers = range(settings["num_hidden_layers"])
    slides = every if isinstance(every, list) else [(i + 1) % every != 0 for i in layers]
    return {
        **settings,
        "query_pre_attn_scalar": _attention_scale(settings, 62),
        "sliding_window": entries.take("attention.sliding_window"),
        "layer_types": ["sliding_attention" if slides[i] else "full_attention" for i in layers],
        "rope_parameters": {"full_attention": settings["rope_parameters"], "sliding_attention": local},
        "final_logit_softcapping": entries.take("final_logit_softcapping", None),
    }


def _phi3(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries)
    rope = rope_parameters(entries, settings, partial=True)
    context = settings["max_position_embeddings"]
    original = rope.get(
        "original_max_position_embeddings", entries.take("rope.scaling.original_context_length", context)
    )
    return {
        "model_type": "phi3",
        **settings,
        "rope_parameters": {"partial_rotary_factor": 1.0, **rope},
        "original_max_position_embeddings": original,
        "sliding_window": entries.take("attention.sliding_window", 0) or None,
    }


def _starcoder2(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries, "norm_epsilon")
    settings["rope_parameters"] = rope_parameters(entries, settings)
    window = entries.take("attention.sliding_window", 0) or None
    return {
        "model_type": "starcoder2",
        **settings,
        "use_bias": entries.has("blk.0.attn_q.bias"),
        "sliding_window": window,
    }


def _stablelm(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries, "layer_norm_eps")
    settings["rope_parameters"] = {
        "partial_rotary_factor": 1.0,
        **rope_parameters(entries, settings, partial=True),
    }
    entries.take("use_parallel_residual", None)  # the norm that such a model lacks says so
    return {
        "model_type": "stablelm",
        **settings,
        "use_qkv_bias": entries.has("blk.0.attn_q.bias"),
        "use_parallel_residual": not entries.has("blk.0.ffn_norm.weight"),
    }


def _nemotron(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries, "norm_eps")
    settings["rope_parameters"] = {"partial_rotary_factor": 1.0, **rope_parameters(entries, settings, partial=True)}
    biases = {"attention_bias": entries.has("blk.0.attn_q.bias"), "mlp_bias": entries.has("blk.0.ffn_up.bias")}
    return {"model_type": "nemotron", **settings, **biases}


def _gpt_neox(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries, "layer_norm_eps")
    settings.pop("num_key_value_heads")
    head_dim(entries, settings, any_width=False)
    rope = rope_parameters(entries, settings, partial=True)
    return {
        "model_type": "gpt_neox",
        **settings,
        "rope_parameters": {"partial_rotary_factor": 1.0, **rope},
        "use_parallel_residual": entries.take("use_parallel_residual", True),
    }


def _falcon(entries: Entries) -> dict[str, Any]:
    settings = decoder_settings(entries, "layer_norm_epsilon")
    key_value_heads = settings.pop("num_key_value_heads")
    head_dim(entries, settings, any_width=False)
    rope = rope_parameters(entries, settings)
    del settings["head_dim"]  # it follows from the width
    return {
        "model_type": "falcon",
        **settings,
        "rope_parameters": rope,
        "ffn_hidden_size": settings.pop("intermediate_size"),
        "new_decoder_architecture": key_value_heads != 1,
        "num_kv_heads": key_value_heads,
        "num_ln_in_parallel_attn": 2 if entries.has("blk.0.attn_norm_2.weight") else 1,
    }


def _gpt2(entries: Entries) -> dict[str, Any]:
    sizes = entries.take_sizes(
        n_positions="context_length",
        n_embd="embedding_length",
        n_layer="block_count",
        n_inner="feed_forward_length",
        n_head="attention.head_count",
        layer_norm_epsilon="attention.layer_norm_epsilon",
    )
    if entries.take("attention.head_count_kv", sizes["n_head"]) != sizes["n_head"]:
        raise ModelError(
            "its heads share keys and values, which GPT-2 does not: name the folder that it was converted from"
        )
    return {"model_type": "gpt2", **sizes}


def _bloom(entries: Entries) -> dict[str, Any]:
    entries.take("context_length", None)  # its positions have no end
    entries.take("feed_forward_length", None)  # always four times the width
    entries.take("attention.head_count_kv", None)  # always all heads
    sizes = entries.take_sizes(
        hidden_size="embedding_length",
        n_layer="block_count",
        n_head="attention.head_count",
        layer_norm_epsilon="attention.layer_norm_epsilon",
    )
    return {"model_type": "bloom", **sizes}


def _mamba(entries: Entries) -> dict[str, Any]:
    entries.take("context_length", None)  # its positions have no end
    entries.take("feed_forward_length", None)  # it has no such layers,
    entries.take("attention.head_count", None)  # nor any attention
    if entries.take("ssm.dt_b_c_rms", False):
        raise ModelError("it normalises its time steps (FalconMamba), which was not tested: name the original folder")
    sizes = entries.take_sizes(
        hidden_size="embedding_length",
        num_hidden_layers="block_count",
        layer_norm_epsilon="attention.layer_norm_rms_epsilon",
        conv_kernel="ssm.conv_kernel",
        state_size="ssm.state_size",
        time_step_rank="ssm.time_step_rank",
        intermediate_size="ssm.inner_size",
    )
    return {"model_type": "mamba", **sizes, "expand": sizes["intermediate_size"] // sizes["hidden_size"]}


ARCHITECTURES: Mapping[str, Callable[[Entries], dict[str, Any]]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen2moe": _qwen2_moe,
    "qwen3": _qwen3,
    "qwen3moe": _qwen3_moe,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "phi3": _phi3,
    "starcoder2": _starcoder2,
    "stablelm": _stablelm,
    "nemotron": _nemotron,
    "gptneox": _gpt_neox,
    "gpt2": _gpt2,
    "falcon": _falcon,
    "bloom": _bloom,
    "mamba": _mamba,
}
"""By llama.cpp's name for a kind of model: the function that gives its configuration in transformers."""


def transformers_settings(file: GgufFile) -> dict[str, Any]:
    """The configuration of the model in *file*, with `model_type`.

    Raises:
        ModelError: it is of a kind that was not tested, or has a setting that would be lost.
    """
    kind = file.entries.get("general.type", "model")
    if kind != "model":
        raise ModelError(f"is a GGUF file of the type {kind!r}, and no whole model: name the file of the model")
    if file.architecture not in ARCHITECTURES:
        raise ModelError(
            f"GGUF files of the architecture {file.architecture!r} were not tested: name the folder of safetensors "
            f"that it was converted from (tested: {', '.join(ARCHITECTURES)})"
        )
    if not file.stored.keys() & {"token_embd.weight"}:
        raise ModelError("its weights are incomplete: the tensor token_embd.weight is missing")
    entries = Entries(file)
    settings = ARCHITECTURES[file.architecture](entries)
    entries.refuse_unread()
    tokens = {name: file.entries.get(f"tokenizer.ggml.{name}") for name in ("bos_token_id", "eos_token_id")}
    return {
        "vocab_size": file.shape("token_embd.weight")[0],
        "tie_word_embeddings": "output.weight" not in file.stored,
        "pad_token_id": None,
        **tokens,
        **settings,
    }
