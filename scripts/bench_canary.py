"""Measure canaries: .venv/bin/python scripts/bench_canary.py [--only null power paired] [--work FOLDER] ….

null   1,000 redrawn manifests against the scores of the embedded model, which was trained on no variant
power  all weights of the embedded model are trained, one epoch, on the published variants of 100 documents and on other
       texts; the variants are those of `make_canaries`
paired how often `paired` has a small p-value on edited texts, with models that were trained on no version of them

Prints a table and writes it, also as JSON, to scripts/results/canary.*; with *--only* these alone are replaced.
Variants and scores stay in *--work*. The p-values of each training are kept in scripts/results/canary-power.jsonl, so
the same command continues, and trainings can be run in pieces: ``--only power --kinds token --repeats 8 --seeds 3``.
The table has all that were ever measured.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
from benchmarks.canary_trials import (
    NULL_KINDS,
    SUBSETS,
    Cell,
    Trials,
    measure_trials,
    null_p_values,
    scored,
    variants_of,
)
from benchmarks.figures import Figure, save
from benchmarks.paired_trials import paired_figures

from llm_mia.backends import embedded
from llm_mia.canary import CanaryKind
from llm_mia.metrics import clopper_pearson

RESULTS = Path(__file__).parent / "results"
LEVELS = (0.01, 0.05)
SECTIONS = ("null", "power", "paired")
ATTACKS = ("loss", "min_k++")
FAULT = 0.2
"""Share of documents of which the likeliest variant is published, as a planted fault."""
POWER_LEVEL, GOAL = 0.01, 0.8
RATE = 1e-4
"""The usual learning rate of a training of all weights."""
ABOUT = (
    "Texts: Python's language reference; 8 variants of each. Null: intervals are exact (Clopper–Pearson, 95 %) over "
    "redrawn manifests, and the goal is that the level lies within, which the lower end decides. Power: all weights "
    "are trained, one epoch, on the published variants of 100 documents of about 48 tokens and on 400 other passages, "
    "each of which is seen once. In the place of a writer who rephrases, 30 % of the words are dropped or moved. Draw "
    "and training differ between seeds; tests of 10 and 25 documents are of disjoint parts of these 100, and share a "
    "training, so that their intervals are too narrow. Paired: 2,000 tests of 60 documents each, drawn without "
    "repetition from those of an edit; they overlap, so intervals (95 %) are by drawing the documents anew "
    "(bootstrap). The small models have 2 layers of width 64 and are trained on 600 docstrings; the fine-tuned model "
    "is the small model after 3 more epochs on 150 others, which make it much better. No version of a text is among "
    "these. With a control set: of the same scores 60 documents are drawn as published and 60 others as control, 2,000 "
    "times, so they are exchangeable by the draw; intervals are exact (Clopper–Pearson) over draws. This shows that an "
    "edit by a rule does not break the test, and not that a control set of a user was edited alike."
)


def null(work: Path, documents: int, tokens: int, manifests: int) -> list[Figure]:
    """How often redrawn manifests have a small p-value, with and without a planted fault."""
    figures = list[Figure]()
    for kind in NULL_KINDS:
        variants = variants_of(kind, documents, tokens)
        scores = scored(variants, embedded.NAME, work / f"null-{kind}-{documents}-{tokens}", ATTACKS)
        for attack, each in scores.items():
            spread = float(np.mean([np.ptp(of_document) for of_document in each]))
            p_values = null_p_values(each, manifests)
            for level in LEVELS:
                name = f"null, variants {kind}, {attack}: share of p ≤ {level}"
                note = f"range of a document's scores {spread:.2f} on average"
                figures += shares(name, p_values, level, note, at_most=level)
            faulty = null_p_values(each, manifests, FAULT)
            name = f"null, variants {kind}, {attack}, the likeliest of 20 % of documents published: share of p ≤ 0.05"
            figures += shares(name, faulty, 0.05, "a planted fault, which has to break it", at_least=0.06)
    return figures


def shares(
    name: str,
    p_values: np.ndarray,
    level: float,
    note: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> list[Figure]:
    """The share of p-values of at most *level*, and the lower end of its interval, which has the goal."""
    share = clopper_pearson(int((p_values <= level).sum()), len(p_values))
    interval = f"[{share.low:.4f}, {share.high:.4f}] over {len(p_values):,} manifests; {note}"
    return [
        Figure(name, share.value, note=interval),
        Figure("lower end of that", share.low, at_most=at_most, at_least=at_least),
    ]


def power(trials: Trials) -> list[Figure]:
    """The share of tests with a small p-value, by kind of variant, repeats, attack and number of documents."""
    figures = list[Figure]()
    for (kind, repeats, rate), group in itertools.groupby(trials, lambda cell: (cell.kind, cell.repeats, cell.rate)):
        cells = list(group)
        for attack, documents in itertools.product(("reference", "loss"), SUBSETS):
            p_values = [p_value for cell in cells for p_value in trials[cell][attack][str(documents)]]
            share = clopper_pearson(sum(each <= POWER_LEVEL for each in p_values), len(p_values))
            goal = (kind, repeats, attack, documents) == (CanaryKind.REPHRASE, 1, "reference", 100) and rate == RATE
            figures.append(
                Figure(
                    f"power, {kind}, seen {repeats} times, rate {rate:g}, {attack}, {documents} documents: p ≤ 0.01",
                    share.value,
                    at_least=GOAL if goal else None,
                    note=f"[{share.low:.2f}, {share.high:.2f}] over {len(p_values)} tests of {len(cells)} trainings; "
                    f"p: median {np.median(p_values):.2g}, largest {max(p_values):.2g}",
                )
            )
    return figures


def main() -> int:
    """Score, train, test, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], default=[*SECTIONS], metavar="SECTION")
    parser.add_argument("--work", type=Path, default=Path("runs/canary"), help="scores, models and cells")
    parser.add_argument("--manifests", type=int, default=1_000)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=48, help="of a document, about (48)")
    parser.add_argument("--others", type=int, default=400, help="other texts that are trained on, too (400)")
    parser.add_argument("--kinds", nargs="+", choices=[*CanaryKind], default=[*CanaryKind])
    parser.add_argument("--repeats", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate of the section power (1e-4)")
    parser.add_argument("--small", type=int, default=400, help="documents of an edit for the small models (400)")
    parser.add_argument("--large", type=int, default=200, help="documents of an edit for SmolLM2; 0: without it (200)")
    parser.add_argument("--quick", action="store_true", help="results in --work: only to see that everything runs")
    arguments = parser.parse_args()
    out, page = arguments.work if arguments.quick else RESULTS, ""
    arguments.work.mkdir(parents=True, exist_ok=True)
    if "null" in arguments.only:
        figures = null(arguments.work, arguments.documents, arguments.tokens, arguments.manifests)
        page = save(out / "canary.json", {"null": figures}, ABOUT)
    if "power" in arguments.only:
        cells = [
            Cell(kind, repeats, seed, arguments.documents, arguments.others, arguments.tokens, arguments.rate)
            for kind in arguments.kinds
            for repeats in arguments.repeats
            for seed in range(arguments.seeds)
        ]
        trials = measure_trials(arguments.work, cells, out / "canary-power.jsonl")
        page = save(out / "canary.json", {"power": power(trials)}, ABOUT)
    if "paired" in arguments.only:
        figures = paired_figures(arguments.work, arguments.small, arguments.large)
        page = save(out / "canary.json", {"paired": figures}, ABOUT)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
