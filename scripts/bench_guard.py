"""Measure the guard: what it costs, whether it survives chaos, and what an attacker still gets through it.

.venv/bin/python scripts/bench_guard.py [--only load chaos attacks audit] [--requests 20000] [--seconds 60]

Prints a table and writes it, also as JSON, to scripts/results/guard-cpu*. *audit* runs by name only, with
PYTHONPATH=. and a Python that has llama-cpp-python[server], named by LLM_MIA_LLAMA_PYTHON.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import save
from benchmarks.guard_attacks import Row, attack_rows, attack_table
from benchmarks.guard_audit import Audited, audit_rows, audited_table
from benchmarks.guard_chaos import chaos_figures
from benchmarks.guard_load import load_figures

from llm_mia.store import write_text

RESULTS = Path(__file__).parent / "results"
PARTS = ("load", "chaos", "attacks")
BY_NAME = "audit"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*PARTS, BY_NAME], default=PARTS)
    parser.add_argument("--requests", type=int, default=20_000, help="of the load (20000)")
    parser.add_argument("--seconds", type=float, default=60, help="of chaos (60)")
    parser.add_argument("--work", type=Path, default=Path("runs/guard"), help="models of the attacks")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args()
    sections = {}
    if "load" in arguments.only:
        sections["200 requests a second"] = load_figures(arguments.requests)
    if "chaos" in arguments.only:
        sections["chaos"] = chaos_figures(arguments.seconds)
    page, table = arguments.results / "guard-cpu.md", arguments.results / "guard-cpu-table.json"
    arguments.results.mkdir(parents=True, exist_ok=True)
    if "attacks" in arguments.only:
        rows = [asdict(row) for row in attack_rows(arguments.work)]
        write_text(table, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    audited = arguments.results / "guard-cpu-audit.json"
    if BY_NAME in arguments.only:
        found = [asdict(row) for row in audit_rows(arguments.work)]
        write_text(audited, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    text = save(page.with_suffix(".json"), sections)
    if table.exists():
        text += "\n" + attack_table([Row(**row) for row in json.loads(table.read_text("utf-8"))])
    if audited.exists():
        text += "\n" + audited_table([Audited(**row) for row in json.loads(audited.read_text("utf-8"))])
    write_text(page, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
