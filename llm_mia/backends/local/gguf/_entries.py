"""The settings in a GGUF file, with an account of which were read; and what most kinds of model have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ....errors import ModelError
from ._file import GgufFile

__all__ = ["Entries", "decoder_settings", "head_dim", "rope_parameters"]

REQUIRED = object()
# Entries that do not change what a model computes, with the reason.
IRRELEVANT: Mapping[str, str] = {
    "vocab_size": "the rows of the embeddings count",
    "rope.scaling.finetuned": "a note on the training",
    "tensor_data_layout": "a note on the source; the order of rows is that of llama.cpp in every file",
    "attention.value_length": "the shape of the tensors is checked",
}
# Entries that may only have these values: transformers has no setting for others.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "attention.causal": (True,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "nextn_predict_layers": (0,),
    "leading_dense_block_count": (0,),
    "logit_scale": (0.0, 1.0),
    "embedding_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "attention.scale": (0.0,),
    "attention.clamp_kqv": (0.0,),
    "attention.sliding_window": (0,),
    "rope.scaling.type": ("none",),
    "use_parallel_residual": (False,),
}


class Entries:
    """The settings of a GGUF file; it keeps account of which were read."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        prefix = f"{file.architecture}."
        self._left = {
            name.removeprefix(prefix): value for name, value in file.entries.items() if name.startswith(prefix)
        }

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, default: Any = REQUIRED) -> Any:
        """The setting *name*, which must be there unless there is a *default*."""
        if name in self._left:
            return self._left.pop(name)
        if default is REQUIRED:
            raise ModelError(f"it lacks the entry {self.file.architecture}.{name}: convert the model again")
        return default

    def take_sizes(self, **names: str) -> dict[str, Any]:
        """The settings under their *names* in the file, which are whole numbers or floats, and no lists."""
        sizes = {ours: self.take(theirs) for ours, theirs in names.items()}
        lists = [names[ours] for ours, size in sizes.items() if isinstance(size, list)]
        if lists:
            raise ModelError(
                f"its layers differ in {lists[0]}, and that was not tested: name the folder that it was converted from"
            )
        return sizes

    def has(self, tensor: str) -> bool:
        """Whether the file holds the *tensor*."""
        return tensor in self.file.stored

    def refuse_unread(self) -> None:
        """Raise a `ModelError` where a setting was not read that may change what the model computes."""
        for name, value in sorted(self._left.items()):
            if name in IRRELEVANT or value in NEUTRAL.get(name, ()):
                continue
            _refuse_lost(self, name, value)


def _refuse_lost(entries: Entries, name: str, value: object) -> NoReturn:
    raise ModelError(
        f"its entry {entries.file.architecture}.{name} ({value!r}) would be lost, and the model would be another: "
        "name the folder of safetensors that it was converted from"
    )


def decoder_settings(entries: Entries, epsilon: str = "rms_norm_eps") -> dict[str, Any]:
    """What most kinds of model share; *epsilon* is the name of that setting in transformers."""
    sizes = entries.take_sizes(
        max_position_embeddings="context_length",
        hidden_size="embedding_length",
        num_hidden_layers="block_count",
        intermediate_size="feed_forward_length",
        num_attention_heads="attention.head_count",
    )
    norm = "attention.layer_norm_rms_epsilon" if epsilon == "rms_norm_eps" else "attention.layer_norm_epsilon"
    if "attention.head_count_kv" not in entries:
        return {**sizes, "num_key_value_heads": sizes["num_attention_heads"], epsilon: entries.take(norm)}
    shared = entries.take_sizes(num_key_value_heads="attention.head_count_kv")
    return {**sizes, **shared, epsilon: entries.take(norm)}


def head_dim(entries: Entries, settings: dict[str, Any], *, any_width: bool = True) -> int:
    """The width of an attention head; without *any_width* transformers divides the width of the model by the heads."""
    default = settings["hidden_size"] // settings["num_attention_heads"]
    settings.setdefault("head_dim", int(entries.take("attention.key_length", default)))
    if settings["head_dim"] != default and not any_width:
        _refuse_lost(entries, "attention.key_length", settings["head_dim"])
    return int(settings["head_dim"])


def rope_parameters(entries: Entries, settings: dict[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """How positions are encoded, with the factors of the file where it has them.

    Factors for each frequency are the same in every length here, so what transformers calls ``longrope`` with two equal
    lists is Llama 3.1's scaling, too.

    Args:
        entries: the settings of the file.
        settings: those of transformers so far.
        partial: in transformers this kind of model can rotate a part of each head; other kinds rotate the whole head,
            whatever their configuration says.
    """
    width = head_dim(entries, settings)
    rotated = int(entries.take("rope.dimension_count", width))
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": entries.take("rope.freq_base", 10000.0)}
    if rotated != width:
        if not partial:
            _refuse_lost(entries, "rope.dimension_count", rotated)
        rope["partial_rotary_factor"] = rotated / width
    factors = ["rope_freqs.weight"] * 2
    if not entries.has(factors[0]):
        factors = ["rope_factors_short.weight", "rope_factors_long.weight"]
    context = settings["max_position_embeddings"]
    if entries.has(factors[0]):
        short, long = (entries.file.values(name).tolist() for name in factors)
        original = entries.take("rope.scaling.original_context_length", context)
        if entries.take("rope.scaling.type", "longrope") not in ("none", "longrope"):
            raise ModelError(
                "its positions are scaled twice, which was not tested: name the folder it was converted from"
            )
        entries.take("rope.scaling.factor", None)  # the factors of the frequencies contain it
        if len(short) * 2 != rotated:
            raise ModelError(f"its tensor {factors[0]} has {len(short)} factors, and its settings need {rotated // 2}")
        return {
            **rope,
            "rope_type": "longrope",
            "short_factor": short,
            "long_factor": long,
            "factor": max(1.0, context / original),
            "attention_factor": entries.take("rope.scaling.attn_factor", 1.0),
            "original_max_position_embeddings": original,
        }
    scaling = entries.take("rope.scaling.type", "none")
    if scaling == "linear":
        return {**rope, "rope_type": "linear", "factor": entries.take("rope.scaling.factor")}
    if scaling == "yarn":
        return {
            **rope,
            "rope_type": "yarn",
            "factor": entries.take("rope.scaling.factor"),
            "original_max_position_embeddings": entries.take("rope.scaling.original_context_length"),
            "beta_fast": entries.take("rope.scaling.yarn_beta_fast", 32.0),
            "beta_slow": entries.take("rope.scaling.yarn_beta_slow", 1.0),
        }
    if scaling != "none":
        raise ModelError(f"its positions are scaled in a way that was not tested ({scaling}): name the original folder")
    return rope
