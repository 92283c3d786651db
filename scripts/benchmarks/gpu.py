"""Models of an 8B shape with random weights on a CUDA device, and the kernel of the statistics against float64.

The same figures of a small shape on a CPU show that the code runs; they measure nothing of a card.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from llm_mia.backends.local import LocalBackend
from llm_mia.backends.moments import Head, Reducer
from llm_mia.records import Window

from .figures import Figure, medians

# Dense bfloat16 multiplications and additions a second, as the manufacturer states them.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
VOCABULARIES = (32_000, 49_152, 128_256, 151_936, 262_144)
STATISTICS = ("logprob", "mean", "std", "top", "rank")
ALLOWED = {"logprob": 1e-5, "mean": 1e-5, "std": 1e-4, "top": 1e-5, "rank": 0.0}
"""As in tests/test_moments.py: relative or absolute, whichever is larger."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a model, and of what it reads."""

    name: str
    width: int
    intermediate: int
    layers: int
    heads: int
    tokens: int
    """Of a window."""
    windows: int
    together: int
    """Windows whose whole logits are held at once."""
    device: str = "cuda"
    vocabularies: tuple[int, int] = (128_256, 256_000)


EIGHT_B = Shape("8B shape", 4096, 14_336, 32, 32, 512, 256, 8)
SMALL = Shape("small shape on the CPU", 64, 128, 2, 4, 32, 8, 4, "cpu", (2_000, 4_000))


def kernel_figures(vocabularies: Sequence[int] = VOCABULARIES, device: str = "cuda") -> list[Figure]:
    """The largest error of each statistic of the CUDA kernel against float64, as a share of what is allowed."""
    from llm_mia.backends.moments.triton_kernel import triton_sweep

    worst = {(name, dtype): 0.0 for dtype in (torch.float32, torch.bfloat16) for name in STATISTICS}
    for vocabulary in vocabularies:
        for dtype in (torch.float32, torch.bfloat16):
            generator = torch.Generator().manual_seed(vocabulary)
            logits = (4 * torch.randn(64, vocabulary, generator=generator)).to(dtype).to(device)
            targets = torch.randint(0, vocabulary, (64,), generator=generator).to(device)
            for name, error in zip(STATISTICS, _errors(triton_sweep(logits, targets), logits, targets), strict=True):
                worst[name, dtype] = max(worst[name, dtype], error)
    sizes = f"vocabularies {', '.join(f'{vocabulary:,}' for vocabulary in vocabularies)}; 64 rows each"
    return [
        Figure(f"kernel against float64, {str(dtype).removeprefix('torch.')}: error of {name} ÷ allowed", value,
               at_most=1.0, note=sizes)
        for (name, dtype), value in worst.items()
    ]  # fmt: skip


def _errors(moments: Sequence[Tensor], logits: Tensor, targets: Tensor) -> Iterator[float]:
    """The largest error of each statistic as a share of what is allowed; of ranks, how many are wrong."""
    logp = torch.log_softmax(logits.double(), -1)
    p = logp.exp()
    mean = (p * logp).sum(-1)
    std = (p * (logp - mean[:, None]).square()).sum(-1).sqrt()
    actual = logp.gather(1, targets[:, None])[:, 0]
    rank = (logits > logits.gather(1, targets[:, None])).sum(-1)
    for name, computed, expected in zip(STATISTICS, moments, (actual, mean, std, logp.amax(-1), rank), strict=True):
        difference = (computed.double() - expected.double()).abs()
        if name == "rank":
            yield float((difference > 0).sum())
        else:
            yield float((difference / (ALLOWED[name] * expected.double().abs().clamp(min=1.0))).max())


def head_figures(shape: Shape = EIGHT_B) -> list[Figure]:
    """The product with the head and all five statistics of it: operations a second as a share of the card's peak."""
    return [_head_figure(vocabulary, shape) for vocabulary in shape.vocabularies]


def _head_figure(vocabulary: int, shape: Shape) -> Figure:
    _empty(shape)
    rows = shape.tokens * shape.windows
    weight = torch.randn(vocabulary, shape.width, device=shape.device, dtype=torch.bfloat16) * shape.width**-0.5
    states = torch.randn(rows, shape.width, device=shape.device, dtype=torch.bfloat16)
    targets = torch.randint(0, vocabulary, (rows,), device=shape.device)
    reduce = Reducer(Head(weight), vocabulary, states, compiled=shape.device == "cuda")
    seconds = _seconds({"head": partial(reduce, states, targets)}, shape)["head"]
    name = f"head with five statistics, width {shape.width:,}, vocabulary {vocabulary:,}: share of bf16 peak"
    return _share(name, 2.0 * rows * shape.width * vocabulary / seconds, rows / seconds, at_least=0.62)


