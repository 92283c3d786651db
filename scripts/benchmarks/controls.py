"""Sealed non-members that are decided on as candidates: their realised rate, and the interval that is printed of it."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from llm_mia import ScoreTable
from llm_mia.decision import calibrate

from .figures import Figure
from .rates import mean_limit, share_limit, standard_error

KNOWN, SEALED = 200, 60
FPR, CORRELATION, SHIFT = 0.05, 0.4, 0.5
LEVEL = 0.05
"""p-value from which on an audit calls the rate too high."""


def control_figures(draws: int, rng: np.random.Generator) -> list[Figure]:
    """Sealed non-members like the known ones: each by itself, and five passages of a document; and others, shifted."""
    return [figure for size in (1, 5) for shift in (0.0, SHIFT) for figure in _figures(size, shift, draws, rng)]


def _figures(size: int, shift: float, draws: int, rng: np.random.Generator) -> list[Figure]:
    from llm_mia.auditing import sealed_rate  # an earlier version of the package has no such control
    from llm_mia.calibration import chance_of_flags, flag_rank

    rates, covered, exceeds = np.zeros(draws), 0, 0
    for at in range(draws):
        table, sealed = _tables(size, shift, rng)
        calibration = calibrate(table, "score", fpr=FPR)
        flagged = calibration.flagged(sealed.column("score"))
        rate, p_value = sealed_rate(flagged.reshape(-1, size).tolist(), FPR)
        if size == 1:
            p_value = chance_of_flags([(int(flagged.sum()), SEALED, flag_rank(KNOWN, FPR), KNOWN)])
        true = float(norm.sf(calibration.threshold - shift))
        rates[at] = rate.value
        covered += rate.low <= true <= rate.high
        exceeds += p_value <= LEVEL
    unit = "each a document" if size == 1 else f"{size} passages of a document"
    title = f"{SEALED} sealed non-members, {unit}" + (f", {shift:g} SD higher" if shift else "")
    share = 100 * exceeds / draws
    figures = [
        Figure(f"{title}: the rate of the threshold lies outside the printed interval", 100 * (1 - covered / draws),
               "%", 100 * share_limit(0.05, draws), note=f"{draws} draws"),
    ]  # fmt: skip
    if shift:
        return [*figures, Figure(f"{title}: the rate is called too high", share, "%", note="power")]
    return [
        *figures,
        Figure(f"{title}: realised", 100 * rates.mean(), "%", 100 * mean_limit(FPR, rates),
               note=f"± {100 * standard_error(rates):.2g}"),
        Figure(f"{title}: the rate is called too high", share, "%", 100 * share_limit(0.05, draws)),
    ]  # fmt: skip


def _tables(size: int, shift: float, rng: np.random.Generator) -> tuple[ScoreTable, ScoreTable]:
    """The known non-members with a candidate, and the sealed ones."""
    document = np.arange(KNOWN + SEALED) // size
    common = rng.normal(size=int(document.max()) + 1)[document]
    share = CORRELATION if size > 1 else 0.0
    scores = math.sqrt(share) * common + math.sqrt(1 - share) * rng.normal(size=len(document))
    names = [f"d{number}" for number in document.tolist()]
    table = ScoreTable.of([*scores[:KNOWN], 0.0], [0] * KNOWN + [None], documents=[*names[:KNOWN], "candidate"])
    sealed = ScoreTable.of(scores[KNOWN:] + shift, documents=names[KNOWN:], name="sealed")
    return table, sealed
