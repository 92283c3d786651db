"""Error rates realised over random splits of scores whose labels are known, against the rates requested."""

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
"""The bounds on a count, each fixed beforehand: the local test, and the level of the test by count."""
ERRORS = 3
"""A figure may miss its rate by so many Monte-Carlo standard errors: of 100 true guarantees, about 0.1 seem broken."""
COLUMNS = "id,label,target_mean_logprob,reference_mean_logprob"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One score of every passage of the table."""

    name: str
    members: Floats
    nonmembers: Floats
    reference: Floats
    """The reference model's scores of the non-members: they are known without the target."""
    member_reference: Floats
    """The reference model's scores of the members."""


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
    """*scores* with two standard deviations added to every member: an attack so strong that an FDR is of use."""
    return replace(scores, name=f"{scores.name}, members + 2 SD", members=scores.members + 2 * scores.nonmembers.std())


def standard_error(values: Floats) -> float:
    """Standard error of the mean of independent *values*."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def share_limit(share: float, splits: int) -> float:
    """The largest share that may be observed over *splits* where the true share is *share*."""
    return share + ERRORS * math.sqrt(share * (1 - share) / splits)


def mean_limit(most: float, values: Floats) -> float:
    """The largest mean of *values* that may be observed where the true mean is *most*."""
    return most + ERRORS * standard_error(values)


def above(ascending: Floats, thresholds: Floats) -> NDArray[np.intp]:
    """How many values of *ascending* lie strictly above each threshold."""
    return len(ascending) - np.searchsorted(ascending, thresholds, side="right")


def fpr_figures(scores: Scores, splits: int, rng: np.random.Generator) -> list[Figure]:
    """FPR of thresholds from a random calibration set, on the other non-members; at each size and rate."""
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
    """How often the threshold with confidence realises more than *fpr*, on all non-members and on the test part."""
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
                    "varies too"),
    ]  # fmt: skip


def _chance_in_test(n: int, m: int, fpr: float) -> float:
    """P(more than *fpr* of *m* new non-members lie above the threshold), were no two scores equal.

    All orders of the n + m scores are equally likely: beta-binomial, at the rank that the binomial tail gives.
    """
    from scipy.stats import betabinom, binom

    rank = int(np.flatnonzero(binom.cdf(np.arange(n), n, fpr) > (1 - CONFIDENCE) * (1 + 1e-9))[0])
    return float(betabinom.sf(math.floor(fpr * m + 1e-9), m, rank, n + 1 - rank))


def mixtures(
    scores: Scores, n: int, members: int, splits: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """For every split the scores of the calibration set and of the candidates, whose first *members* are members."""
    for _ in range(splits):
        others = rng.choice(scores.nonmembers, size=n + CANDIDATES - members, replace=False, shuffle=True)
        yield others[:n], np.concatenate([rng.choice(scores.members, size=members, replace=False), others[n:]])


def fdr_figures(scores: Scores, splits: int, rng: np.random.Generator) -> list[Figure]:
    """Share of non-members among the flags of Benjamini–Hochberg; 0 where there is no flag."""
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
                    bound_of_count = member_count_bound(candidates, calibration, CONFIDENCE, method=method, level=level)
                    steps = np.sort(bound_of_count.steps[members:])
                    # The bound is broken for some choice where u non-members have a step of u or less.
                    bounds[way, at], broken[way, at] = (
                        bound_of_count.members,
                        (steps <= np.arange(1, len(steps) + 1)).any(),
                    )
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
    """FPR of thresholds on simulated scores, continuous or on ten tied levels, whose true rate is known."""
    rows, levels = [], 10
    for n, fpr in ((99, 0.05), (200, 0.01), (57, 0.1), (1_000, 0.001)):
        for ties in (False, True):
            scores = rng.integers(levels, size=(draws, n)) if ties else rng.random((draws, n))
            thresholds = np.array([fpr_threshold(draw, fpr) for draw in scores])
            rates = (levels - 1 - thresholds) / levels if ties else 1 - thresholds
            bound = fpr_bound(n, fpr, CONFIDENCE)
            title = f"simulated scores{' with ties' if ties else ''}, n = {n:,}, FPR ≤ {100 * fpr:g} %"
            rows += [
                Figure(f"{title}: mean realised", 100 * rates.mean(), "%", 100 * mean_limit(fpr, rates),
                       note=f"± {100 * standard_error(rates):.2g}"),
                Figure(f"{title}: share of draws above their 95 % bound", 100 * (rates > bound).mean(), "%",
                       100 * share_limit(1 - CONFIDENCE, draws), note=f"bound {100 * bound:.3g} %"),
            ]  # fmt: skip
    return rows
