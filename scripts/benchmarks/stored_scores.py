"""Seconds and memory of the commands that read stored scores, from ten thousand passages to ten million."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from llm_mia.auditing._deciding import Request, decide
from llm_mia.auditing._record import write_audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.history import History
from llm_mia.passages import Passages, check_inputs
from llm_mia.scores import read_scores
from llm_mia.scoring import score_to_disk
from llm_mia.validity import Validity

from .figures import Figure

ATTACKS = ("loss", "min_k", "min_k++")
KNOWN = 10_000
"""Half of them are members."""
PER_DOCUMENT = 20
"""Passages of a document on average."""
TRAINED_ON = 0.02
"""Share of the candidate documents whose scores are raised."""
BATCH, ROW_GROUP = 200_000, 8192
"""Rows that are held at once, and those of a row group, as `score` writes them."""
SECONDS, MEGABYTES = 120, 1000
CLI = ("-m", "llm_mia")
COMMANDS: Mapping[str, Sequence[str]] = {
    "calibrate": (*CLI, "calibrate", "RUN", "-a", "min_k", "--fpr", "0.01"),
    "calibrate, a stack": (*CLI, "calibrate", "RUN", "-a", "stack", "--fpr", "0.05", "-o", "RUN/stack.json"),
    "flag": (*CLI, "flag", "RUN"),
    "flag --documents": (*CLI, "flag", "RUN", "--documents"),
    "collection": (*CLI, "collection", "RUN"),
    "audit, after the scores": ("-m", "benchmarks.stored_scores", "RUN"),
    "show": (*CLI, "show", "RUN"),
    "report": (*CLI, "report", "RUN"),
}
"""What Python is given; in the place of ``RUN``: the run directory. `show` and `report` need the audit before them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A command that has ended."""

    seconds: float
    busy: float
    """Seconds of processor time: on a machine that does other things, too, closer to what it needs alone."""
    peak: float
    """Of its memory, in bytes."""


def write_run(folder: Path, passages: int, seed: int = 0) -> Path:
    """A run directory as `score` leaves it, without its signals: *passages* scores by each of three attacks.

    `KNOWN` passages have a label; in a smaller run half of them.
    """
    score_to_disk(
        Passages.of([f"passage {at} of a run" for at in range(3)]),
        FakeBackend(0),
        attacks=list(ATTACKS),
        out=folder,
    )
    schema = parquet.read_schema(folder / "scores.parquet")
    with parquet.ParquetWriter(folder / "scores.parquet", schema) as writer:
        for columns in _batches(passages, seed):
            table = pa.table([columns[name] for name in schema.names], schema=schema)
            writer.write_table(table, row_group_size=ROW_GROUP)
    return folder


def _batches(passages: int, seed: int) -> Iterator[dict[str, pa.Array]]:
    rng, known = np.random.default_rng(seed), min(KNOWN, passages // 2)
    first_document, first = 0, 0
    while first < passages:
        n = min(BATCH, passages - first)
        rows = np.arange(first, first + n)
        # Documents end at the border of members, non-members and candidates.
        sides = (rows >= known // 2).astype(np.int64) + (rows >= known)
        begins = rng.random(n) < 1 / PER_DOCUMENT
        begins |= np.diff(sides, prepend=sides[0] - 1) > 0
        begins[0] = True
        numbers = np.cumsum(begins) - 1
        raised = np.where(rng.random(numbers[-1] + 1) < TRAINED_ON, 1.0, 0.0)
        shift = np.where(sides == 0, 1.0, np.where(sides == 2, raised[numbers], 0.0))
        common = rng.normal(size=numbers[-1] + 1)[numbers] * 0.3
        base = -3.0 + 0.5 * (common + rng.normal(size=n) + shift)
        noise = rng.normal(size=(2, n)) * 0.1
        tokens = rng.integers(50, 400, n).astype(np.int32)
        documents = first_document + numbers
        yield {
            "id": pa.array([f"passage-{row:08d}" for row in rows.tolist()]),
            "document": pa.array([f"document-{number:07d}" for number in documents.tolist()]),
            "label": pa.array(np.where(sides == 0, 1, 0).astype(np.int8), mask=sides == 2),
            "n_tokens": pa.array(tokens),
            "n_bytes": pa.array(tokens.astype(np.int64) * 4),
            "target_perplexity": pa.array(np.exp(-base)),
            "loss": pa.array(base),
            "min_k": pa.array(2 * base + noise[0]),
            "min_k++": pa.array(base + noise[1]),
        }
        first, first_document = first + n, first_document + int(numbers[-1]) + 1


def decide_run(run: Path) -> None:
    """What an audit does after the checks of the texts and after the scores, but for the texts that it keeps."""
    inputs = check_inputs([Passages.of([f"candidate {at}" for at in range(3)])])
    audit = decide(
        read_scores(run),
        Request("min_k", 0.01),
        path=run,
        inputs=inputs,
        validity=Validity.of([], compared=False),
        notes=[],
        history=History(run),
    )
    write_audit(audit)


def run_command(arguments: Sequence[str], run: Path) -> Measured:
    """Run Python with *arguments* on the run directory *run*, and measure it.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, *(argument.replace("RUN", str(run)) for argument in arguments)]
    folders = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "XDG_CACHE_HOME": str(run / "cache"), "XDG_DATA_HOME": str(run / "data")}
    environment["PYTHONPATH"] = folders
    start = time.perf_counter()
    # Through a small interpreter: what a process needs at most counts from what its parent held when it began.
    measuring = (
        "import json, resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "busy = used.ru_utime + used.ru_stime; "
        "print(json.dumps([done.returncode, done.stderr[-2000:], busy, used.ru_maxrss * 1024]))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", measuring, *command], capture_output=True, text=True, check=True, env=environment
    )
    seconds = time.perf_counter() - start
    code, message, busy, peak = json.loads(done.stdout)
    if code not in (0, 3):
        raise RuntimeError(f"{' '.join(command)}: exit code {code}: {message}")
    return Measured(seconds, busy, peak)


def measure_run(passages: int, only: Sequence[str] = ()) -> dict[str, Measured]:
    """Each command of `COMMANDS`, or those that *only* names, on a run of so many *passages*."""
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder) / "run", passages)
        measured = {}
        for name, arguments in COMMANDS.items():
            if not only or name in only or name in ("calibrate", "audit, after the scores"):
                measured[name] = run_command(arguments, run)
                print(f"{passages:,} {name}: {measured[name].seconds:.1f} s, busy {measured[name].busy:.1f} s, "
                      f"{measured[name].peak / 1e6:,.0f} MB",
                      file=sys.stderr, flush=True)  # fmt: skip
        return measured


def stored_figures(counts: Sequence[int]) -> list[Figure]:
    """Seconds and megabytes of each command on runs of *counts* passages; the goals are for the last."""
    measured = {count: measure_run(count) for count in counts}
    figures = []
    for name in COMMANDS:
        least = measured[counts[0]][name]
        for count in counts:
            goal, each = count == counts[-1], measured[count][name]
            above = f"{(each.peak - least.peak) / 1e6:,.0f} MB more than at {counts[0]:,}"
            figures += [
                Figure(f"{name}, {count:,} stored scores: processor time", each.busy, "s",
                       at_most=SECONDS if goal else None, note=f"{each.seconds:.0f} s by the clock"),
                Figure(f"{name}, {count:,} stored scores: peak memory", each.peak / 1e6, "MB",
                       at_most=MEGABYTES if goal else None, note=above if count != counts[0] else ""),
            ]  # fmt: skip
    return figures


if __name__ == "__main__":
    decide_run(Path(sys.argv[1]))
