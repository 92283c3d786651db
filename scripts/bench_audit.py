"""Measure what an audit costs besides its models, and how well its duration is estimated.

.venv/bin/python scripts/bench_audit.py                  # seconds with the fake backend, and readings of each source
.venv/bin/python scripts/bench_audit.py --only estimate  # estimated and real seconds with the embedded model
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_mia import audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages

SIZES = {"members": 40, "nonmembers": 100, "candidates": 140}
"""Passages of each set, as in the demonstration."""
WORDS, RUNS = 40, 5


def write_sets(folder: Path, sizes: Mapping[str, int] = SIZES) -> dict[str, Path]:
    """Three files of passages: words of random letters, the same kind in all sets."""
    generator = random.Random(0)  # noqa: S311 - a reproducible draw, no secret
    vocabulary = ["".join(generator.choices("abcdefghij", k=5)) for _ in range(500)]
    files = {}
    for name, size in sizes.items():
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


ESTIMATED = {"members": 40, "nonmembers": 60, "candidates": 100}
"""Passages of each set of the audit whose duration is estimated."""
WORDS_OF_LINE = re.compile(r"pass(?:es)?: about (?:(?P<minutes>\d+) min )?(?P<seconds>\d+) s\b")


def seconds_in(text: str) -> float | None:
    """The seconds that a command states before it begins, or with --dry-run; None where it states none."""
    stated = WORDS_OF_LINE.search(text)
    return None if stated is None else 60 * int(stated["minutes"] or 0) + int(stated["seconds"])


def compare_estimate() -> None:
    """Print the estimated and the real duration of an audit of 200 passages by the embedded model, and their ratios."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_sets(folder, ESTIMATED)
        sets = [str(files["candidates"]), "--nonmembers", str(files["nonmembers"]), "--members", str(files["members"])]
        options = ["-m", "embedded", "--stand-in", "none", "--no-report", "-o", str(folder / "run")]
        command = [sys.executable, "-m", "llm_mia", "audit", *sets, *options]
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}

        def run(*more: str) -> tuple[float, subprocess.CompletedProcess[str]]:
            start = time.perf_counter()
            done = subprocess.run([*command, *more], capture_output=True, text=True, env=environment)
            return time.perf_counter() - start, done

        dry, planned = run("--dry-run")
        real, done = run()
    print(f"audit of {ESTIMATED} by the embedded model: {real:.0f} s; --dry-run took {dry:.0f} s")
    for name, text in (("--dry-run", planned.stdout), ("the line before the passes", done.stderr)):
        stated = seconds_in(text)
        ratio = "none stated" if stated is None else f"{stated:.0f} s estimated, real / estimated {real / stated:.2f}"
        print(f"{name}: {ratio}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["cost", "estimate"], default="cost")
    if parser.parse_args().only == "estimate":
        compare_estimate()
    else:
        measure_cost()


def measure_cost() -> None:
    """Print seconds with the fake backend, and the readings of each source."""
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
