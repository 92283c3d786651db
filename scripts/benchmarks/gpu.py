"""A model of an 8B shape with random weights, on CUDA."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers

from llm_mia.backends import load_model
from llm_mia.backends.local import LocalBackend
from llm_mia.records import Window

from .figures import Figure, medians

# Dense bfloat16 multiplications and additions a second, as the manufacturer states them.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
TOKENS = 512


def shape_figures(vocabulary: int) -> list[Figure]:
    """Share of the card's peak, and speed against batched transformers with whole logits."""
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=8192, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    tokenizer: Any = load_model("embedded").tokenizer  # type: ignore[attr-defined]
    backend = LocalBackend(model, tokenizer, weights_sha256="")
    rng = np.random.default_rng(0)
    windows = [Window(rng.integers(0, vocabulary, TOKENS).astype(np.int32), 1) for _ in range(256)]
    ids: Any = torch.from_numpy(np.stack([w.tokens for w in windows])).long()

    @torch.inference_mode()
    def whole() -> None:
        for batch in ids.split(8):
            on_card = batch.cuda()
            logits = model(on_card, use_cache=False).logits
            logs, probabilities = torch.log_softmax(logits.float(), -1), torch.softmax(logits.float(), -1)
            mean = (probabilities * logs).sum(-1)
            ((probabilities * logs.square()).sum(-1) - mean.square()).sqrt().cpu()
            logs[:, :-1].gather(-1, on_card[:, 1:, None]).cpu()

    def ours() -> None:
        backend.score(windows)

    ours()
    torch.cuda.reset_peak_memory_stats()
    loaded = torch.cuda.memory_allocated()
    seconds = medians({"ours": ours}, 3)["ours"]
    above = torch.cuda.max_memory_allocated() - loaded
    theirs = medians({"whole": whole}, 3)["whole"]
    inner = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name)
    rate = 2.0 * inner * ids.numel() / seconds
    card = torch.cuda.get_device_name()
    peak = next((value for name, value in PEAK.items() if name in card), None)
    speed = f"{ids.numel() / seconds:,.0f} tokens/s, {rate / 1e12:.0f} TFLOP/s"
    note = f"{card}; {speed}, {above / 1e9:.1f} GB above the model"
    name = f"8B shape, vocabulary {vocabulary:,}"
    return [
        Figure(f"{name}: share of bf16 peak", peak and rate / peak, at_least=0.5, note=note),
        Figure(f"{name}: ÷ batched transformers with whole logits", theirs / seconds,
               at_least=2.0 if vocabulary > 200_000 else None),
    ]  # fmt: skip
