"""Measure defences: .venv/bin/python scripts/bench_defenses.py [--only SETTING …] [--work FOLDER] [--seeds N].

For each seed, draws a pool, trains a model without defence and with each, and attacks all of them. Prints tables and
writes them, also as JSON, to scripts/results/defenses-DEVICE*; with *--only* these settings alone are replaced. Models
and signals stay in *--work*; the same command continues a measurement that was stopped. Run it on a machine that does
nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from benchmarks.attack_corpora import CORPORA, Read, text_folder
from benchmarks.defense_report import ABOUT, figures, rows, table
from benchmarks.defense_trials import SCRATCH, SMOLLM, trials
from benchmarks.figures import save

from llm_mia.store import write_text

RESULTS = Path(__file__).parent / "results"
SETTINGS = {setting.name: setting for setting in (SCRATCH, SMOLLM)}
USUAL = {"scratch": "shakespeare", "smollm": "topics"}
"""The corpus of each setting."""


def corpora_of(choice: str | None, usual: str) -> dict[str, Read]:
    """The corpus that the user names, or the *usual* corpus."""
    name, equals, folder = (choice or usual).partition("=")
    if not equals and name not in CORPORA:
        raise SystemExit(f"--corpus {choice}: give NAME=FOLDER, a folder of txt or md files, or {', '.join(CORPORA)}")
    if equals and not Path(folder).is_dir():
        raise SystemExit(f"--corpus {choice}: no such folder")
    return {name: text_folder(Path(folder)) if equals else CORPORA[name]}


def write(folder: Path, name: str, of_setting: Mapping[str, Any]) -> str:
    """The page of all figures and tables, which is written to *folder*, with the same as JSON."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    page, numbers = folder / f"defenses-{device}.md", folder / f"defenses-{device}-tables.json"
    text = save(page.with_suffix(".json"), {name: figures(name, of_setting)}, ABOUT)
    tables = json.loads(numbers.read_text("utf-8")) if numbers.exists() else {}
    tables[name] = of_setting
    write_text(numbers, json.dumps(tables, ensure_ascii=False, indent=1) + "\n")
    text = "\n".join([text, *(table(each, of_each) for each, of_each in tables.items())])
    write_text(page, text)
    return text


def main() -> int:
    """Train, attack, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*SETTINGS], metavar="SETTING")
    parser.add_argument("--work", type=Path, default=Path("runs/defenses"), help="models and signals")
    parser.add_argument("--seeds", type=int, default=3, help="trials of each setting (3)")
    parser.add_argument("--corpus", metavar="NAME[=FOLDER]", help="a corpus in place of the usual ones")
    parser.add_argument("--quick", action="store_true", help="tiny pools, results in --work: only to see that it runs")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be 1 or more")
    page, out = "", arguments.work if arguments.quick else RESULTS
    for name in arguments.only or SETTINGS:
        corpora = corpora_of(arguments.corpus, USUAL[name])
        done = list(trials(SETTINGS[name], corpora, arguments.seeds, arguments.work, arguments.quick))
        page = write(out, name, rows(done))
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
