"""Texts that occur several times among the candidates: they are no further evidence."""

from __future__ import annotations

import numpy as np

from llm_mia import ScoreTable
from llm_mia.decision import calibrate, flag

from .figures import Figure
from .rates import share_limit
from .slips import limit

KNOWN, TEXTS, TIMES = 100, 50, 10
FPR = 0.05


def repeat_figures(draws: int, rng: np.random.Generator) -> list[Figure]:
    """50 texts that nobody was trained on, each ten times among the candidates; and once each, to compare."""
    return [figure for times in (1, TIMES) for figure in _figures(times, draws, rng)]


def _figures(times: int, draws: int, rng: np.random.Generator) -> list[Figure]:
    bounds, findings = np.zeros(draws), 0
    for at in range(draws):
        scores = np.concatenate([rng.normal(size=KNOWN), np.repeat(rng.normal(size=TEXTS), times)])
        table = ScoreTable.of(scores, [0] * KNOWN + [None] * (TEXTS * times), name="simulated")
        flags = flag(table, calibrate(table, "score", fpr=FPR))
        bounds[at] = 0 if flags.members is None else flags.members.members
        findings += flags.significant
    title = f"{TEXTS} texts × {times} among the candidates, n = {KNOWN}, nobody trained on"
    share = 100 * (bounds > 0).mean()
    note = f"95 % quantile of the bound: {np.quantile(bounds, 0.95):.3g}; {draws} draws"
    return [
        Figure(f"{title}: a number of members is bounded above 0", share, "%", 100 * share_limit(0.05, draws),
               note=note),
        Figure(f"{title}: a finding", 100 * findings / draws, "%", limit(draws)),
    ]  # fmt: skip
