"""Many decisions on the same candidates, of which somebody reports the best: nobody was trained on."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from llm_mia import ScoreTable
from llm_mia.decision import calibrate, flag, judge_collection

from .audits_in_memory import Columns
from .figures import Figure
from .real_texts import ATTACKS, EMBEDDED, real_texts
from .slips import limit

KNOWN, CANDIDATES = 100, 140
ALIKE = 0.7
"""Correlation of the scores of two attacks."""
LOOKS, SEEDS = 10, 10
FPR = 0.05


def fork_figures(work: Path, draws: int, rng: np.random.Generator, *, recorded: bool) -> list[Figure]:
    """Best of twelve attacks, on simulated and on real scores; growing candidates; ten seeds of a collection.

    Where decisions are *recorded*, each is made as the commands make it; otherwise each knows of no other.
    """
    real = {name: real_texts(work).scores(EMBEDDED)[name] for name in ATTACKS}
    cases: dict[str, Callable[[], list[bool]]] = {
        f"best of 12 attacks, scores correlated {ALIKE:g}": lambda: _attacks(_simulated(rng), recorded=recorded),
        "best of 12 attacks, embedded model": lambda: _attacks(_real(real, rng), recorded=recorded),
        f"{LOOKS} looks at growing candidates": lambda: _looks(rng, recorded=recorded),
        f"{SEEDS} seeds of a collection, several attacks": lambda: _seeds(rng, recorded=recorded),
    }
    figures = []
    for title, decide in cases.items():
        found = [decide() for _ in range(draws)]
        first = 100 * float(np.mean([each[0] for each in found]))
        share = 100 * float(np.mean([any(each) for each in found]))
        note = f"the first decision alone {first:.3g} %; {draws} draws"
        figures.append(Figure(f"{title}, nobody trained on: any finding", share, "%", limit(draws), note=note))
    return figures


def _attacks(table: ScoreTable, *, recorded: bool) -> list[bool]:
    return _flagged([(table, attack) for attack in table.columns], recorded=recorded)


def _looks(rng: np.random.Generator, *, recorded: bool) -> list[bool]:
    """The candidates of each look hold those of the looks before."""
    scores = rng.normal(size=KNOWN + CANDIDATES)
    sizes = [KNOWN + CANDIDATES * look // LOOKS for look in range(1, LOOKS + 1)]
    tables = [ScoreTable.of(scores[:size], [0] * KNOWN + [None] * (size - KNOWN), name="simulated") for size in sizes]
    return _flagged([(table, "score") for table in tables], recorded=recorded)


def _flagged(decisions: Sequence[tuple[ScoreTable, str]], *, recorded: bool) -> list[bool]:
    if not recorded:
        return [flag(table, calibrate(table, attack, fpr=FPR)).significant for table, attack in decisions]
    from llm_mia.history import History, flag_on_record

    with tempfile.TemporaryDirectory() as folder:
        history = History(shared=folder)
        return [
            flag_on_record(table, calibrate(table, attack, fpr=FPR), history).significant for table, attack in decisions
        ]


def _seeds(rng: np.random.Generator, *, recorded: bool) -> list[bool]:
    """Three attacks and twenty documents on each side, of five passages."""
    documents, size, attacks = 20, 5, 3
    document = np.repeat(np.arange(2 * documents), size)
    common = rng.normal(size=(2 * documents, attacks))[document]
    scores = math.sqrt(0.4) * common + math.sqrt(0.6) * rng.normal(size=(len(document), attacks))
    labels = [0] * (documents * size) + [None] * (documents * size)
    columns = {f"attack{at}": scores[:, at] for at in range(attacks)}
    table = ScoreTable.of(columns, labels, documents=[f"d{at}" for at in document.tolist()], name="simulated")
    if not recorded:
        return [judge_collection(table, list(columns), seed=seed).significant for seed in range(SEEDS)]
    from llm_mia.history import History, judge_on_record

    with tempfile.TemporaryDirectory() as folder:
        history = History(shared=folder)
        return [judge_on_record(table, list(columns), history, seed=seed).significant for seed in range(SEEDS)]


def _simulated(rng: np.random.Generator) -> ScoreTable:
    n = KNOWN + CANDIDATES
    scores = math.sqrt(ALIKE) * rng.normal(size=(n, 1)) + math.sqrt(1 - ALIKE) * rng.normal(size=(n, len(ATTACKS)))
    columns = {f"attack{at}": scores[:, at] for at in range(len(ATTACKS))}
    return ScoreTable.of(columns, [0] * KNOWN + [None] * CANDIDATES, name="simulated")


def _real(columns: Columns, rng: np.random.Generator) -> ScoreTable:
    rows = rng.choice(len(next(iter(columns.values()))), size=KNOWN + CANDIDATES, replace=False)
    picked = {name: values[rows] for name, values in columns.items()}
    return ScoreTable.of(picked, [0] * KNOWN + [None] * CANDIDATES, name="real scores")
