"""Measure decisions on real data: .venv/bin/python scripts/check_decisions.py [DATA_FOLDER] [--only SECTION …].

DATA_FOLDER holds llm-pbe-echr.csv (scores of a fine-tuned 7B model, members known), wikimia-64.jsonl and
wikimia-128.jsonl. Error rates over random splits are compared with the rates that were requested, three Monte-Carlo
standard errors allowed; verdicts are compared for known sets that must be void, sound or not sound. Prints a table and
writes it, also as JSON, to scripts/results/decisions.{md,json}. `--only simulated findings` needs no data.

The sections slips, fair-texts, fair-signals, collection-shift, forks and power take real texts, which models score on
this machine; some of the models are trained here. Scores and models are kept in the folder `--work`. With `--before` no
other model is compared and no decision is recorded, so that an earlier version of the package can be measured, too:
PYTHONPATH=CHECKOUT .venv/bin/python scripts/check_decisions.py --before
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from benchmarks.controls import control_figures
from benchmarks.fair_scores import echr_figures, signal_figures
from benchmarks.figures import Figure, save
from benchmarks.findings import finding_figures
from benchmarks.forks import fork_figures
from benchmarks.known_sets import cost_figures, leaky_figures, random_split_figures, topic_figures
from benchmarks.members_detected import power_figures
from benchmarks.rates import (
    ERRORS,
    Scores,
    count_figures,
    fdr_figures,
    fpr_figures,
    read_scores,
    simulated_figures,
    strengthened,
)
from benchmarks.repeats import repeat_figures
from benchmarks.shared_documents import document_figures
from benchmarks.shifted import weighted_figures
from benchmarks.shifted_collections import collection_figures
from benchmarks.slips import fair_text_figures, slips_figures

SCORES, PAGES = "llm-pbe-echr.csv", ("wikimia-64.jsonl", "wikimia-128.jsonl")
ON_MODELS = {"slips", "fair-texts", "fair-signals", "collection-shift", "forks", "power"}
WITHOUT_DATA = {"simulated", "findings", "cost", "documents", "repeats", "control", *ON_MODELS}
Section = Callable[[], list[Figure]]
Measure = Callable[[Scores, int, np.random.Generator], list[Figure]]


def sections(arguments: argparse.Namespace) -> dict[str, Section]:
    """Every section by name, the slow ones last. Each has its random numbers, so that it can be run alone."""
    folder, splits, validity_splits = arguments.folder or Path(), arguments.splits, arguments.validity_splits

    def rng(section: int) -> np.random.Generator:
        return np.random.default_rng([arguments.seed, section])

    def over_scores(measure: Measure, section: int, *, stronger: bool = False) -> list[Figure]:
        scores, generator = read_scores(folder / SCORES), rng(section)
        if stronger:
            scores.append(strengthened(scores[0]))
        return joined(measure(each, splits, generator) for each in scores)

    return {
        "simulated": lambda: simulated_figures(1000, rng(0)),
        "findings": lambda: finding_figures(splits, rng(7)),
        "fpr": lambda: over_scores(fpr_figures, 1),
        "fdr": lambda: over_scores(fdr_figures, 2, stronger=True),
        "count": lambda: over_scores(count_figures, 3, stronger=True),
        "documents": lambda: document_figures(splits, rng(8)),
        "repeats": lambda: repeat_figures(splits, rng(9)),
        "control": lambda: [] if arguments.before else control_figures(splits, rng(10)),
        "weighted": lambda: over_scores(weighted_figures, 4),
        "leaky": lambda: joined(leaky_figures(folder / name) for name in PAGES),
        "topics": lambda: topic_figures(folder / PAGES[0]),
        "cost": lambda: cost_figures(10_000, 100_000, rng(5)),
        "random-splits": lambda: random_split_figures(folder / PAGES[0], validity_splits, rng(6)),
        **sections_on_models(arguments, rng),
    }


def sections_on_models(arguments: argparse.Namespace, rng: Callable[[int], np.random.Generator]) -> dict[str, Section]:
    """The sections that take scores of models, and the one on stored scores that belongs to them."""
    work, splits, checks, now = arguments.work, arguments.splits, arguments.validity_splits, not arguments.before
    scores = (arguments.folder or Path()) / SCORES
    return {
        "slips": lambda: slips_figures(work, splits, checks, arguments.seed, compared=now),
        "fair-texts": lambda: fair_text_figures(work, splits, checks, arguments.seed, compared=now),
        "fair-signals": lambda: signal_figures(work, splits, rng(11), compared=now),
        "fair-echr": lambda: echr_figures(scores, splits, rng(12), compared=now),
        "collection-shift": lambda: collection_figures(work, splits, rng(13), compared=now),
        "forks": lambda: fork_figures(work, splits, rng(14), recorded=now),
        "power": lambda: power_figures(work, splits, checks, rng(15), compared=now),
    }


def joined(parts: Iterable[list[Figure]]) -> list[Figure]:
    """The lists in *parts* as a single list."""
    return [figure for part in parts for figure in part]


def unusable(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments, in one line; None where nothing is."""
    if arguments.splits < 2 or arguments.validity_splits < 1:
        return "an error over splits takes at least 2 --splits, and 1 --validity-splits"
    names = (SCORES, *PAGES)
    if arguments.work is None and (not arguments.only or ON_MODELS & set(arguments.only)):
        return f"name a folder for models and scores with --work, for {', '.join(sorted(ON_MODELS))}"
    if arguments.folder is None:
        without = set(arguments.only or ["all"]) <= WITHOUT_DATA
        return None if without else f"name the folder that holds {', '.join(names)}; --only simulated needs none"
    if not arguments.folder.is_dir():
        return f"no folder {str(arguments.folder)!r}: name the one that holds {', '.join(names)}"
    missing = [name for name in names if not (arguments.folder / name).is_file()]
    return f"{str(arguments.folder)!r} holds no {', '.join(missing)}" if missing else None


