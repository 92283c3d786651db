"""What a finding is compared with, and the difference of the texts that it withstands, in words."""

from __future__ import annotations

import math

from ...decision import Finding, Flags, OtherFlags, OtherReference, Unit
from ._counting import counted

__all__ = ["comparison_lines", "explained_by", "p_words", "role_words"]


def p_words(p_value: float) -> str:
    """A p-value.

    >>> p_words(0.6273), p_words(0.0312), p_words(2.1e-12), p_words(0.0)
    ('p = 0.63', 'p = 0.031', 'p = 2.1e-12', 'p < 1e-300')
    """
    return f"p = {p_value:.2g}" if p_value >= 1e-300 else "p < 1e-300"


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
    worst = max(compared, key=lambda each: each.p_value)
    if isinstance(worst, OtherReference):
        return f"with {role_words(worst.role)} chance alone may flag as many"
    model = f"{role_words(worst.role)}, which cannot know the candidates"
    if worst.auroc.low > 0.5:
        return f"{model}, sees a similar difference"
    return f"the target does not score them clearly higher than {model}"


def comparison_lines(flags: Flags) -> list[str]:
    """A line for each comparison with another model, and for the difference that the finding withstands."""
    finding = flags.finding
    if finding is None:
        return []
    lines = [
        f"with {role_words(each.role)} in the place of the reference model {each.flagged:,} are flagged, and chance "
        f"alone gives as many with {p_words(each.p_value)}"
        for each in finding.references
    ]
    lines += [_other_line(each) for each in finding.others]
    if finding.others:
        again = (
            "the comparison needs" if len(finding.others) + len(finding.references) == 1 else "each comparison needs"
        )
        lines[-1] += f"; {again} p ≤ {finding.allowed:.3g} too"
    if finding.sensitivity is not None:
        lines.append(_sensitivity_line(flags, finding))
    return lines


def _other_line(other: OtherFlags) -> str:
    """How many flags another model gives, and whether the target's scores are higher than its."""
    model = role_words(other.role)
    higher = f"the target scores them higher, with {p_words(other.p_value)} if neither model knows them"
    if other.p_value > 0.5:
        higher = f"the target does not score them higher ({p_words(other.p_value)})"
    if other.flagged is None or other.other_flagged is None:
        few = f"{other.nonmembers:,} non-members are too few to set its threshold"
        return f"by {model}, of {counted(other.candidates, 'candidate')}: {few}; {higher}"
    target = f"{other.flagged:,} by the target"
    return (
        f"by {model}, which cannot know them, {other.other_flagged:,} of {other.candidates:,} candidates would be "
        f"flagged, and {target}, against {other.nonmembers:,} non-members; {higher}"
    )


def _sensitivity_line(flags: Flags, finding: Finding) -> str:
    """The difference of the texts at which the finding would vanish, and what the other models see of it."""
    limit = finding.sensitivity
    assert limit is not None
    unit = "candidates" if flags.unit is Unit.PASSAGES else "candidate documents"
    rate = ""
    if limit.fpr is not None:
        rate = f", that is a false positive rate of {100 * limit.fpr:.1f} % in place of {100 * flags.rule.level:g} %"
    most = math.floor(limit.flags) if limit.flags >= 10 else math.floor(10 * limit.flags) / 10
    line = (
        f"the finding would vanish if a difference between {unit} and non-members, other than training, caused more "
        f"than {most:,} of the {finding.flagged:,} flags{rate}; such a difference has an AUROC of at least "
        f"{limit.auroc:.2f}"
    )
    if not finding.others:
        return f"{line}, and no other model shows how large it is"
    seen = max(finding.others, key=lambda other: other.largest_auroc)
    area = seen.auroc
    end = f"at least {area.low:.2f}" if area.high < 1 - area.low else f"at most {area.high:.2f}"
    line += f"; {role_words(seen.role)} shows {area.value:.2f}, {end}"
    return line if finding.resists else f"{line}, which does not exclude it: the finding is doubtful"
