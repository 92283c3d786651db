"""Rates realised on scores whose labels are known: over random splits, against what was asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llm_mia.calibration import (
    benjamini_hochberg,
    confident_threshold,
    conformal_p_values,
    fpr_bound,
    fpr_threshold,
    member_count_bound,
    nonmembers_needed,
)

from .figures import Figure

Floats = NDArray[np.float64]
Method = Literal["count", "simes"]

SIZES = (1_000, 5_000)
RATES = (0.1, 0.05, 0.01, 0.001)
CANDIDATES = 500
CONFIDENCE = 0.95
BOUNDS: dict[str, tuple[Method, float]] = {
    "at 0.05": ("count", 0.05),
    "at 0.5": ("count", 0.5),
    "Simes": ("simes", 0.05),
}
"""Ways to bound a count, each fixed beforehand: local test, and the level of that by count."""
ERRORS = 3
"""Monte-Carlo standard errors that a figure may lie off: of a hundred true guarantees none seems broken, as a rule."""
COLUMNS = "id,label,target_mean_logprob,reference_mean_logprob"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One score of every passage of the table."""

    name: str
    members: Floats
    nonmembers: Floats
    reference: Floats
    """Of the non-members, what the reference model alone says: known without the target."""
    member_reference: Floats


def read_scores(path: Path) -> list[Scores]:
    """The target's mean log-probability less the reference's, and the target's alone."""
    with path.open("r", encoding="utf-8") as file:
        header = file.readline().strip()
        if header != COLUMNS:
            raise ValueError(f"{path.name} has the columns {header!r}, not {COLUMNS!r}")
        table = np.loadtxt(file, delimiter=",")
    member, target, reference = table[:, 1] == 1, table[:, 2], table[:, 3]
    return [
        Scores(name, score[member], score[~member], reference[~member], reference[member])
        for name, score in (("difference", target - reference), ("target alone", target))
    ]


def strengthened(scores: Scores) -> Scores:
    """The same with two standard deviations added to every member: an attack that finds enough for FDRs to matter."""
    return replace(scores, name=f"{scores.name}, members + 2 SD", members=scores.members + 2 * scores.nonmembers.std())


