"""How often an audit ends in a finding: where nobody was trained on, by the rule and by its former rule; and power."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from llm_mia import ScoreTable
from llm_mia.decision import FINDING_LEVEL, Flags, calibrate, flag, flag_documents

from .figures import Figure
from .rates import ERRORS

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator], ScoreTable]
Decide = Callable[[ScoreTable, float], Flags]

POWER = 0.9
SHIFT = 1.41
"""Of members, in standard deviations: an AUROC of 0.84, the lowest in README's demonstration."""
CORRELATION = 0.5
"""Of the passages of a document."""


def finding_figures(draws: int, rng: np.random.Generator) -> list[Figure]:
    """Every size, and every way in which passages may share documents."""
    return [*_null_figures(draws, rng), *_power_figures(max(50, draws // 5), rng)]


def _null_figures(draws: int, rng: np.random.Generator) -> Iterator[Figure]:
    for n, rates in ((60, (0.05, 0.1)), (100, (0.01, 0.05, 0.1)), (1_000, (0.01, 0.05, 0.1))):
        for m in (5, 10, 19, 140, 1_000, 5_000):
            for fpr in rates:
                title = f"nobody trained on, n = {n:,}, {m:,} candidates, FPR ≤ {100 * fpr:g} %"
                yield _null(title, passages(n, m), fpr, draws, rng)
    shared = {
        "40 and 20 documents of 4 passages": books(40, 20, 4, 4),
        "20 and 10 documents of 10 passages": books(20, 10, 10, 10),
        "40 documents of 8 passages, 20 single candidates": books(40, 20, 8, 1),
        "40 single non-members, 5 documents of 30 candidates": books(40, 5, 1, 30),
        "24 documents on both sides": dealt(24, 100, 140),
    }
    for name, draw in shared.items():
        yield _null(f"nobody trained on, {name}, FPR ≤ 5 %", draw, 0.05, draws, rng)
    yield _null("nobody trained on, decisions on 40 and 20 documents, FPR ≤ 5 %", books(40, 20, 4, 4), 0.05, draws, rng,
                lambda table, fpr: flag_documents(table, calibrate(table, "score", fpr=fpr)))  # fmt: skip
    yield _null("nobody trained on, n = 100, 140 candidates, FDR ≤ 10 %", passages(100, 140), 0.05, draws, rng,
                lambda table, fpr: flag(table, calibrate(table, "score", fpr=fpr), fdr=0.1))  # fmt: skip


def _power_figures(draws: int, rng: np.random.Generator) -> Iterator[Figure]:
    cases = {f"n = {n:,}": passages(n, 200, members=100) for n in (60, 100, 1_000)}
    cases["n = 100, 45 documents on both sides"] = dealt(45, 100, 200, members=100)
    for name, draw in cases.items():
        share = sum(by_passage(draw(rng), 0.05).significant for _ in range(draws)) / draws
        yield Figure(
            f"100 of 200 candidates are members (AUROC 0.84), {name}: a finding", 100 * share, "%", at_least=100 * POWER
        )


def _null(
    title: str, draw: Draw, fpr: float, draws: int, rng: np.random.Generator, decide: Decide | None = None
) -> Figure:
    findings = former = 0
    for _ in range(draws):
        flags = (decide or by_passage)(draw(rng), fpr)
        findings += flags.significant
        former += flags.flagged > (flags.by_chance or 0)
    limit = FINDING_LEVEL + ERRORS * math.sqrt(FINDING_LEVEL * (1 - FINDING_LEVEL) / draws)
    note = f"by the former rule, more flags than expected: {100 * former / draws:.3g} %"
    return Figure(f"{title}: a finding", 100 * findings / draws, "%", 100 * limit, note=note)


def by_passage(table: ScoreTable, fpr: float) -> Flags:
    """The flags of the candidates at *fpr*."""
    return flag(table, calibrate(table, "score", fpr=fpr))


def passages(n: int, m: int, members: int = 0) -> Draw:
    """Independent passages: *n* known non-members and *m* candidates."""
    return lambda rng: _table(rng.normal(size=n), rng.normal(size=m) + SHIFT * (np.arange(m) < members))


def books(known: int, candidates: int, size: int, candidate_size: int) -> Draw:
    """Documents on a single side each."""

    def draw(rng: np.random.Generator) -> ScoreTable:
        document = np.repeat(np.arange(known + candidates), np.repeat([size, candidate_size], [known, candidates]))
        scores = _correlated(rng, document)
        return _table(scores[: known * size], scores[known * size :], document)

    return draw


def dealt(documents: int, n: int, m: int, members: int = 0) -> Draw:
    """Passages of the same documents, dealt to both sides at random."""

    def draw(rng: np.random.Generator) -> ScoreTable:
        document = rng.integers(documents, size=n + m)
        scores = _correlated(rng, document)
        scores[n : n + members] += SHIFT
        return _table(scores[:n], scores[n:], document)

    return draw


def _correlated(rng: np.random.Generator, document: NDArray[np.intp]) -> Floats:
    common = rng.normal(size=int(document.max()) + 1)[document]
    scores = math.sqrt(CORRELATION) * common + math.sqrt(1 - CORRELATION) * rng.normal(size=len(document))
    return np.asarray(scores)


def _table(known: Floats, candidates: Floats, document: NDArray[np.intp] | None = None) -> ScoreTable:
    labels = [0] * len(known) + [None] * len(candidates)
    names = None if document is None else [f"d{number}" for number in document.tolist()]
    return ScoreTable.of(np.concatenate([known, candidates]), labels, documents=names, name="simulated")
