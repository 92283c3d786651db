"""What Ray costs: its time beside a plain call with as many processes, and the memory of the process that leads."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .figures import Figure, in_a_process

PASSAGES, ROUNDS = 20_000, 3
LAUNCH = ("--multi_gpu", "--num_machines", "1", "--num_processes", "2", "--mixed_precision", "no")
PLAIN = {
    1: ("-m", "llm_mia"),
    2: ("-m", "accelerate.commands.launch", *LAUNCH, "--dynamo_backend", "no", "-m", "llm_mia"),
}
"""By number of processes: what Python is given for the plain call."""
SAVE_MODEL = """
import sys
from benchmarks.attack_models import scratch
model = scratch([f"{word} {at}" for at in range(2000) for word in ("river", "stone", "bridge", "water")], seed=0)
model.model.save_pretrained(sys.argv[1])
model.tokenizer.save_pretrained(sys.argv[1])
print("{}")
"""
LEAD = """
import json, sys
from llm_mia.backends.fake import FakeBackend
from llm_mia import write_signals
from llm_mia.distributed import shared_by_ray
from llm_mia.passages import read_passages
with shared_by_ray("ray", processes=1):
    write_signals(read_passages(sys.argv[1]), FakeBackend(0), out=sys.argv[2])
high = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps(high / 1e3))
"""


def write_passages(path: Path, count: int, words: int) -> None:
    """Write *count* passages of so many words."""
    rng = random.Random(0)  # noqa: S311 - reproducible texts, no secret
    vocabulary = [f"{stem}{end}" for stem in ("riv", "ston", "bridg", "wat", "mill") for end in ("er", "e", "ing", "s")]
    with path.open("w", encoding="utf-8") as file:
        for at in range(count):
            file.write(json.dumps({"id": str(at), "text": f"{at} {' '.join(rng.choices(vocabulary, k=words))}"}) + "\n")


def ray_figures(
    passages: int = PASSAGES, rounds: int = ROUNDS, sizes: Sequence[int] = (10_000, 1_000_000)
) -> list[Figure]:
    """The overhead with one process and with two, and how the memory of the process that leads grows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_a_process(SAVE_MODEL, folder / "model")
        write_passages(folder / "passages.jsonl", passages, words=40)
        figures = [figure for count in PLAIN for figure in _overhead(folder, count, passages, rounds)]
        return [*figures, _memory(folder, sizes)]


def _overhead(folder: Path, count: int, passages: int, rounds: int) -> list[Figure]:
    """Seconds of the pass, and of the whole command, by Ray and by the plain call; in a round each runs once."""
    ways = {"plain": (PLAIN[count], ()), "ray": (PLAIN[1], ("--on", "ray", "--processes", str(count)))}
    whole: dict[str, list[float]] = {way: [] for way in ways}
    scoring: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, (start, options) in ways.items():
            run = folder / f"{way}-{count}-{number}"
            words = [str(folder / "passages.jsonl"), "--target", str(folder / "model"), "-a", "loss", "-q"]
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, *start, "score", *words, "-o", str(run), *options],
                check=True,
                capture_output=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            whole[way].append(time.perf_counter() - began)
            scoring[way].append(json.loads((run / "run.json").read_text())["wall_seconds"]["target"])
    processes = f"{count} process{'es' if count > 1 else ''}, {passages:,} passages"
    return [
        _compared(f"Ray ÷ plain, {what}, {processes}", seconds, at_most)
        for what, seconds, at_most in (("the pass", scoring, 1.1), ("the whole command", whole, None))
    ]


def _compared(name: str, seconds: dict[str, list[float]], at_most: float | None) -> Figure:
    # The shortest of the rounds: what else the machine does only adds to a time.
    ray, plain = min(seconds["ray"]), min(seconds["plain"])
    return Figure(name, ray / plain, "×", at_most=at_most, note=f"{ray:.0f} s and {plain:.0f} s, the shortest of each")


def _memory(folder: Path, sizes: Sequence[int]) -> Figure:
    """How much higher the peak of the process that leads is with the most passages than with the fewest."""
    peaks = []
    for number in sizes:
        write_passages(folder / f"{number}.jsonl", number, words=4)
        peaks.append(in_a_process(LEAD, folder / f"{number}.jsonl", folder / f"run-{number}"))
    return Figure(
        f"memory of the process that leads, {sizes[-1]:,} passages, above that with {sizes[0]:,}",
        peaks[-1] - peaks[0],
        "MB",
        at_most=100,
        note=f"fake model; the peak with {sizes[0]:,} is {peaks[0]:,.0f} MB, most of it libraries",
    )
