"""Measure attacks: .venv/bin/python scripts/bench_attacks.py [--only SECTION …] [--work FOLDER] [--seeds N].

Draws passages, trains models on half of them, and scores both halves. Prints tables and writes them, also as JSON, to
scripts/results/attacks-DEVICE*; with *--only* these sections alone are replaced. Models and run directories stay in
*--work* (10 GB); the same command continues a measurement that was stopped. Run it on a machine that does nothing else;
it takes about 70 minutes on two cores.

The section ``tail`` runs only where it is named. It measures low false positive rates: 1,000 members and at least
10,000 non-members a trial, and its tables are scripts/results/attacks-tail.*. Trials can be measured in pieces, such as
with ``--trials 3`` or ``--epochs 3``; the tables hold what the last command measured.
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
from benchmarks.tail_corpora import TAIL_CORPORA
from benchmarks.tail_report import measure, write_tail
from benchmarks.tail_trials import QUICK, SCRATCH as FROM_NOTHING, SIZES, SMOLLM2, tail_trials

from llm_mia.store import write_text

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of model: how its trials are run, and which figures they give."""

    trials: Callable[[dict[str, Read], Sizes, int, Path], Iterator[Trial]]
    sizes: Sizes
    quick: Sizes
    corpora: tuple[str, ...]
    figures: Callable[[Mapping[str, Setting]], list[Figure]]


SECTIONS = {
    "smollm": Section(smollm_trials, SMOLLM, Sizes(2, 1, 2, 48), ("topics", "shakespeare"), smollm_figures),
    "scratch": Section(scratch_trials, SCRATCH, Sizes(60, 1, 20, 48), ("docstrings", "shakespeare"), scratch_figures),
}


def corpora_of(choices: Sequence[str], defaults: Sequence[str], known: Mapping[str, Read] = CORPORA) -> dict[str, Read]:
    """The corpora that the user names, or the default ones."""
    corpora = {}
    for choice in choices or defaults:
        name, equals, folder = choice.partition("=")
        if not equals and name not in known:
            raise SystemExit(
                f"--corpus {choice}: give NAME=FOLDER, a folder of txt or md files, or one of {', '.join(known)}"
            )
        if equals and not Path(folder).is_dir():
            raise SystemExit(f"--corpus {choice}: no such folder")
        corpora[name] = text_folder(Path(folder)) if equals else known[name]
    return corpora


def settings_of(trials: Sequence[Trial]) -> dict[str, Setting]:
    """All figures of each setting, by its name."""
    by_setting: dict[str, list[Trial]] = {}
    for trial in trials:
        by_setting.setdefault(trial.setting, []).append(trial)
    settings = {}
    for name, trials_of_setting in by_setting.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        settings[name] = setting(
            name, trials_of_setting, costs_by_attack([costs(trial) for trial in trials_of_setting])
        )
    return settings


def write(folder: Path, name: str, figures: list[Figure], settings: Mapping[str, Setting]) -> str:
    """The page of all figures and tables, which is written to *folder*, with the same as JSON."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    page, numbers = folder / f"attacks-{device}.md", folder / f"attacks-{device}-tables.json"
    text = save(page.with_suffix(".json"), {name: figures}, ABOUT)
    tables = json.loads(numbers.read_text("utf-8")) if numbers.exists() else {}
    tables |= {setting.name: setting.as_json() for setting in settings.values()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows, ensure_ascii=False)}" for name, rows in tables.items())
    write_text(numbers, f"{{\n{lines}\n}}\n")
    text = "\n".join([text, *(table(name, rows) for name, rows in tables.items())])
    write_text(page, text)
    return text


def tail(arguments: argparse.Namespace, out: Path) -> str:
    """The page of low false positive rates; trials that are in the work folder are not made again."""
    corpora = corpora_of(arguments.corpus, list(TAIL_CORPORA), TAIL_CORPORA)
    work = arguments.work / "tail"
    trials = tail_trials(arguments.models, corpora, arguments.trials, work, quick=arguments.quick)
    possible = (QUICK if arguments.quick else SIZES)[arguments.models].epochs
    epochs = arguments.epochs or list(possible)
    unknown = [epoch for epoch in epochs if epoch not in possible]
    if unknown:
        raise SystemExit(f"--epochs {unknown[0]}: the models are kept after {', '.join(map(str, possible))}")
    return write_tail(out, arguments.models, measure(trials, epochs, work))


def main() -> int:
    """Train, score, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["cost", *SECTIONS, "tail"], metavar="SECTION")
    parser.add_argument("--work", type=Path, default=Path("runs/attacks"), help="models and run directories")
    parser.add_argument("--seeds", type=int, default=3, help="trials of each corpus and setting (3)")
    parser.add_argument(
        "--corpus", action="append", default=[], metavar="NAME[=FOLDER]", help="corpora in place of the default ones"
    )
    parser.add_argument("--trials", type=int, default=12, help="of the section tail (12)")
    parser.add_argument("--epochs", nargs="+", type=int, help="of the section tail; all by default")
    parser.add_argument("--models", choices=[FROM_NOTHING, SMOLLM2], default=FROM_NOTHING, help="of the section tail")
    parser.add_argument("--passes", action="store_true", help="train and score only; write no results")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, results in --work: only to see that everything runs"
    )
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be 1 or more; the placebo takes 2")
    page, out = "", arguments.work if arguments.quick else RESULTS
    chosen = arguments.only or ["cost", *SECTIONS]
    if "cost" in chosen and not arguments.passes:
        few = arguments.quick
        passages = passages_of("topics", CORPORA["topics"], SMOLLM.tokens, arguments.work)
        page = write(out, "cost", cost_figures(passages[: 5 if few else 120], 1 if few else 10, 1 if few else 3), {})
    if "tail" in chosen:
        page = tail(arguments, out)
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
