"""Measure shadow models: .venv/bin/python scripts/bench_shadow.py [--only SECTION …] [--work FOLDER] [--seeds N].

Trains targets on half of a pool and shadow models on other halves, audits each target by its shadows alone, and
compares the decisions with the truth. Prints a table and writes it, also as JSON, to scripts/results/shadow-DEVICE*;
with *--only* these sections alone are replaced. Models and run directories stay in *--work*; the same command continues
a measurement that was stopped. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from benchmarks import attack_models as models
from benchmarks.attack_corpora import CORPORA, passages_of
from benchmarks.figures import Figure, save
from benchmarks.shadow_trials import ATTACKS, ShadowSizes, ShadowTrial, gain_fpr, shadow_trials, timed_trial

from llm_mia.backends import embedded
from llm_mia.decision import STACK
from llm_mia.training import Method, Recipe

RESULTS = Path(__file__).parent / "results"
TOKENS = 72
WITHIN_SECONDS = 360
TIME = "time"
"""The section that measures how long shadows of the section scratch take."""
ABOUT = (
    "A trial is a corpus and a seed: a pool, a target trained on half of it, and 8 shadows trained on other halves. "
    "Means and 95 % intervals are over trials (Student's t); trials of a corpus share passages, so the intervals hold "
    "for other draws and trainings, and not for other corpora. Differences are paired within a trial."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of model, and how large its trials are."""

    name: str
    recipe: Recipe
    sizes: ShadowSizes
    quick: ShadowSizes
    corpora: tuple[str, ...]
    base: Callable[[str, Sequence[str], Path], Path | str]
    """Returns the base model for the name and the passages of a corpus, and the folder of all work."""


def scratch_base(corpus: str, texts: Sequence[str], work: Path) -> Path:
    """A small model with random weights and a tokenizer of the corpus."""
    folder = work / "bases" / corpus
    if not (folder / "config.json").exists():
        backend = models.scratch(texts, 0)
        backend.tokenizer.save_pretrained(folder)
        backend.model.save_pretrained(folder)
    return folder


SECTIONS = {
    "scratch": Section(
        "scratch",
        Recipe(Method.SCRATCH, epochs=8, batch_size=64, learning_rate=5e-4),
        ShadowSizes(4_000, elsewhere=1_900),
        ShadowSizes(280, shadows=4, elsewhere=80),
        ("docstrings",),
        scratch_base,
    ),
    "smollm": Section(
        "SmolLM2, LoRA",
        Recipe(Method.LORA),
        ShadowSizes(200),
        ShadowSizes(280, shadows=4),
        ("topics",),
        lambda *_: embedded.NAME,
    ),
}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of *values* with its 95 % interval by Student's t; without bounds for a single value."""
    from scipy.special import stdtrit

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def figure(name: str, values: Sequence[float], note: str = "", *, at_most: float | None = None) -> Figure:
    """The mean of *values*, with the interval in the note."""
    mean, low, high = interval(values)
    shown = f"[{low:.4f}, {high:.4f}] over {len(values)} trials{note}"
    return Figure(name, mean, at_most=at_most, note=shown)


def figures_of(name: str, trials: Sequence[ShadowTrial]) -> list[Figure]:
    """The figures of a section."""
    fpr = gain_fpr(trials[0].passages)
    singles = ", ".join(sorted({trial.single for trial in trials}))
    figures = []
    for attack in ATTACKS:
        gains = [trial.gains[attack] for trial in trials]
        row = figure(f"{name}: TPR at {100 * fpr:g} % FPR, {attack} less the best of a single reference", gains)
        low = interval(gains)[1]
        figures.append(replace(row, note=f"{row.note}; best: {singles}"))
        figures.append(Figure(f"{name}: lower end of that", low, at_least=0.0 if fpr == 0.01 else None))
    for decider in (*ATTACKS, STACK, "oracle", "best single"):
        rates = [trial.deciders[decider] for trial in trials]
        figures.append(figure(f"{name}: AUROC, {decider}", [rate.auroc for rate in rates]))
        for level in sorted({level for rate in rates for level in rate.realised_fpr}, key=float):
            per_trial = [rate.realised_fpr[level] for rate in rates if level in rate.realised_fpr]
            found = [rate.realised_tpr[level] for rate in rates if level in rate.realised_tpr]
            recognised = f"; of the members {100 * statistics.fmean(found):.1f} %"
            figures.append(
                figure(f"{name}: realised FPR at {100 * float(level):g} %, {decider}", per_trial, recognised)
            )
            if decider != "oracle":
                low = interval(per_trial)[1]
                figures.append(Figure(f"{name}: lower end of that", low, at_most=float(level)))
    gaps = [trial.classifier_gap for trial in trials]
    figures.append(figure(f"{name}: AUROC of the oracle less the shadow classifier's", gaps, at_most=0.03))
    left_out = [trial.left_out.fpr.value for trial in trials if trial.left_out is not None]
    figures.append(figure(f"{name}: FPR at 5 % of left-out shadows, lira", left_out))
    return figures


def seconds_of(section: Section, sizes: ShadowSizes, work: Path) -> list[Figure]:
    """How long 8 shadows take, one after another and as many at a time as there are cores."""
    corpus = section.corpora[0]
    texts, figures = passages_of(corpus, CORPORA[corpus], TOKENS, work), list[Figure]()
    for processes in dict.fromkeys((1, os.cpu_count() or 1)):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            base = section.base(corpus, texts, work)
            trained, rest = timed_trial(texts, base, section.recipe, sizes, processes, Path(folder))
        threads = f"{torch.get_num_threads()} threads in a process that trains alone"
        note = f"training {trained:.0f} s, signals and audit {rest:.0f} s, {sizes.pool:,} passages; {threads}"
        name = f"{section.name}: {sizes.shadows} shadows train and score, {processes} at a time"
        figures.append(Figure(name, trained + rest, unit="s", at_most=WITHIN_SECONDS, note=note))
    return figures


def _base(section: Section, texts: Mapping[str, Sequence[str]], work: Path, corpus: str) -> Path | str:
    return section.base(corpus, texts[corpus], work)


def main() -> int:
    """Train, audit, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, TIME], metavar="SECTION")
    parser.add_argument("--work", type=Path, default=Path("runs/shadow"), help="models and run directories")
    parser.add_argument("--seeds", type=int, default=3, help="trials of each corpus (3)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, results in --work: only to see that everything runs"
    )
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be 1 or more")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out, page = arguments.work if arguments.quick else RESULTS, ""
    for name, section in SECTIONS.items():
        if arguments.only and name not in arguments.only:
            continue
        texts = {each: passages_of(each, CORPORA[each], TOKENS, arguments.work) for each in section.corpora}
        trials = shadow_trials(
            section.name,
            texts,
            partial(_base, section, texts, arguments.work),
            section.recipe,
            section.quick if arguments.quick else section.sizes,
            arguments.seeds,
            arguments.work,
        )
        page = save(out / f"shadow-{device}.json", {name: figures_of(section.name, list(trials))}, ABOUT)
    if not arguments.only or TIME in arguments.only:
        section = SECTIONS["scratch"]
        sizes = section.quick if arguments.quick else section.sizes
        page = save(out / f"shadow-{device}.json", {TIME: seconds_of(section, sizes, arguments.work)}, ABOUT)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
