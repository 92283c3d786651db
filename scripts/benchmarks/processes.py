"""How much faster two processes of a single thread each score than a process does, both as a user starts them.

A process has a core: with more, its threads that read and write would run beside the thread that computes.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

from llm_mia.store import read_run

from .attack_models import scratch
from .figures import Figure

PROCESSES = 2
ALONE = (sys.executable, "-m", "llm_mia")
TOGETHER = (
    *(sys.executable, "-m", "accelerate.commands.launch"),
    *("--multi_gpu", "--num_machines", "1", "--num_processes", str(PROCESSES)),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "-m", "llm_mia"),
)
WORDS = (30, 150)
"""Fewest and most words of a passage."""
FULL = 0.99
"""Part of each block that is filled: a passage that no longer fits begins the next."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model, and how much it scores."""

    name: str
    blocks: int
    """Of text, each of which a process computes as a whole: an even number, so that no process waits at the end."""
    rounds: int
    """Each way is run so often, in turns."""


@dataclass(frozen=True, slots=True)
class Run:
    """How long a run took."""

    seconds: float
    """From the start of its first process to the end of its last."""
    scoring: float
    """Of these, the seconds of the pass."""
    tokens: int


CASES = (Case("tiny model", 48, 3), Case("SmolLM2 135M", 4, 1))


def process_figures(cases: Sequence[Case] = CASES) -> list[Figure]:
    """The throughput of two processes divided by that of a single process: while they score, and as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny"
        backend = scratch(list(topics.values()), 0)
        backend.model.save_pretrained(tiny)
        backend.tokenizer.save_pretrained(tiny)
        targets = {"tiny model": str(tiny), "SmolLM2 135M": "embedded"}
        return [figure for case in cases for figure in _figures(case, targets[case.name], Path(folder))]


def _figures(case: Case, target: str, folder: Path) -> list[Figure]:
    few, many, out = folder / "few.jsonl", folder / "many.jsonl", folder / "runs"
    _write(few, 2_000)
    _score(ALONE, few, target, out / f"{case.name} first")  # fills the caches of the disk and of the compiler
    _write(many, int(case.blocks * _block_bytes(out / f"{case.name} first") * FULL))
    runs: dict[str, list[Run]] = {"alone": [], "together": []}
    for number in range(case.rounds):
        tables = []
        for name, how, cores in (("alone", ALONE, 1), ("together", TOGETHER, PROCESSES)):
            path = out / f"{case.name} {name} {number}"
            with _on_cores(cores):
                runs[name].append(_score(how, many, target, path))
            print(f"{case.name}, {name}: {runs[name][-1]}", file=sys.stderr, flush=True)
            tables.append((path / "scores.parquet").read_bytes())
        assert tables[0] == tables[1], "the scores differ"
    alone, together = (_median(runs[name]) for name in ("alone", "together"))
    rates = f"{alone.tokens / alone.scoring:,.0f} and {together.tokens / together.scoring:,.0f} tokens/s"
    size = f"{alone.tokens:,} tokens in {case.blocks} blocks, a core for each process; scores equal bit for bit"
    starts = f"start to end {alone.seconds:.1f} and {together.seconds:.1f} s"
    outside = f"outside of the pass {alone.seconds - alone.scoring:.1f} and {together.seconds - together.scoring:.1f} s"
    return [
        Figure(f"{PROCESSES} processes ÷ 1 while they score, {case.name}", alone.scoring / together.scoring,
               at_least=1.8, note=f"{rates}; {size}"),
        Figure(f"{PROCESSES} processes ÷ 1 as a whole, {case.name}", alone.seconds / together.seconds,
               note=f"{starts}, of which {outside}"),
    ]  # fmt: skip


@contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """While it is open, the processes that are started run on *count* cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        statistics.median(run.seconds for run in runs), statistics.median(run.scoring for run in runs), runs[0].tokens
    )


def _score(how: Sequence[str], passages: Path, target: str, out: Path) -> Run:
    """Score the file *passages* by the command *how*, in processes of a single thread."""
    command = [*how, "score", str(passages), "--target", target, "-a", "loss", "--dtype", "float32", "-q"]
    start = time.perf_counter()
    run = subprocess.run(
        [*command, "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    seconds = time.perf_counter() - start
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return Run(seconds, sum(read_run(out).wall_seconds.values()), _tokens(out))


def _tokens(out: Path) -> int:
    """How many tokens were scored in the run *out*."""
    from llm_mia.store import read_signals

    return sum(int(chunk.n_tokens.sum()) for chunk in read_signals(out, "target").chunks())


def _block_bytes(out: Path) -> int:
    """Most bytes of a block in the run *out*."""
    return read_run(out).passes["target"].block.bytes


def _write(path: Path, n_bytes: int) -> None:
    """Passages of words in random order, *n_bytes* of text in all, the same in each call."""
    rng = random.Random(0)  # noqa: S311 - reproducible, no secret
    words = sorted({word for text in topics.values() for word in text.split()})
    with path.open("w", encoding="utf-8") as file:
        left = n_bytes
        while left > 0:
            text = " ".join(rng.choices(words, k=rng.randint(*WORDS)))[:left]
            left -= len(text.encode())
            file.write(json.dumps({"text": text}) + "\n")
