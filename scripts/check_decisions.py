"""Measure decisions on real data: .venv/bin/python scripts/check_decisions.py [DATA_FOLDER] [--only SECTION …].

DATA_FOLDER holds llm-pbe-echr.csv (scores of a fine-tuned 7B model, members known), wikimia-64.jsonl and
wikimia-128.jsonl. Error rates over random splits are compared with the rates that were requested, three Monte-Carlo
standard errors allowed; verdicts are compared for known sets that must be void, sound or not sound. Prints a table and
writes it, also as JSON, to scripts/results/decisions.{md,json}. `--only simulated findings` needs no data.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from benchmarks.figures import Figure, save
from benchmarks.findings import finding_figures
from benchmarks.known_sets import cost_figures, leaky_figures, random_split_figures, topic_figures
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
from benchmarks.shifted import weighted_figures

SCORES, PAGES = "llm-pbe-echr.csv", ("wikimia-64.jsonl", "wikimia-128.jsonl")
WITHOUT_DATA = {"simulated", "findings", "cost", "documents"}
Section = Callable[[], list[Figure]]
Measure = Callable[[Scores, int, np.random.Generator], list[Figure]]


def sections(folder: Path, splits: int, validity_splits: int, seed: int) -> dict[str, Section]:
    """Every section by name, the slow ones last. Each has its random numbers, so that it can be run alone."""

    def rng(section: int) -> np.random.Generator:
        return np.random.default_rng([seed, section])

    def over_scores(measure: Measure, section: int, *, stronger: bool = False) -> list[Figure]:
        scores, generator = read_scores(folder / SCORES), rng(section)
        if stronger:
            scores.append(strengthened(scores[0]))
        return joined(measure(each, splits, generator) for each in scores)

    def documents() -> list[Figure]:
        return [Figure("document p-values on real scores", None, note=f"{SCORES} names no documents")]

    return {
        "simulated": lambda: simulated_figures(1000, rng(0)),
        "findings": lambda: finding_figures(splits, rng(7)),
        "fpr": lambda: over_scores(fpr_figures, 1),
        "fdr": lambda: over_scores(fdr_figures, 2, stronger=True),
        "count": lambda: over_scores(count_figures, 3, stronger=True),
        "documents": documents,
        "weighted": lambda: over_scores(weighted_figures, 4),
        "leaky": lambda: joined(leaky_figures(folder / name) for name in PAGES),
        "topics": lambda: topic_figures(folder / PAGES[0]),
        "cost": lambda: cost_figures(10_000, 100_000, rng(5)),
        "random-splits": lambda: random_split_figures(folder / PAGES[0], validity_splits, rng(6)),
    }


def joined(parts: Iterable[list[Figure]]) -> list[Figure]:
    """The lists in *parts* as a single list."""
    return [figure for part in parts for figure in part]


def unusable(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments, in one line; None where nothing is."""
    if arguments.splits < 2 or arguments.validity_splits < 1:
        return "an error over splits takes at least 2 --splits, and 1 --validity-splits"
    names = (SCORES, *PAGES)
    if arguments.folder is None:
        without = set(arguments.only or ["all"]) <= WITHOUT_DATA
        return None if without else f"name the folder that holds {', '.join(names)}; --only simulated needs none"
    if not arguments.folder.is_dir():
        return f"no folder {str(arguments.folder)!r}: name the one that holds {', '.join(names)}"
    missing = [name for name in names if not (arguments.folder / name).is_file()]
    return f"{str(arguments.folder)!r} holds no {', '.join(missing)}" if missing else None


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="DATA_FOLDER")
    parser.add_argument("--splits", type=int, default=500, help="random splits for each rate (500)")
    parser.add_argument("--validity-splits", type=int, default=20, help="random splits validated, seconds each (20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=list(sections(Path(), 0, 0, 0)))
    arguments = parser.parse_args()
    if wrong := unusable(arguments):
        print(wrong, file=sys.stderr)
        return 1
    figures_by_section: dict[str, list[Figure]] = {}
    measures = sections(arguments.folder or Path(), arguments.splits, arguments.validity_splits, arguments.seed)
    for name, measure in measures.items():
        if arguments.only and name not in arguments.only:
            continue
        start = time.monotonic()
        figures_by_section[name] = measure()
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    suffix = "-" + "-".join(arguments.only) if arguments.only else ""
    path = Path(__file__).parent / "results" / f"decisions{suffix}.json"
    goals = (
        f"{arguments.splits} splits, seed {arguments.seed}; "
        f"rates may differ by {ERRORS} standard errors from what was requested"
    )
    print(save(path, figures_by_section, goals))
    missed = [figure.name for figures in figures_by_section.values() for figure in figures if figure.reached == "NO"]
    print(f"{len(missed)} not reached" + "".join(f"\n  {name}" for name in missed), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
