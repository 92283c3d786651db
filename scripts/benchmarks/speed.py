"""The scoring pass against the bare forward pass, the machine's rate, published code and lm-evaluation-harness."""

from __future__ import annotations

import copy
import functools
import json
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llm_mia.backends import load_model
from llm_mia.backends.local import LocalBackend, batches
from llm_mia.passages import read_passages
from llm_mia.records import Window
from llm_mia.scores import ScoreTable
from llm_mia.scoring import score
from llm_mia.signals import cut, window_rule

from .figures import Figure, medians
from .texts import passages

CARD = ["loss", "zlib", "min_k", "min_k++", "lowercase", "reference"]


def windows_of(backend: LocalBackend, texts: Sequence[str]) -> list[Window]:
    """The windows that *texts* are cut into."""
    rule = window_rule(backend.info.context)
    encoded = enumerate(backend.encode(texts))
    return [w for i, ids in encoded for w in cut(ids, rule, opening=backend.opening, passage=i)]


def flops_per_token(model: Any) -> float:
    """Operations a token: two a weight of every linear layer, the head included; attention is not counted."""
    ends = ("embed_tokens.weight", "lm_head.weight")
    inner = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and not name.endswith(ends))
    return 2.0 * float(inner + model.get_output_embeddings().weight.numel())


def gemm_rate(dtype: torch.dtype) -> float:
    """Multiplications and additions a second of a large square product, laid out as in a linear layer: median of 11."""
    n = 2048
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    return 2.0 * n**3 / medians({"gemm": lambda: a @ b.t()}, 11)["gemm"]


def forward_figures(dtype: str, count: int, rounds: int) -> list[Figure]:
    """The pass against decoder and head product alone on the same batches, and against the machine's GEMM rate."""
    backend: Any = load_model("embedded", dtype=dtype)
    windows = windows_of(backend, passages(count))
    model = backend.model
    fed = []
    for batch in batches([len(w.tokens) for w in windows], backend.tokens_per_batch):
        longest = max(len(windows[i].tokens) for i in batch)
        fed.append(
            torch.from_numpy(
                np.stack([np.pad(windows[i].tokens, (0, longest - len(windows[i].tokens)), mode="edge") for i in batch])
            ).long()
        )

    @torch.inference_mode()
    def bare() -> None:
        for ids in fed:
            model.lm_head(model.base_model(input_ids=ids, use_cache=False).last_hidden_state)

    backend.score(windows[:8])
    seconds = medians({"ours": lambda: backend.score(windows), "bare": bare}, rounds)
    real = sum(len(w.tokens) for w in windows)
    rate = gemm_rate(model.dtype)
    share = flops_per_token(model) * real / seconds["ours"] / rate
    padding = 1 - real / sum(ids.numel() for ids in fed)
    tokens = f"{real / seconds['ours']:,.0f} tokens/s; {real:,} tokens in {len(fed)} batches"
    return [
        Figure(f"scoring pass ÷ bare forward, {dtype}", seconds["ours"] / seconds["bare"], at_most=1.05, note=tokens),
        Figure(f"share of the machine's GEMM rate, {dtype}", share, at_least=0.78 if dtype == "float32" else 0.70,
               note=f"GEMM {rate / 1e9:,.0f} GFLOP/s; padding and attention count as no work"),
        Figure(f"padding share of the tokens fed, {dtype}", padding, at_most=0.03),
    ]  # fmt: skip


def _other_model(backend: LocalBackend) -> LocalBackend:
    """A reference of the same size: the same model with slightly changed weights."""
    model = copy.deepcopy(backend.model)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.01 * torch.randn_like(parameter))
    return LocalBackend(model, backend.tokenizer, name="reference")


@torch.inference_mode()
def published_way(target: Any, reference: Any, tokenizer: Any, texts: Sequence[str]) -> list[dict[str, float]]:
    """Scores as published code computes them: one text at a time, all logits, two passes of the target."""

    def loss_of(model: Any, text: str) -> tuple[float, torch.Tensor, torch.Tensor]:
        ids = torch.tensor(tokenizer.encode(text))[None]
        output = model(ids, labels=ids)
        return -float(output.loss), output.logits[0, :-1], ids[0, 1:][:, None]

    rows = []
    for text in texts:
        loss, _, _ = loss_of(target, text)
        lowered, _, _ = loss_of(target, text.lower())
        other, _, _ = loss_of(reference, text)
        _, logits, ids = loss_of(target, text)
        probabilities, logs = torch.softmax(logits, -1), torch.log_softmax(logits, -1)
        chosen = logs.gather(-1, ids)[:, 0]
        mean = (probabilities * logs).sum(-1)
        variance = (probabilities * logs.square()).sum(-1) - mean.square()
        count = max(1, int(0.2 * len(chosen)))
        rows.append(
            {
                "loss": loss,
                "zlib": loss / len(zlib.compress(text.encode())),
                "lowercase": lowered / loss,
                "reference": loss - other,
                "min_k": float(chosen.sort().values[:count].mean()),
                "min_k++": float(((chosen - mean) / variance.sqrt()).sort().values[:count].mean()),
            }
        )
    return rows


