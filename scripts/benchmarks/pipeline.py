"""The time of everything but the model: reading, cutting, storing, scoring from disk; and whether it grows."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from .figures import Figure, in_a_process

WRITE = """
import json, random, sys
def write(path, count, words, seed=0):
    rng = random.Random(seed)
    stock = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    with open(path, "w") as file:
        for i in range(count):
            text = " ".join(rng.choices(stock, k=rng.randint(words // 2, words * 3 // 2))).capitalize()
            file.write(json.dumps({"id": f"p{i}", "text": text}) + "\\n")
"""

# The fake backend, which measures the time that it takes.
TIMED = """
import time
from llm_mia.backends.fake import FakeBackend
class Timed(FakeBackend):
    spent = 0.0
    def encode(self, texts):
        start = time.perf_counter()
        try:
            return super().encode(texts)
        finally:
            Timed.spent += time.perf_counter() - start
    def score(self, windows, report=None, *, prefix=None):
        start = time.perf_counter()
        try:
            return super().score(windows, report, prefix=prefix)
        finally:
            Timed.spent += time.perf_counter() - start
"""

THREE_PASSES = (
    WRITE
    + TIMED
    + """
import tempfile
from pathlib import Path
from llm_mia.passages import check_inputs, read_passages
from llm_mia.scoring import score_to_disk
count, words = map(int, sys.argv[1:])
card = ["loss", "confidence", "zlib", "lowercase", "min_k", "min_k++", "reference"]
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "p.jsonl"
    write(file, count, words)
    source, seconds = read_passages(file), {}
    def score(name, attacks):
        Timed.spent = 0.0
        start = time.perf_counter()
        score_to_disk(source, Timed(seed=0), Timed(seed=1), attacks=attacks, out=Path(folder) / name)
        seconds[len(attacks), name] = time.perf_counter() - start - Timed.spent
    start = time.perf_counter()
    check_inputs([source])
    seconds["check"] = time.perf_counter() - start
    score("run", card)
    # Not ru_maxrss, which in a new process starts from what its parent held.
    peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
    if count <= 100_000:
        score("loss", ["loss"])
        (Path(folder) / "run" / "scores.parquet").unlink()
        score("run", card)  # all signals are stored: they are read, and the table is written again
print(json.dumps({"check": seconds["check"], "loss": seconds.get((1, "loss")), "card": seconds[7, "run"],
    "peak": peak}))
"""
)

TINY = (
    WRITE
    + """
import tempfile, time
from pathlib import Path
import tokenizers, torch, transformers
from llm_mia.backends.local import LocalBackend
from llm_mia.passages import read_passages
from llm_mia.scoring import score_to_disk
counts = list(map(int, sys.argv[1:]))
per_token = {}
with tempfile.TemporaryDirectory() as folder:
    for count in counts:
        write(Path(folder) / f"{count}.jsonl", count, 12)
    learner = tokenizers.Tokenizer(tokenizers.models.BPE())
    learner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=500, show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    learner.train([str(Path(folder) / f"{counts[0]}.jsonl")], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=learner)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=500, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=2048)
    backend = LocalBackend(transformers.AutoModelForCausalLM.from_config(config), tokenizer)
    for count in (counts[0], *counts):  # the first time to warm up
        steps, out = [], Path(tempfile.mkdtemp(dir=folder)) / "run"
        start = time.perf_counter()
        score_to_disk(read_passages(Path(folder) / f"{count}.jsonl"), backend, attacks=["loss"], out=out,
            progress=steps.append)
        tokens = max(step.tokens for step in steps if step.name == "target")
        per_token[count] = (time.perf_counter() - start) / tokens * 1e6
print(json.dumps(per_token))
"""
)


def pipeline_figures(count: int) -> list[Figure]:
    """Microseconds a passage without the model, and passages a second from stored signals; passages of 100 bytes."""
    measured = in_a_process(THREE_PASSES, count, 18)
    overhead = (measured["loss"] + measured["check"]) / count * 1e6
    note = f"{count:,} passages of 100 bytes; checking the input takes {measured['check'] / count * 1e6:.0f} µs of it"
    return [
        Figure("pipeline without the model (fake backend), a passage", overhead, "µs", at_most=150, note=note),
        Figure("default card from stored signals", count / measured["card"], "passages/s", at_least=4000,
               note="seven attacks, three passes read; reading the input and writing the table included"),
    ]  # fmt: skip


def growth_figures(few: int, many: int) -> list[Figure]:
    """Peak memory of scoring *many* passages, less that of *few*."""
    peaks = {count: in_a_process(THREE_PASSES, count, 18)["peak"] for count in (few, many)}
    grown = (peaks[many] - peaks[few]) / 1e6
    note = f"{peaks[few] / 1e6:,.0f} and {peaks[many] / 1e6:,.0f} MB; seven attacks, three passes, fake backend"
    return [Figure(f"memory growth from {few:,} to {many:,} passages", grown, "MB", at_most=100, note=note)]


def flatness_figures(counts: tuple[int, ...]) -> list[Figure]:
    """Time a token of a run by a tiny model, for each number of passages in *counts*."""
    each = in_a_process(TINY, *counts)
    spread = max(each.values()) / min(each.values()) - 1
    note = ", ".join(f"{value:.1f} µs at {int(count):,}" for count, value in each.items())
    return [Figure("time a token: largest over smallest − 1, tiny model", spread, at_most=0.10, note=note)]


def start_figures() -> list[Figure]:
    """Seconds to score one passage by the embedded model, and to run the same command on the finished run."""
    import subprocess
    import sys

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "p.jsonl"
        file.write_text(json.dumps({"text": "One passage, and no more than that."}) + "\n", "utf-8")
        out = Path(folder) / "run"
        command = [
            str(Path(sys.executable).with_name("llm-mia")),
            "score",
            str(file),
            "-m",
            "embedded",
            "--out",
            str(out),
            "--quiet",
        ]
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    return [
        Figure("start to end of scoring one passage, embedded model", seconds[0], "s"),
        Figure("the same command on the finished run", seconds[1], "s"),
    ]
