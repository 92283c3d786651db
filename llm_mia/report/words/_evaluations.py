"""How attacks separate the known set, in words."""

from __future__ import annotations

from ...decision import AtThreshold, Comparison, Evaluation, first_ids
from ...metrics import ConfidenceGap
from ._comparisons import p_words
from ._counting import counted, have

__all__ = [
    "at_threshold_words",
    "comparison_words",
    "gap_meaning",
    "gap_words",
    "known_set_words",
    "too_few_words",
    "unscored_words",
]


def gap_words(gap: ConfidenceGap) -> str:
    """The gap in confidence between members and non-members."""
    return (
        f"Confidence gap {gap.gap.value:.3f} [{gap.gap.low:.3f}, {gap.gap.high:.3f}]: mean probability of the tokens "
        f"of members {gap.member_mean:.3f}, of non-members {gap.nonmember_mean:.3f}, midpoint {gap.midpoint:.3f}"
    )


def gap_meaning(gap: ConfidenceGap) -> str:
    """What the interval of the gap shows, and no more."""
    low, high = gap.gap.low, gap.gap.high
    if low <= 0 <= high:
        return "The interval contains 0: it does not show of which the model is more certain."
    held = f"With {100 * gap.gap.confidence:.12g} % confidence"
    if high < 0:
        return f"{held} the model is more certain of the non-members: check the labels."
    if gap.exposed:
        return (
            f"{held} the gap is above 0.1: the model is markedly more certain of the members, because it was trained "
            "on them or because the texts differ."
        )
    return f"{held} the model is more certain of the members; the interval does not show that the gap is above 0.1."


def comparison_words(comparison: Comparison) -> str:
    """Which of two attacks separates better, and how certain that is."""
    difference = comparison.paired.difference
    p_value = p_words(comparison.paired.p_value)
    return (
        f"AUROC of {comparison.first} minus AUROC of {comparison.second}: {difference.value:+.3f} "
        f"[{difference.low:+.3f}, {difference.high:+.3f}], {p_value}, on the same {counted(comparison.n, 'passage')}"
    )


def known_set_words(members: int, nonmembers: int, *, by_shadows: bool) -> str:
    """What the figures of an attack are measured on.

    >>> known_set_words(1, 300, by_shadows=False)
    'Known set: 1 member, 300 non-members'
    """
    if by_shadows:
        return (
            f"Scores by shadow models in the target's place: {members:,} of passages that they were trained on, "
            f"{nonmembers:,} of others"
        )
    return f"Known set: {counted(members, 'member')}, {counted(nonmembers, 'non-member')}"


def too_few_words(fpr: float, needed: int) -> str:
    """Why a true positive rate is not shown."""
    return f"–: FPR {100 * fpr:g} % cannot be measured with fewer than {needed:,} non-members"


def unscored_words(evaluation: Evaluation) -> str:
    """Which known passages no figure counts."""
    return (
        f"{evaluation.attack}: {have(evaluation.unscored, 'known passage')} no score, and no figure counts them "
        f"({first_ids(evaluation.unscored_ids)})"
    )


def at_threshold_words(rates: AtThreshold) -> str | None:
    """What the rates at a threshold show of differentially private training; None without a bound."""
    if rates.epsilon is None:
        return None
    return (
        f"with {100 * rates.confidence:.12g} % confidence, the training is not ε-differentially private for any ε "
        f"below {rates.epsilon:.2f} (for data sets that differ in a single passage; if members and non-members were "
        "drawn at random from one pool, as you state)"
    )
