"""Measure attacks: .venv/bin/python scripts/bench_attacks.py [--only SECTION …] [--work FOLDER] [--seeds N].

Trains models here, on passages drawn here, and scores what they were trained on beside what they were not. Prints
tables and writes them, with the same as JSON, to scripts/results/attacks-DEVICE*; with *--only* those sections are put
in place of what they were. Models and run directories stay in *--work* (10 GB), and a bench that was stopped goes on
from there: the same command. Run it on a machine that does nothing else; it takes about 70 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks.attack_corpora import CORPORA, Read, passages_of, text_folder
from benchmarks.attack_costs import cost_figures, costs
from benchmarks.attack_report import ABOUT, blind_figures, costs_by_attack, scratch_figures, smollm_figures, table
from benchmarks.attack_settings import Setting, blind, setting
from benchmarks.attack_trials import SCRATCH, SMOLLM, Sizes, Trial, scratch_trials, smollm_trials
from benchmarks.figures import Figure, save

from llm_mia.store import write_text

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of model, and what is asked of it."""

    trials: Callable[[dict[str, Read], Sizes, int, Path], Iterator[Trial]]
    sizes: Sizes
    quick: Sizes
    corpora: tuple[str, ...]
    figures: Callable[[Mapping[str, Setting]], list[Figure]]


SECTIONS = {
    "smollm": Section(smollm_trials, SMOLLM, Sizes(2, 1, 2, 48), ("topics", "shakespeare"), smollm_figures),
    "scratch": Section(scratch_trials, SCRATCH, Sizes(60, 1, 20, 48), ("docstrings", "shakespeare"), scratch_figures),
}


def corpora_of(given: Sequence[str], usual: tuple[str, ...]) -> dict[str, Read]:
    """The corpora that the user names, or the usual ones."""
    found = {}
    for one in given or usual:
        name, equals, folder = one.partition("=")
        if not equals and name not in CORPORA:
            raise SystemExit(f"--corpus {one}: say NAME=FOLDER, a folder of txt or md files, or {', '.join(CORPORA)}")
        if equals and not Path(folder).is_dir():
            raise SystemExit(f"--corpus {one}: no such folder")
        found[name] = text_folder(Path(folder)) if equals else CORPORA[name]
    return found


def settings_of(trials: Sequence[Trial]) -> dict[str, Setting]:
    """The trials by their setting, each with all its figures."""
    kinds: dict[str, list[Trial]] = {}
    for trial in trials:
        kinds.setdefault(trial.setting, []).append(trial)
    found = {}
    for name, own in kinds.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        found[name] = setting(name, own, costs_by_attack([costs(trial) for trial in own]))
    return found


def write(folder: Path, name: str, figures: list[Figure], settings: Mapping[str, Setting]) -> str:
    """Figures through `save`, tables beside them as numbers, and all of it as one page, which is returned."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    page, numbers = folder / f"attacks-{device}.md", folder / f"attacks-{device}-tables.json"
    text = save(page.with_suffix(".json"), {name: figures}, ABOUT)
    tables = json.loads(numbers.read_text("utf-8")) if numbers.exists() else {}
    tables |= {one.name: one.as_json() for one in settings.values()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows, ensure_ascii=False)}" for name, rows in tables.items())
    write_text(numbers, f"{{\n{lines}\n}}\n")
    text = "\n".join([text, *(table(one, rows) for one, rows in tables.items())])
    write_text(page, text)
    return text


def main() -> int:
    """Train, score, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["cost", *SECTIONS], metavar="SECTION")
    parser.add_argument("--work", type=Path, default=Path("runs/attacks"), help="models and run directories")
    parser.add_argument("--seeds", type=int, default=3, help="trials a corpus and setting (3)")
    parser.add_argument("--corpus", action="append", default=[], metavar="NAME[=FOLDER]", help="in place of the usual")
    parser.add_argument("--passes", action="store_true", help="train and score, and write no results yet")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, results in --work: only to see that all runs")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be 1 or more; the placebo takes 2")
    page, out = "", arguments.work if arguments.quick else RESULTS
    chosen = arguments.only or ["cost", *SECTIONS]
    if "cost" in chosen and not arguments.passes:
        few = arguments.quick
        passages = passages_of("topics", CORPORA["topics"], SMOLLM.tokens, arguments.work)
        page = write(out, "cost", cost_figures(passages[: 5 if few else 120], 1 if few else 10, 1 if few else 3), {})
    for name, section in SECTIONS.items():
        if name not in chosen:
            continue
        corpora = corpora_of(arguments.corpus, section.corpora)
        sizes = section.quick if arguments.quick else section.sizes
        trials = list(section.trials(corpora, sizes, arguments.seeds, arguments.work))
        if arguments.passes:
            continue
        settings = settings_of(trials)
        drawn = {trial.draw.folder: trial.draw for trial in trials}
        figures = section.figures(settings) + blind_figures(name, [blind(draw) for draw in drawn.values()])
        page = write(out, name, figures, settings)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
