"""Small untrained models of many families."""

from __future__ import annotations

from typing import Any

__all__ = ["build_family"]

CHANGES: dict[str, dict[str, Any]] = {
    "GPT2": {"n_positions": 64},
    "Mpt": {"expansion_ratio": 2, "max_seq_len": 64},
    "OPT": {"ffn_dim": 64, "word_embed_proj_dim": 16, "max_position_embeddings": 128},
    "GPTNeoX": {"intermediate_size": 64},
    "Gemma2": {"intermediate_size": 64, "head_dim": 8, "num_key_value_heads": 2, "final_logit_softcapping": 2.0},
    "Cohere": {"intermediate_size": 64, "logit_scale": 0.3, "pad_token_id": 0},
    "Granite": {"intermediate_size": 64, "logits_scaling": 3.0, "num_key_value_heads": 2},
    "Mamba": {"state_size": 4},
    "Mixtral": {"intermediate_size": 64, "num_key_value_heads": 2, "num_local_experts": 4},
    "Bert": {"intermediate_size": 64},
    "Roberta": {"intermediate_size": 64},
}


def build_family(family: str, dtype: str, **changes: Any) -> Any:
    """A model of *family* with a layer and a vocabulary of 300 tokens, unless *changes* give other sizes."""
    import torch
    import transformers

    from llm_mia.backends.local import silence_libraries

    heads = {} if family == "Mamba" else {"num_attention_heads": 4}
    sizes = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1, **heads}
    with silence_libraries():
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(**{**sizes, **CHANGES.get(family, {}), **changes})
        return transformers.AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype)).eval()
