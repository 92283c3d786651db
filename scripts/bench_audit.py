"""Measure what an audit costs besides its models: seconds with the fake backend, and readings of each source.

.venv/bin/python scripts/bench_audit.py
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_mia import audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages

SIZES = {"members": 40, "nonmembers": 100, "candidates": 140}
"""Passages of each set, as in the demonstration."""
WORDS, RUNS = 40, 5


def write_sets(folder: Path) -> dict[str, Path]:
    """Three files of passages: words of random letters, the same kind in all sets."""
    generator = random.Random(0)  # noqa: S311 - a reproducible draw, no secret
    vocabulary = ["".join(generator.choices("abcdefghij", k=5)) for _ in range(500)]
    files = {}
    for name, size in SIZES.items():
        rows = [
            json.dumps({"id": f"{name}{i}", "text": " ".join(generator.choices(vocabulary, k=WORDS))})
            for i in range(size)
        ]
        files[name] = folder / f"{name}.jsonl"
        files[name].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return files


def count_readings() -> Counter[str]:
    """Counts, from now on, how often each source is iterated."""
    readings: Counter[str] = Counter()
    iterate = Passages.__iter__

    def counted(passages: Passages) -> Iterator[Any]:
        readings[Path(passages.name).stem] += 1
        return iterate(passages)

    Passages.__iter__ = counted  # type: ignore[method-assign]
    return readings


def main() -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_sets(folder)

        def run(number: int) -> float:
            start = time.perf_counter()
            audit(
                files["candidates"],
                nonmembers=files["nonmembers"],
                members=files["members"],
                target=FakeBackend(0),
                reference=FakeBackend(1),
                out=folder / f"run{number}",
                history=folder,
            )
            return time.perf_counter() - start

        run(0)  # imports
        seconds = [run(number) for number in range(1, RUNS + 1)]
        readings = count_readings()
        run(RUNS + 1)
    print(f"audit of {SIZES} with fake backends, {RUNS} runs: median {statistics.median(seconds):.2f} s")
    print("readings of each source:", ", ".join(f"{name} {n}" for name, n in sorted(readings.items())))


if __name__ == "__main__":
    main()
