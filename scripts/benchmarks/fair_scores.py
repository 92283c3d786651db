"""Real scores drawn at random on both sides: nobody was trained on, and a finding may come only by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.calibration import nonmembers_needed
from llm_mia.decision import calibrate, flag
from llm_mia.errors import CalibrationError

from .audits_in_memory import Columns
from .figures import Figure
from .rates import read_scores
from .real_texts import EMBEDDED, SMALL, real_texts
from .slips import ATTACKS, limit

KNOWN, CANDIDATES, RATES = (60, 100, 1_000), (5, 10, 19, 140, 1_000, 5_000), (0.01, 0.05, 0.1)
MOST_CELLS = 300_000
"""Candidates times draws of a setting; the number of draws is the least of this and of what was asked for."""
FEWEST = 100


def echr_figures(path: Path, draws: int, rng: np.random.Generator, *, compared: bool) -> list[Figure]:
    """Scores of a 7B model that was fine-tuned on court texts, of texts that it was not trained on.

    Where they are *compared* with another model, that is the model before the fine-tuning.
    """
    difference, alone = read_scores(path)
    columns = {"reference": difference.nonmembers, "loss": alone.nonmembers}
    others = {"reference": {"loss": alone.reference}} if compared else {}
    return list(_figures("ECHR", columns, others, draws, rng))


def signal_figures(work: Path, draws: int, rng: np.random.Generator, *, compared: bool) -> list[Figure]:
    """Scores of the embedded model, compared with those of a small model."""
    texts = real_texts(work)
    picked = {model: {name: texts.scores(model)[name] for name in ATTACKS} for model in (EMBEDDED, SMALL)}
    others = {"stand-in": picked[SMALL]} if compared else {}
    documents = np.array([passage.document for passage in texts.passages])
    return [
        *_figures("embedded model", picked[EMBEDDED], others, draws, rng),
        *_document_figures(picked[EMBEDDED], others, documents, draws, rng),
    ]


def _figures(
    name: str, columns: Columns, others: Mapping[str, Columns], draws: int, rng: np.random.Generator
) -> Iterator[Figure]:
    available = len(next(iter(columns.values())))
    for n in KNOWN:
        for m in CANDIDATES:
            rates = [fpr for fpr in RATES if n >= nonmembers_needed(fpr)]
            if n + m > available:
                continue
            done = max(FEWEST, min(draws, MOST_CELLS // m))
            findings = np.zeros((len(rates), len(columns)))
            for _ in range(done):
                rows = rng.choice(available, size=n + m, replace=False)
                table = _table(columns, others, rows, n)
                for at, fpr in enumerate(rates):
                    for of, attack in enumerate(columns):
                        findings[at, of] += flag(table, calibrate(table, attack, fpr=fpr)).significant / done
            for at, fpr in enumerate(rates):
                title = f"{name}, n = {n:,}, {m:,} candidates, FPR ≤ {100 * fpr:g} %: a finding, worst attack"
                note = ", ".join(f"{a} {100 * s:.3g} %" for a, s in zip(columns, findings[at], strict=True))
                yield Figure(title, 100 * findings[at].max(), "%", limit(done), note=f"{note}; {done} draws")


def _document_figures(
    columns: Columns, others: Mapping[str, Columns], documents: NDArray[np.str_], draws: int, rng: np.random.Generator
) -> Iterator[Figure]:
    """Passages of the same documents on both sides, and documents on a single side each."""
    names = np.unique(documents)
    for dealt in (False, True):
        for fpr in (0.05, 0.1):
            findings, refused, done = np.zeros(len(columns)), 0, draws
            for _ in range(done):
                if dealt:
                    rows, n = rng.permutation(len(documents))[:500], 250
                else:
                    known, candidate = (np.isin(documents, part) for part in np.array_split(rng.permutation(names), 2))
                    rows, n = np.concatenate([np.flatnonzero(known), np.flatnonzero(candidate)]), int(known.sum())
                table = _table(columns, others, rows, n, documents)
                for of, attack in enumerate(columns):
                    try:
                        findings[of] += flag(table, calibrate(table, attack, fpr=fpr)).significant / done
                    except CalibrationError:
                        refused += 1
            where = "passages of the same documents on both sides" if dealt else "documents on a single side each"
            note = ", ".join(f"{a} {100 * s:.3g} %" for a, s in zip(columns, findings, strict=True))
            note += f"; {done} draws" + (f", {refused} decisions refused" if refused else "")
            yield Figure(f"embedded model, {where}, FPR ≤ {100 * fpr:g} %: a finding, worst attack",
                         100 * findings.max(), "%", limit(done), note=note)  # fmt: skip


def _table(
    columns: Columns,
    others: Mapping[str, Columns],
    rows: NDArray[np.intp],
    n: int,
    documents: NDArray[np.str_] | None = None,
) -> ScoreTable:
    """The first *n* of *rows* as known non-members, the rest as candidates."""
    labels = [0] * n + [None] * (len(rows) - n)
    names = None if documents is None else documents[rows].tolist()
    table = ScoreTable.of({name: values[rows] for name, values in columns.items()}, labels, documents=names)
    picked = {role: {name: values[rows] for name, values in each.items()} for role, each in others.items()}
    return replace(table, others=picked) if picked else table
