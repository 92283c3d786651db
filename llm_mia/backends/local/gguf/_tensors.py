"""The tensors of a GGUF file under the names and in the order of transformers: all of them, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from ....errors import ModelError
from ._file import GgufFile

__all__ = ["check_tensors", "read_tensors"]

Array = NDArray[np.float32]
EXPERTS = re.compile(r"model\.layers\.(\d+)\.mlp\.experts\.(gate_up_proj|down_proj)")
# They are in the configuration.
SETTINGS = {"rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"}


def check_tensors(file: GgufFile, config: Any) -> dict[str, list[str]]:
    """By the name in transformers of each tensor of the model: the tensors of *file* that it is made of.

    Raises:
        ModelError: a tensor is missing, has another shape, or has no place in the model.
    """
    sources: dict[str, list[str]] = {}
    shapes = _shapes(config)
    names = _names(file, config, shapes)
    for ours, theirs in names.items():
        missing = [name for name in theirs if name not in file.stored]
        if missing:
            raise ModelError(
                f"its weights are incomplete: the tensor {missing[0]} is missing, so the model would be filled with "
                "random numbers: download or copy the file again"
            )
        size, expected = sum(int(np.prod(file.shape(name))) for name in theirs), int(np.prod(shapes[ours]))
        if size != expected:
            raise ModelError(
                f"its tensor {theirs[0]} holds {size} numbers, and its settings require {expected}: download or copy "
                "the file again"
            )
        sources[ours] = theirs
    used = {name for theirs in sources.values() for name in theirs} | SETTINGS
    unused = sorted(set(file.stored) - used)
    if unused:
        raise ModelError(
            f"its weights hold tensors that the model has no place for ({len(unused)}, such as {unused[0]}): without "
            "them it is another model; name the folder of safetensors that it was converted from"
        )
    return sources


def read_tensors(file: GgufFile, config: Any, sources: Mapping[str, list[str]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of the model by its name in transformers, in float32.

    Args:
        file: a GGUF file.
        config: the configuration of its model.
        sources: what `check_tensors` gives.

    Raises:
        ModelError: a tensor has another shape, with as many numbers.
    """
    restore = CHANGES.get(file.architecture, _unchanged)
    shapes = _shapes(config)
    for ours, theirs in sources.items():
        values = [restore(name, file.values(name), config) for name in theirs]
        array = values[0] if len(values) == 1 else np.concatenate(values, axis=1)  # the experts' gates, then their ups
        if np.squeeze(array).shape != tuple(size for size in shapes[ours] if size != 1):
            raise ModelError(
                f"its tensor {theirs[0]} has the shape {file.shape(theirs[0])}, and its settings require another: "
                "convert the model again"
            )
        yield ours, torch.from_numpy(np.ascontiguousarray(array)).reshape(shapes[ours])


def _shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a model; tensors that share their memory count once."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    seen: set[int] = set()
    shapes = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            shapes[name] = tuple(tensor.shape)
    return shapes


def _names(file: GgufFile, config: Any, shapes: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tensors of *file* for each tensor of a model with these *shapes*."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    architecture = next(key for key, name in MODEL_ARCH_NAMES.items() if name == file.architecture)
    known = get_tensor_name_map(architecture, config.num_hidden_layers)
    names = {}
    for ours in shapes:
        experts = EXPERTS.fullmatch(ours)
        if experts:
            names[ours] = _expert_names(file, *experts.groups())
            continue
        stem, _, kind = ours.rpartition(".")
        if kind not in ("weight", "bias"):
            stem, kind = ours, ""
        theirs = known.get_name(stem) or known.get_name(stem.removeprefix("transformer."))
        if theirs is None:
            raise ModelError(f"the package gguf does not know the tensor {ours}: install a newer version of gguf")
        names[ours] = [f"{theirs}.{kind}" if kind else theirs]
    return names


def _expert_names(file: GgufFile, layer: str, part: str) -> list[str]:
    if part == "down_proj":
        return [f"blk.{layer}.ffn_down_exps.weight"]
    fused = f"blk.{layer}.ffn_gate_up_exps.weight"
    return [fused] if fused in file.stored else [f"blk.{layer}.ffn_{half}_exps.weight" for half in ("gate", "up")]


# What llama.cpp changes when it writes a file, undone. The name is that of the tensor in the file.


def _unchanged(_: str, values: Array, __: Any) -> Array:
    return values


def _halves(name: str, values: Array, config: Any) -> Array:
    """RoPE rotates pairs of neighbours in llama.cpp, and pairs from the two halves of a head in transformers."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return values
    return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _norms_around_zero(name: str, values: Array, _: Any) -> Array:
    """The weights of norms are stored with 1 added."""
    return values - 1 if name.endswith("norm.weight") else values


def _transposed(name: str, values: Array, _: Any) -> Array:
    """The matrices of GPT-2 have rows for inputs."""
    is_matrix = name.endswith((".attn_qkv.weight", ".attn_output.weight", ".ffn_up.weight", ".ffn_down.weight"))
    return values.T if is_matrix else values


def _head_by_head(name: str, values: Array, config: Any) -> Array:
    """Queries, keys and values follow each other for each head, and not for all heads together."""
    if ".attn_qkv." not in name:
        return values
    return values.reshape(3, config.num_attention_heads, -1, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)


def _group_by_group(name: str, values: Array, config: Any) -> Array:
    """The queries that share keys and values are followed by these."""
    if ".attn_qkv." not in name:
        return values
    groups = config.num_kv_heads if config.new_decoder_architecture else 1
    width = config.hidden_size // config.num_attention_heads
    ends = np.cumsum([config.num_attention_heads * width, groups * width])
    parts = [part.reshape(groups, -1, width, *values.shape[1:]) for part in np.split(values, ends)]
    return np.concatenate(parts, axis=1).reshape(values.shape)


def _log_of_decay(name: str, values: Array, _: Any) -> Array:
    """The decay of Mamba is stored as minus its exponential."""
    return np.log(-values) if name.endswith(".ssm_a") else values


CHANGES: Mapping[str, Callable[[str, Array, Any], Array]] = {
    "llama": _halves,
    "gemma": _norms_around_zero,
    "gemma2": _norms_around_zero,
    "gemma3": _norms_around_zero,
    "nemotron": _norms_around_zero,
    "gpt2": _transposed,
    "gptneox": _head_by_head,
    "bloom": _head_by_head,
    "falcon": _group_by_group,
    "mamba": _log_of_decay,
}