def published_figures(count: int, rounds: int) -> list[Figure]:
    """The default attacks, from texts to a table, against `published_way`; the models are loaded beforehand."""
    target: Any = load_model("embedded", dtype="float32")
    reference: Any = _other_model(target)
    auto: Any = load_model("embedded")
    pairs = {"float32": (target, reference)}
    if auto.info.dtype != "float32":
        pairs["auto"] = (auto, _other_model(auto))
    texts = passages(count, seed=1)
    tables: list[ScoreTable] = []
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")

        def ours(dtype: str) -> None:
            out = Path(tempfile.mkdtemp(dir=folder)) / dtype
            tables.append(score(read_passages(file), *pairs[dtype], attacks=CARD, out=out))

        def theirs() -> None:
            rows[:] = published_way(target.model, reference.model, target.tokenizer, texts)

        ways: dict[str, Callable[[], Any]] = {name: functools.partial(ours, name) for name in pairs}
        seconds = medians({**ways, "published": theirs}, rounds)
    worst = max(abs(float(tables[0].column(name)[row]) - rows[row][name]) for row in range(count) for name in CARD)
    note = f"ours {seconds['float32']:.1f} s, published {seconds['published']:.1f} s; scores agree to {worst:.1g}"
    name = "score card: throughput ÷ the published way in float32"
    fastest = seconds["published"] / seconds["auto"] if "auto" in seconds else None
    why = "" if fastest else "dtype auto is float32 here: bfloat16 is not 1.3 times as fast on this CPU"
    return [
        Figure(f"{name}, float32", seconds["published"] / seconds["float32"], at_least=2.0, note=note),
        Figure(f"{name}, dtype auto", fastest, at_least=4.5, note=why),
    ]


HARNESS = """
import json, statistics, sys, time
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
folder, file, dtype, size, rounds = sys.argv[1:]
texts = json.load(open(file))
lm = HFLM(pretrained=folder, dtype=dtype, batch_size=int(size), device="cpu")
requests = [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts)]
lm.loglikelihood_rolling(requests[:2], disable_tqdm=True)
seconds = []
for _ in range(int(rounds)):
    start = time.perf_counter()
    sums = lm.loglikelihood_rolling(requests, disable_tqdm=True)
    seconds.append(time.perf_counter() - start)
json.dump({"seconds": statistics.median(seconds), "sums": [float(s) for s in sums]}, open(file + ".out", "w"))
"""


def harness_figures(interpreter: str | None, dtype: str, count: int, rounds: int) -> list[Figure]:
    """One pass against the sums of lm-evaluation-harness at its fastest batch size; it scores the first token too."""
    goal = 1.4 if dtype == "float32" else 1.7
    name = f"one pass: throughput ÷ lm-evaluation-harness, {dtype}"
    if interpreter is None:
        return [Figure(name, None, at_least=goal, note="name a Python that has lm_eval: --harness PYTHON")]
    backend: Any = load_model("embedded", dtype=dtype)
    texts = passages(count, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        backend.model.save_pretrained(folder)
        backend.tokenizer.save_pretrained(folder)
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), "utf-8")
        theirs: dict[int, float] = {}
        for size in (1, 4, 8):
            command = [interpreter, "-c", HARNESS, folder, str(file), dtype, str(size), str(rounds)]
            subprocess.run(command, check=True, capture_output=True)
            theirs[size] = json.loads(Path(f"{file}.out").read_text("utf-8"))["seconds"]

    def ours() -> None:
        backend.score(windows_of(backend, texts))

    seconds = medians({"ours": ours}, rounds)["ours"]
    tokens = sum(map(len, backend.encode(texts)))
    best = min(theirs, key=lambda size: theirs[size])
    rates = ", ".join(f"{tokens / s:,.0f} at batch {size}" for size, s in theirs.items())
    note = f"ours {tokens / seconds:,.0f} tokens/s with all signals; theirs {rates}"
    return [Figure(name, theirs[best] / seconds, at_least=goal, note=note)]