def standard_error(values: Floats) -> float:
    """Of the mean of independent *values*."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def share_limit(share: float, splits: int) -> float:
    """The most that a share that is truly *share* may be seen at over *splits*."""
    return share + ERRORS * math.sqrt(share * (1 - share) / splits)


def mean_limit(most: float, values: Floats) -> float:
    """The most that the mean of *values* may be seen at where it is truly *most*."""
    return most + ERRORS * standard_error(values)


def above(ascending: Floats, thresholds: Floats) -> NDArray[np.intp]:
    """How many of *ascending* lie strictly above each threshold."""
    return len(ascending) - np.searchsorted(ascending, thresholds, side="right")


def fpr_figures(scores: Scores, splits: int, rng: np.random.Generator) -> list[Figure]:
    """Non-members at random into a calibration set and a test part, at each size and rate."""
    nonmembers, members = np.sort(scores.nonmembers), np.sort(scores.members)
    rows = []
    for n in SIZES:
        halves = np.stack([np.sort(rng.permutation(nonmembers)[:n]) for _ in range(splits)])
        # With replacement, so that draws are independent and the rate of each threshold is known: it is that of all.
        draws = rng.choice(nonmembers, size=(splits, n))
        for fpr in RATES:
            title = f"{scores.name}, n = {n:,}, FPR ≤ {100 * fpr:g} %"
            thresholds = np.array([fpr_threshold(half, fpr) for half in halves])
            rates, ties = _test_rates(nonmembers, halves, thresholds), _test_ties(nonmembers, halves, thresholds)
            error = standard_error(rates)
            rows.append(
                Figure(f"{title}: mean realised", 100 * rates.mean(), "%", 100 * (fpr + ERRORS * error),
                       # Scores that equal the threshold are not flagged: so much less is as it should be.
                       100 * (fpr - ties.mean() - ERRORS * error),
                       f"± {100 * error:.2g}; {100 * ties.mean():.2g} % tie with the threshold; "
                       f"finds {_mean_share(members, thresholds)} of the members")
            )  # fmt: skip
            rows += _confident_figures(title, nonmembers, members, halves, draws, fpr)
    return rows


def _test_rates(nonmembers: Floats, halves: Floats, thresholds: Floats) -> Floats:
    """Share of the non-members outside each calibration half that lies above its threshold."""
    inside = (halves > thresholds[:, None]).sum(axis=1)
    return np.asarray((above(nonmembers, thresholds) - inside) / (len(nonmembers) - halves.shape[1]))


def _test_ties(nonmembers: Floats, halves: Floats, thresholds: Floats) -> Floats:
    """Share of the non-members outside each calibration half that equals its threshold."""
    tied = above(nonmembers, np.nextafter(thresholds, -np.inf)) - above(nonmembers, thresholds)
    inside = (halves == thresholds[:, None]).sum(axis=1)
    return np.asarray((tied - inside) / (len(nonmembers) - halves.shape[1]))


def _mean_share(ascending: Floats, thresholds: Floats) -> str:
    return f"{100 * above(ascending, thresholds).mean() / len(ascending):.3g} %"


def _confident_figures(
    title: str, nonmembers: Floats, members: Floats, halves: Floats, draws: Floats, fpr: float
) -> list[Figure]:
    """How often the threshold that holds with confidence realises more than *fpr*, in all and in the test part."""
    splits, n = halves.shape
    names = [f"{title} with 95 % confidence: share of {over}" for over in ("draws above it", "test parts above it")]
    needed = nonmembers_needed(fpr, CONFIDENCE)
    if n < needed:
        return [Figure(name, None, note=f"refused: takes {needed:,} non-members") for name in names]
    drawn = np.array([confident_threshold(draw, fpr, CONFIDENCE) for draw in draws])
    exceed = above(nonmembers, drawn) / len(nonmembers) > fpr
    split = np.array([confident_threshold(half, fpr, CONFIDENCE) for half in halves])
    rates = _test_rates(nonmembers, halves, split)
    chance = _chance_in_test(n, len(nonmembers) - n, fpr)
    return [
        Figure(names[0], 100 * exceed.mean(), "%", 100 * share_limit(1 - CONFIDENCE, splits),
               note=f"rate known exactly; finds {_mean_share(members, drawn)} of the members"),
        Figure(names[1], 100 * (rates > fpr).mean(), "%", 100 * share_limit(chance, splits),
               note=f"mean realised {100 * rates.mean():.3g} %; exactly {100 * chance:.2g} % expected: the test part "
                    "has luck of its own"),
    ]  # fmt: skip


def _chance_in_test(n: int, m: int, fpr: float) -> float:
    """P(more than *fpr* of *m* new non-members lie above the threshold), were no two scores equal.

    Counted from the order of all n + m at random: beta-binomial, of the rank that the binomial tail leaves.
    """
    from scipy.stats import betabinom, binom

    rank = int(np.flatnonzero(binom.cdf(np.arange(n), n, fpr) > (1 - CONFIDENCE) * (1 + 1e-9))[0])
    return float(betabinom.sf(math.floor(fpr * m + 1e-9), m, rank, n + 1 - rank))


def mixtures(
    scores: Scores, n: int, members: int, splits: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """For every split the calibration scores, and those of the candidates: *members* of them first, then the rest."""
    for _ in range(splits):
        others = rng.choice(scores.nonmembers, size=n + CANDIDATES - members, replace=False, shuffle=True)
        yield others[:n], np.concatenate([rng.choice(scores.members, size=members, replace=False), others[n:]])


def fdr_figures(scores: Scores, splits: int, rng: np.random.Generator) -> list[Figure]:
    """Share of non-members among those that Benjamini–Hochberg takes, nothing taken counting as none."""
    rows = []
    for n in SIZES:
        for share in (0.01, 0.1, 0.5):
            members = round(share * CANDIDATES)
            q_values = np.stack(
                [
                    benjamini_hochberg(conformal_p_values(candidates, calibration))
                    for calibration, candidates in mixtures(scores, n, members, splits, rng)
                ]
            )
            for fdr in (0.05, 0.1):
                taken = q_values <= fdr
                false = taken[:, members:].sum(axis=1)
                wrong = false / np.maximum(1, taken.sum(axis=1))
                error = standard_error(wrong)
                rows.append(
                    Figure(f"{scores.name}, n = {n:,}, {100 * share:g} % members, FDR ≤ {100 * fdr:g} %: realised",
                           100 * wrong.mean(), "%", 100 * mean_limit(fdr * (1 - share), wrong),
                           note=f"± {100 * error:.2g}; finds {100 * taken[:, :members].mean():.3g} % of the members, "
                                f"anything in {100 * taken.any(axis=1).mean():.3g} % of splits")
                )  # fmt: skip
    return rows


def count_figures(scores: Scores, splits: int, rng: np.random.Generator) -> list[Figure]:
    """How often a bound on the number of members is too high, for all candidates or for any choice of them."""
    rows = []
    for n in SIZES:
        for share in (0.0, 0.01, 0.1, 0.5):
            members = round(share * CANDIDATES)
            bounds, broken = np.empty((len(BOUNDS), splits)), np.empty((len(BOUNDS), splits), dtype=bool)
            for at, (calibration, candidates) in enumerate(mixtures(scores, n, members, splits, rng)):
                for way, (method, level) in enumerate(BOUNDS.values()):
                    found = member_count_bound(candidates, calibration, CONFIDENCE, method=method, level=level)
                    steps = np.sort(found.steps[members:])
                    # It is for some choice where u non-members have a step of u or less.
                    bounds[way, at], broken[way, at] = found.members, (steps <= np.arange(1, len(steps) + 1)).any()
            note = "; ".join(
                f"{name}: mean bound {bound.mean():.3g}, above {members} in {100 * (bound > members).mean():.2g} %, "
                f"for some choice {100 * wrong.mean():.2g} %"
                for name, bound, wrong in zip(BOUNDS, bounds, broken, strict=True)
            )
            title = f"{scores.name}, n = {n:,}, {members} members of {CANDIDATES}: count bound too high, worst way"
            worst = 100 * max(broken.mean(axis=1).max(), (bounds > members).mean(axis=1).max())
            rows.append(Figure(title, worst, "%", 100 * share_limit(1 - CONFIDENCE, splits), note=note))
    return rows


def simulated_figures(draws: int, rng: np.random.Generator) -> list[Figure]:
    """Thresholds on made-up scores, continuous or on ten tied levels, of which the true rate is known."""
    rows, levels = [], 10
    for n, fpr in ((99, 0.05), (200, 0.01), (57, 0.1), (1_000, 0.001)):
        for ties in (False, True):
            made = rng.integers(levels, size=(draws, n)) if ties else rng.random((draws, n))
            thresholds = np.array([fpr_threshold(draw, fpr) for draw in made])
            rates = (levels - 1 - thresholds) / levels if ties else 1 - thresholds
            bound = fpr_bound(n, fpr, CONFIDENCE)
            title = f"made-up scores{' with ties' if ties else ''}, n = {n:,}, FPR ≤ {100 * fpr:g} %"
            rows += [
                Figure(f"{title}: mean realised", 100 * rates.mean(), "%", 100 * mean_limit(fpr, rates),
                       note=f"± {100 * standard_error(rates):.2g}"),
                Figure(f"{title}: share of draws above their 95 % bound", 100 * (rates > bound).mean(), "%",
                       100 * share_limit(1 - CONFIDENCE, draws), note=f"bound {100 * bound:.3g} %"),
            ]  # fmt: skip
    return rows