SECTIONS = (
    "simulated", "findings", "fpr", "fdr", "count", "documents", "repeats", "control", "weighted", "leaky", "topics",
    "cost", "random-splits", "slips", "fair-texts", "fair-signals", "fair-echr", "collection-shift", "forks", "power",
)  # fmt: skip


def parsed() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="DATA_FOLDER")
    parser.add_argument("--splits", type=int, default=500, help="random splits or draws for each rate (500)")
    parser.add_argument("--validity-splits", type=int, default=20, help="known sets checked, seconds each (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=SECTIONS)
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="models and their scores, made where missing")
    parser.add_argument("--before", action="store_true", help="compare no other model and record no decision")
    parser.add_argument("--into", metavar="NAME", help="write results/NAME.{md,json}")
    return parser.parse_args()


def main() -> int:
    """Measure, print, write."""
    arguments = parsed()
    if wrong := unusable(arguments):
        print(wrong, file=sys.stderr)
        return 1
    figures_by_section: dict[str, list[Figure]] = {}
    suffix = "-" + "-".join(arguments.only) if arguments.only else ""
    path = Path(__file__).parent / "results" / f"{arguments.into or 'decisions' + suffix}.json"
    goals = (
        f"{arguments.splits} splits, seed {arguments.seed}; "
        f"rates may differ by {ERRORS} standard errors from what was requested"
    )
    table = ""
    for name, measure in sections(arguments).items():
        if arguments.only and name not in arguments.only:
            continue
        start = time.monotonic()
        figures_by_section[name] = measure()
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        table = save(path, figures_by_section, goals)  # after each section: a run may be stopped
    print(table)
    missed = [figure.name for figures in figures_by_section.values() for figure in figures if figure.reached == "NO"]
    print(f"{len(missed)} not reached" + "".join(f"\n  {name}" for name in missed), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
