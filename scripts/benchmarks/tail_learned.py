"""Additive evidence of tokens: log-ratios of densities by cells, learned on trials of other corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tail_evidence import Floats, TailEvidence
from .tail_null import standardised, type_means

EDGES = np.array(
    [-3, -2, -1.4, -1, -0.7, -0.45, -0.25, -0.12, -0.04, 0.04, 0.12, 0.25, 0.45, 0.7, 1, 1.4, 2, 3, 4.5], np.float64
)
"""Bounds of the gain, in standard deviations of the gains of known non-members."""
LOSSES, ENTROPIES, RANKS = 6, 3, np.array([1, 10])
"""Cells: so many by loss and by entropy under the reference, and by rank there: first, next nine, others."""
BINS, CELLS = len(EDGES) + 1, LOSSES * ENTROPIES * (len(RANKS) + 1)
SMOOTHING = 200.0
"""A cell's densities are drawn towards those of all cells as if so many more tokens of each kind were in it."""
VARIANTS = ("evidence of tokens", "evidence of tokens in excess")
"""Of the gain, and of the gain less what non-members gain on the same token."""


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """The tokens of a trial after an epoch as cells and bins, and how many of them members and non-members have."""

    corpus: str
    codes: NDArray[np.int16]
    """Cell · `BINS` + bin; shape (tokens,)."""
    shares: Floats
    """Shape (2, `CELLS`, `BINS`): of the tokens of non-members, and of members."""


def coded(evidence: TailEvidence) -> dict[str, Coded]:
    """The tokens of a trial, by variant."""
    known, reference = evidence.fitted_tokens, evidence.reference
    by_loss = _by_quantiles(-reference.logprob, LOSSES, known)
    by_entropy = _by_quantiles(-reference.mean, ENTROPIES, known)
    cell = (by_loss * ENTROPIES + by_entropy) * (len(RANKS) + 1) + np.searchsorted(RANKS, reference.rank, side="right")
    left = evidence.gains - type_means(evidence, evidence.gains, evidence.fitted)
    lengths = evidence.target.lengths
    member, other = (np.repeat(rows, lengths) for rows in (evidence.masks.members, evidence.masks.measured))
    codes = {}
    for name, values in zip(VARIANTS, (evidence.gains, left), strict=True):
        code = cell * BINS + np.searchsorted(EDGES, values / values[known].std())
        counts = [np.bincount(code[rows], minlength=CELLS * BINS) for rows in (other, member)]
        shares = np.stack([count / count.sum() for count in counts]).reshape(2, CELLS, BINS)
        codes[name] = Coded(evidence.trial.corpus, code.astype(np.int16), shares)
    return codes


def _by_quantiles(values: Floats, count: int, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.searchsorted(np.quantile(values[known], np.arange(1, count) / count), values)


def log_ratios(trials: Sequence[Coded], tokens: float = 1e5) -> Floats:
    """Members over non-members: log of the ratio of smoothed shares; shape (`CELLS`, `BINS`)."""
    others, members = np.mean([trial.shares for trial in trials], axis=0) * tokens
    smooth = [SMOOTHING * counts.sum(axis=0) / tokens for counts in (others, members)]
    return np.asarray(np.log((members + smooth[1]) / (others + smooth[0])))


def learned_scores(
    evidence: TailEvidence, own: Mapping[str, Coded], all_coded: Sequence[Mapping[str, Coded]]
) -> dict[str, Floats]:
    """Scores by log-ratios that trials of other corpora taught; none where there are no others."""
    scores = dict[str, Floats]()
    for name in VARIANTS:
        others = [coded[name] for coded in all_coded if coded[name].corpus != evidence.trial.corpus]
        if not others:
            continue
        ratios = log_ratios(others).ravel()
        total = evidence.target.sums(ratios[own[name].codes]) / np.sqrt(evidence.target.lengths)
        scores[f"{name}, learned elsewhere"] = total
        scores[f"{name}, learned elsewhere, conditional null"] = standardised(
            total, evidence.untouched, evidence.fitted
        )
    return scores
