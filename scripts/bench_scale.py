"""Measure scale: .venv/bin/python scripts/bench_scale.py [--only SECTION …].

Prints a table and writes it, also as JSON, to scripts/results/scale-cpu.{md,json}; with *--only* these sections alone
are replaced. Run it on a machine that does nothing else: processes and ray take about twenty minutes each, and ten
million stored scores about half an hour.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, save
from benchmarks.processes import process_figures
from benchmarks.ray_cluster import ray_figures
from benchmarks.stored_scores import stored_figures

SECTIONS: Mapping[str, Callable[[], Sequence[Figure]]] = {
    "processes": process_figures,
    "ray": ray_figures,
    "stored": lambda: stored_figures((10_000, 1_000_000, 10_000_000)),
}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="SECTION")
    arguments = parser.parse_args()
    table = ""
    for name in arguments.only or SECTIONS:
        print(f"{name} …", file=sys.stderr, flush=True)
        table = save(Path(__file__).parent / "results" / "scale-cpu.json", {name: SECTIONS[name]()})
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
