"""The decision on all candidates together, in words."""

from __future__ import annotations

from ...decision import CollectionResult, OtherModel
from ...documents import LEAST_CORRELATION, PowerTable
from ._comparisons import p_words, role_words
from ._counting import counted
from ._validity import withheld_words

__all__ = ["collection_finding", "collection_lines", "collection_size", "power_title"]


def collection_finding(result: CollectionResult) -> str:
    """What the tests of the collection show."""
    if result.withheld:
        return withheld_words(result.standing)
    if result.significant:
        head = "consistent with training on the collection"
        if not result.others:
            return f"{head}; not compared with another model"
        return head if result.resists else f"{head}, but doubtful"
    if result.test.p_value > result.level:
        return "no evidence of training"
    other = max(result.others, key=lambda other: other.test.p_value)
    model = role_words(other.role)
    if other.test.correlation < LEAST_CORRELATION:
        return f"no finding: scores by {model} agree too little with the target's to be compared"
    return f"no finding: candidates score higher, but not significantly higher than scores by {model} predict"


def collection_size(result: CollectionResult) -> str:
    """How many documents of candidates were compared with how many of known non-members."""
    candidates, nonmembers = result.test.n_documents
    return f"{counted(candidates, 'candidate document')} against {nonmembers:,} of known non-members"


def collection_lines(result: CollectionResult) -> list[str]:
    """Figures to read with the finding: other models, what the finding withstands, the placebo, and each attack."""
    lines = [_other_line(other) for other in result.others]
    if not result.others:
        lines.append(
            "no other model has scored the passages, so a difference between the texts of candidates and known "
            "non-members could have the same effect as training"
        )
    if result.vanishing is not None:
        lines.append(_vanishing_line(result))
    placebo = result.test.placebo
    lines.append(
        f"placebo, half of the known non-members against the other half: {p_words(placebo.p_value)} in random halves, "
        f"{p_words(placebo.in_order_p_value)} in halves by the order of the input"
    )
    if len(result.attacks) > 1:
        statistics = zip((*result.attacks, "their average"), result.test.statistics, strict=True)
        figures = ", ".join(f"{name} {statistic:+.2f}" for name, statistic in statistics)
        lines.append(f"differences in standard errors, of which the largest counts: {figures}")
    return lines


def _other_line(other: OtherModel) -> str:
    test, shown = other.test, other.test.other
    return (
        f"{role_words(other.role)}: {p_words(test.p_value)} given its scores ({', '.join(other.attacks)}; "
        f"{counted(test.n_documents[0], 'document')} against {test.n_documents[1]:,}; correlation with the target "
        f"{test.correlation:.2f}); it scores a candidate passage higher than a known non-member with probability "
        f"{shown.value:.2f} [{shown.low:.2f}, {shown.high:.2f}], where about {test.detectable:.2f} would have "
        "been detected in 80 % of cases"
    )


def _vanishing_line(result: CollectionResult) -> str:
    """How large a difference the finding withstands, and whether the other models exclude it."""
    assert result.vanishing is not None
    line = (
        "the finding would vanish if a difference between the texts of candidates and known non-members alone gave a "
        f"probability of {result.vanishing:.2f}"
    )
    if not result.others:
        return line
    intervals = {other.role: other.test.other for other in result.others}
    farthest = {role: max(interval.high, 1 - interval.low) for role, interval in intervals.items()}
    role = max(farthest, key=lambda role: farthest[role])
    shown = f"{role_words(role)} excludes {farthest[role]:.2f} and more, in either direction, with 95 % confidence"
    return f"{line}; {shown}" + ("" if result.resists else ", which is not enough: the finding is doubtful")


def power_title(power: PowerTable) -> str:
    """The title of the table of the documents that a test needs."""
    return (
        f"Candidate documents, and as many documents of non-members, that a test needs for {100 * power.power:g} % "
        "power, if the true effect is the effect measured here"
    )