def shape_figures(vocabulary: int, shape: Shape = EIGHT_B) -> list[Figure]:
    """Share of the card's peak, and speed and memory against batched transformers with whole logits."""
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=shape.width, intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=max(1, shape.heads // 4),
        max_position_embeddings=8192, tie_word_embeddings=False,
    )  # fmt: skip
    _empty(shape)
    torch.manual_seed(0)
    with torch.device(shape.device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    backend = LocalBackend(model, _tokenizer(), weights_sha256="", compiled=shape.device == "cuda")
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, vocabulary, shape.tokens).astype(np.int32) for _ in range(shape.windows)]
    windows, ids = [Window(tokens, 1) for tokens in drawn], torch.from_numpy(np.stack(drawn)).long()
    ways: dict[str, Callable[[], Any]] = {
        "ours": partial(backend.score, windows),
        "whole": partial(_whole_logits, model, ids, shape),
    }
    liger = _liger(model, ids, shape)
    ways |= {} if liger is None else {"liger": liger}
    memory, seconds = {}, dict[str, float]()
    for name, way in ways.items():
        memory[name] = _peak_memory(way, shape)
        seconds |= _seconds({name: way}, shape)
    inner = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name)
    of = f"{shape.name}, vocabulary {vocabulary:,}"
    large = vocabulary > 200_000
    rate, speed = 2.0 * inner * ids.numel() / seconds["ours"], ids.numel() / seconds["ours"]
    return [
        _share(f"{of}: share of bf16 peak", rate, speed, at_least=None if large else 0.60),
        Figure(f"{of}: ÷ batched transformers with whole logits", seconds["whole"] / seconds["ours"],
               at_least=2.0 if large else None, note=f"{ids.numel() / seconds['whole']:,.0f} tokens/s"),
        *(
            Figure(f"{of}: peak memory above the model, {name}", size / 1e9, "GB")
            for name, size in memory.items() if size is not None
        ),
        Figure(f"{of}: ÷ Liger's fused linear cross-entropy", seconds["liger"] / seconds["ours"] if liger else None,
               note="which gives the log-likelihood alone" if liger else "liger-kernel is not installed"),
    ]  # fmt: skip


@torch.inference_mode()
def _whole_logits(model: Any, ids: Tensor, shape: Shape) -> None:
    for batch in torch.split(ids, shape.together):
        on_card = batch.to(shape.device)
        logits = model(on_card, use_cache=False).logits
        logs, probabilities = torch.log_softmax(logits.float(), -1), torch.softmax(logits.float(), -1)
        mean = (probabilities * logs).sum(-1)
        ((probabilities * logs.square()).sum(-1) - mean.square()).sqrt().cpu()
        logs[:, :-1].gather(-1, on_card[:, 1:, None]).cpu()


def _liger(model: Any, ids: Tensor, shape: Shape) -> Callable[[], None] | None:
    """The same batches with Liger's fused product and cross-entropy; None where it is not installed."""
    if importlib.util.find_spec("liger_kernel") is None:
        return None
    liger_kernel = importlib.import_module("liger_kernel.transformers")
    loss = liger_kernel.LigerFusedLinearCrossEntropyLoss(reduction="none")

    @torch.no_grad()
    def liger() -> None:
        for batch in torch.split(ids, shape.together):
            on_card = batch.to(shape.device)
            states = model.base_model(on_card, use_cache=False).last_hidden_state[:, :-1]
            loss(model.lm_head.weight, states.reshape(-1, shape.width), on_card[:, 1:].reshape(-1)).cpu()

    return liger


def _share(name: str, rate: float, tokens: float, at_least: float | None) -> Figure:
    """Operations a second as a share of the card's peak; without a value on a card whose peak is not listed."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
    peak = next((value for known, value in PEAK.items() if known in card), None)
    note = f"{card}; {tokens:,.0f} tokens/s, {rate / 1e12:.3g} TFLOP/s"
    return Figure(name, None if peak is None else rate / peak, at_least=at_least, note=note)


def _seconds(ways: dict[str, Callable[[], Any]], shape: Shape) -> dict[str, float]:
    """The median of three times, after a first one that is not counted."""

    def finished(way: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            way()
            if shape.device == "cuda":
                torch.cuda.synchronize()

        return run

    complete = {name: finished(way) for name, way in ways.items()}
    for way in complete.values():
        way()
    return medians(complete, 3)


def _peak_memory(way: Callable[[], Any], shape: Shape) -> int | None:
    """Bytes above what was allocated before; None on a CPU."""
    if shape.device != "cuda":
        way()
        return None
    _empty(shape)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    way()
    return torch.cuda.max_memory_allocated() - before


def _empty(shape: Shape) -> None:
    """Give back what the model before held."""
    gc.collect()
    if shape.device == "cuda":
        torch.cuda.empty_cache()


def _tokenizer() -> Any:
    """Any tokenizer: the windows are drawn, and no text is read."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
