"""Measure scoring: .venv/bin/python scripts/bench_scoring.py [--harness PYTHON] [--only SECTION …].

Prints a table and writes it, also as JSON, to scripts/results/scoring-DEVICE.{md,json}, where DEVICE is `cuda` or the
instructions of the processor, such as `cpu-avx512`; with *--only* these sections alone are replaced. Run it on a
machine that does nothing else; it takes about half an hour on two cores. *--harness* names the Python of another
environment that has lm_eval (pip install lm-eval), which is then compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from benchmarks.figures import Figure, save
from benchmarks.memory import memory_figures
from benchmarks.pipeline import flatness_figures, growth_figures, pipeline_figures, start_figures
from benchmarks.precision import gpu_figures, precision_figures
from benchmarks.speed import forward_figures, harness_figures, published_figures

Section = Callable[[], Sequence[Figure]]


def sections(harness: str | None) -> dict[str, Section]:
    """Every section by name, the quick ones first."""
    few = 1 if torch.cpu.get_capabilities().get("avx512_bf16") else 16  # without instructions, bfloat16 takes long
    return {
        "start": start_figures,
        "pipeline": lambda: pipeline_figures(100_000),
        "forward": lambda: forward_figures("float32", count=128, rounds=3),
        "harness": lambda: harness_figures(harness, "float32", count=64, rounds=2),
        "published": lambda: published_figures(count=48, rounds=2),
        "flatness": lambda: flatness_figures((1_000, 10_000, 100_000)),
        "forward-bf16": lambda: forward_figures("bfloat16", count=128 // few, rounds=3),
        "harness-bf16": lambda: harness_figures(harness, "bfloat16", count=64 // few, rounds=2),
        "memory": memory_figures,
        "precision": lambda: precision_figures(60),
        "growth": lambda: growth_figures(10_000, 1_000_000),
        "gpu": gpu_figures,
    }


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", metavar="PYTHON")
    parser.add_argument("--only", nargs="+", choices=list(sections(None)), metavar="SECTION")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else f"cpu-{torch.backends.cpu.get_cpu_capability().lower()}"
    path, table = Path(__file__).parent / "results" / f"scoring-{device}.json", ""
    for name, measure in sections(arguments.harness).items():
        if arguments.only and name not in arguments.only:
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        figures = measure()
        print("\n".join(figure.row for figure in figures), file=sys.stderr, flush=True)
        table = save(path, {name: figures})
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
