"""What a finding is compared with, and the difference of the texts that it withstands, in words."""

from __future__ import annotations

import math

from ...decision import Finding, Flags, OtherFlags, OtherReference, Unit
from ._counting import counted

__all__ = ["comparison_facts", "explained_by", "least_p_words", "p_words", "role_words", "sensitivity_words"]


def p_words(p_value: float) -> str:
    """A p-value.

    >>> p_words(0.6273), p_words(0.0312), p_words(2.1e-12), p_words(0.0)
    ('p = 0.63', 'p = 0.031', 'p = 2.1e-12', 'p < 1e-300')
    """
    return f"p = {p_value:.2g}" if p_value >= 1e-300 else "p < 1e-300"


def least_p_words(p_value: float, exchanges: int) -> str:
    """A p-value from *exchanges* at random; where it is the smallest that they can give, it is an upper limit.

    >>> least_p_words(0.0001, 9_999), least_p_words(0.02, 9_999)
    ('p ≤ 0.0001, the smallest that 9,999 exchanges can give', 'p = 0.02')
    """
    if not exchanges or p_value * exchanges > 1 + 1e-9:
        return p_words(p_value)
    return f"p ≤ {p_value:.2g}, the smallest that {exchanges:,} exchanges can give"


def role_words(role: str) -> str:
    """Another model than the target.

    >>> role_words("reference"), role_words("reference-2"), role_words("stand-in")
    ('the reference model', 'reference model 2', 'the stand-in model')
    """
    start, _, number = role.rpartition("-")
    return f"reference model {number}" if start == "reference" else f"the {role} model"


def explained_by(finding: Finding) -> str | None:
    """The other model that explains the flags, or does not exclude it; None where chance may, or where none does.

    It is the model with the largest p-value. It sees a difference only where its AUROC is above 0.5 with confidence.
    """
    if finding.significant or finding.chance > finding.allowed:
        return None
    compared: list[OtherFlags | OtherReference] = [*finding.references, *finding.others]
    models = 0.0 if finding.shadows is None else finding.shadows.p_value
    if models >= max((each.p_value for each in compared), default=0.0):
        return "a further model like the shadow models may be flagged as often"
    worst = max(compared, key=lambda each: each.p_value)
    if isinstance(worst, OtherReference):
        return f"with {role_words(worst.role)} chance alone may flag as many"
    model = f"{role_words(worst.role)}, which should not know the candidates"
    if worst.auroc.low > 0.5:
        return f"{model}, sees a similar difference"
    return f"the target does not score them clearly higher than {model}"


def comparison_facts(flags: Flags) -> list[tuple[str, str]]:
    """The role of each model that the finding is compared with, and what the comparison shows."""
    finding, facts = flags.finding, dict[str, list[str]]()
    if finding is None:
        return []
    for other in finding.others:
        facts.setdefault(other.role, []).append(_other_words(flags, finding, other))
    for each in finding.references:
        instead = f"in the place of the reference model: {each.flagged:,} flagged, as many by chance: "
        facts.setdefault(each.role, []).append(instead + p_words(each.p_value))
    return [(role, "; ".join(sentences)) for role, sentences in facts.items()]


def _other_words(flags: Flags, finding: Finding, other: OtherFlags) -> str:
    """How many flags another model gives, and whether the target's scores are higher than its."""
    p_value = least_p_words(other.p_value, other.exchanges)
    if p_value != p_words(other.p_value):
        p_value += " of the two models' scores within documents"
    higher = f"if neither model knows the candidates, the target's scores are so much higher with {p_value}"
    if other.p_value > 0.5:
        higher = f"the target does not score the candidates higher ({p_words(other.p_value)})"
    candidates = counted(other.candidates, "candidate" if flags.unit is Unit.PASSAGES else "candidate document")
    if other.flagged is None or other.other_flagged is None:
        return f"{other.nonmembers:,} non-members are too few for a threshold on {candidates}; {higher}"
    target = "" if other.flagged == finding.flagged else f", {other.flagged:,} by the target"
    flagged = f"in the place of the target: {other.other_flagged:,} of {candidates} flagged{target}"
    return f"{flagged} ({other.nonmembers:,} non-members); {higher}"


def sensitivity_words(flags: Flags) -> str | None:
    """The difference of the texts at which the finding would vanish, and what the other models see of it."""
    finding = flags.finding
    if finding is None or finding.sensitivity is None:
        return None
    limit = finding.sensitivity
    unit = "candidates" if flags.unit is Unit.PASSAGES else "candidate documents"
    rate = ""
    if limit.fpr is not None:
        rate = f" (a false positive rate of {100 * limit.fpr:.1f} % in place of {100 * flags.rule.level:g} %)"
    # Of documents of unlike sizes the test counts as many passages each, so it may count fewer flags.
    counts = "" if finding.flagged == flags.flagged else " that the test counts"
    most = math.floor(limit.flags) if limit.flags >= 10 else math.floor(10 * limit.flags) / 10
    line = (
        f"the finding would vanish if a difference between {unit} and non-members, other than training, caused on "
        f"average more than {most:,} of the {finding.flagged:,} flags{counts}{rate}; such a difference has an AUROC of "
        f"at least {limit.auroc:.2f}, if its ROC is concave"
    )
    if not finding.others and finding.shadows is not None:
        return line
    if not finding.others:
        return f"{line}, and no other model shows how large it is"
    return f"{line}; {_seen_words(finding, flags.rule.level)}"


def _seen_words(finding: Finding, requested: float) -> str:
    """Which difference the other models do not exclude."""
    limit = finding.sensitivity
    assert limit is not None
    if limit.fpr is None:
        seen = max(finding.others, key=lambda other: other.largest_auroc)
        low, high = seen.auroc.low, seen.auroc.high
        end = f"at least {low:.2f}" if high < 1 - low else f"at most {high:.2f}"
        shown = f"{role_words(seen.role)} shows {seen.auroc.value:.2f}, {end}"
    else:
        seen = max(finding.others, key=lambda other: other.largest_rate(requested))
        shown = f"{role_words(seen.role)} allows a rate of at most {100 * seen.largest_rate(requested):.1f} %"
    shown += " (95 % confidence)" if limit.fpr is None else " (95 % confidence; it may respond half as strongly)"
    return shown if finding.resists else f"{shown}, which does not exclude it: the finding is doubtful"
