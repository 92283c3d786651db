"""Measure the guard: what it costs, whether it survives chaos, and what an attacker still gets through it.

.venv/bin/python scripts/bench_guard.py [--only load chaos attacks] [--requests 20000] [--seconds 60]

Prints a table and writes it, also as JSON, to scripts/results/guard-cpu*.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.figures import save
from benchmarks.guard_chaos import chaos_figures
from benchmarks.guard_load import load_figures

RESULTS = Path(__file__).parent / "results"
PARTS = ("load", "chaos")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--requests", type=int, default=20_000, help="of the load (20000)")
    parser.add_argument("--seconds", type=float, default=60, help="of chaos (60)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args()
    sections = {}
    if "load" in arguments.only:
        sections["200 requests a second"] = load_figures(arguments.requests)
    if "chaos" in arguments.only:
        sections["chaos"] = chaos_figures(arguments.seconds)
    print(save(arguments.results / "guard-cpu.json", sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
