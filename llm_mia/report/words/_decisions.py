"""Decisions in words, which claim no more than the figures show."""

from __future__ import annotations

from typing import NamedTuple

from ...calibration import fpr_bound
from ...decision import (
    Calibration,
    ErrorRate,
    Finding,
    FindingTest,
    Flags,
    Guarantee,
    GuaranteeKind,
    QValueMethod,
    Rule,
    ShortageKind,
    Unit,
    Wanted,
)
from ...records import Standing
from ._audit_by_shadows import by_shadows, spread_words
from ._comparisons import comparison_facts, explained_by, least_p_words, p_words, sensitivity_words
from ._counting import counted, held_with
from ._validity import withheld_words

__all__ = [
    "FindingParts",
    "category_lines",
    "columns_used",
    "finding",
    "finding_facts",
    "finding_parts",
    "guarantee_words",
    "held_words",
    "members_words",
    "q_values_words",
    "rule_words",
    "selection_words",
    "threshold_words",
]


class FindingParts(NamedTuple):
    """The sentence of a finding in two parts, so that the first can be set in bold."""

    head: str
    meaning: str


def finding(flags: Flags) -> str:
    """The decision in a sentence."""
    withheld = withheld_words(flags.standing, shadows=by_shadows(flags))
    return withheld if flags.withheld else " ".join(finding_parts(flags))


def finding_parts(flags: Flags) -> FindingParts:
    """How many are flagged, by which attack and error rate, and what that means; for a finding that is not withheld."""
    candidates = "candidate" if flags.unit is Unit.PASSAGES else "candidate document"
    return FindingParts(
        f"{flags.flagged:,} of {counted(len(flags.rows), candidates)} flagged",
        f"by {flags.calibration.attack} at {rule_words(flags.rule)}: {_meaning(flags)}",
    )


def _meaning(flags: Flags) -> str:
    """What the flags mean, with the p-value."""
    finding = flags.finding
    if finding is None:
        return "no finding, because no p-value can be computed (see the notes)"
    if not finding.significant:
        why = explained_by(finding) or ("chance alone may flag as many" if flags.flagged else "")
        return f"no finding{', ' if why else ''}{why} ({p_words(finding.p_value)})"
    them = "it" if flags.flagged == 1 else "them" if flags.flagged else "some of them, without showing on which"
    return f"consistent with training on {them} ({p_words(finding.p_value)}){_reserve(flags, finding)}"


def _reserve(flags: Flags, finding: Finding) -> str:
    """What the sentence of a finding has to add, so that it claims no more than the checks allow."""
    if finding.resists is False:
        return ", but doubtful"
    unlike, void = "the known set is doubtful", "the known set is void or untestable"
    if finding.shadows is not None:
        unlike, void = "the target is unlike the shadow models", "the threshold of the shadow models does not hold here"
    known_set = {
        None: ", not validated",
        Standing.DOUBTFUL: f", but {unlike}",
        Standing.ACCEPTED: f", but {void}",
    }
    alone = finding.resists is None and finding.shadows is None
    compared = ", not compared with another model" if alone else ""
    if not compared and flags.standing is Standing.NOT_CHECKED:
        compared = ", not compared with another language model"
    return known_set.get(flags.standing, "") + compared


def finding_facts(flags: Flags) -> list[tuple[str, str]]:
    """What the finding is compared with, and what it needs: the name of each fact, and a sentence."""
    finding, facts = flags.finding, list[tuple[str, str]]()
    chance = _chance_words(flags)
    if chance:
        facts.append(("chance", chance))
    facts += comparison_facts(flags)
    if finding is not None:
        number = f"decision {finding.number} on these candidates: " if finding.number > 1 else ""
        compared = finding.others or finding.references or finding.shadows is not None
        each = " in each comparison, so the largest p counts" if compared else ""
        if models := spread_words(finding):
            facts.append(("models", models))
        facts.append(("level", f"{number}a finding needs p ≤ {finding.allowed:.3g}{each}"))
    vanishes = sensitivity_words(flags)
    return [*facts, *([("sensitivity", vanishes)] if vanishes else [])]


def _chance_words(flags: Flags) -> str:
    """How many flags chance alone gives, and the p-value of so many; empty where there is neither."""
    finding, by_chance = flags.finding, flags.by_chance
    parts = []
    if by_chance is not None:
        expected = f"{by_chance:,.1f} flags are expected" if by_chance != 1 else "1 flag is expected"
        about = "about " if flags.unit is Unit.PASSAGES and flags.calibration.documents else ""
        parts.append(f"if none of the candidates is a member, at most {about}{expected}")
    if finding is not None:
        many = "as many as here or more" if parts else "the smallest q-value (Simes' test)"
        if finding.test is FindingTest.COUNT and finding.candidates == 1 and finding.flagged:
            many = "so high a score"
        chance = p_words(finding.chance)
        if finding.test is FindingTest.EXCHANGE:
            documents = counted(finding.documents, "document")
            many = many if parts else "a smallest q-value as small as here"
            chance = least_p_words(finding.chance, finding.arrangements)
            if chance == p_words(finding.chance):
                chance += f", the share of {finding.arrangements:,} exchanges"
            chance += f" of labels between or within {documents}"
        parts.append(f"{many}: {chance}")
    return "; ".join(parts)


def rule_words(rule: Rule) -> str:
    """The error rate that is guaranteed.

    >>> rule_words(Rule(ErrorRate.FALSE_POSITIVES, 0.05))
    'FPR ≤ 5 %'
    """
    name = "FPR" if rule.rate is ErrorRate.FALSE_POSITIVES else "FDR"
    return f"{name} ≤ {100 * rule.level:g} %"


def q_values_words(method: QValueMethod) -> str:
    """The method that computed the q-values."""
    hochberg = method is QValueMethod.BENJAMINI_HOCHBERG
    return "Benjamini–Hochberg" if hochberg else "Benjamini–Yekutieli"


def guarantee_words(guarantee: Guarantee) -> str:
    """What a calibration guarantees, in a sentence.

    >>> guarantee_words(Guarantee(GuaranteeKind.WITH_CONFIDENCE, 0.95))[:75]
    'with confidence: with probability at least 0.95 over the draw of the calibr'
    """
    if guarantee.kind is GuaranteeKind.MARGINAL:
        new, known, once = "new non-member", "the calibration set", ""
        if guarantee.by_document:
            new, known = "passage of a new document that was not trained on", "the documents of the calibration set"
            once = ", where each document counts once"
        holds = (
            f"marginal: a {new}, exchangeable with {known}, is flagged with probability at most the FPR, on average "
            f"over calibration sets like this one{once}"
        )
    else:
        new = "non-member, drawn independently from the same source, is"
        if guarantee.by_document:
            new = "document that was not trained on, drawn independently from the same source, has a passage that is"
        holds = (
            f"with confidence: with probability at least {guarantee.confidence:g} over the draw of the calibration "
            f"set, a new {new} flagged with probability at most the FPR"
        )
    if guarantee.by_category:
        holds += "; this holds in each category separately"
    if guarantee.pooled:
        holds += ", and for the pooled categories in the pool as a whole"
    if guarantee.pooled_by_size:
        holds += ", there only approximately, because the sizes in this calibration set decided which are pooled"
    return holds


def held_words(flags: Flags) -> str:
    """In which sense the false positive rate of these flags holds."""
    calibration = flags.calibration
    where = ", in each category separately" if calibration.categories else ""
    by_document = flags.unit is Unit.PASSAGES and bool(calibration.documents)
    if calibration.confidence is not None:
        rate = "the share of new documents with a flagged passage" if by_document else "the rate"
        independent = "documents" if by_document or flags.unit is Unit.DOCUMENTS else "known non-members"
        return (
            f"with {held_with(calibration.confidence)} {rate} with this calibration set is at most "
            f"{100 * calibration.fpr:g} %{where}, if the {independent} are independent"
        )
    if by_shadows(flags):
        return (
            "it holds about, and on average over models and documents: a single model may be flagged more often, or "
            "less, and the average is the higher the more the shadow models differ"
        )
    if by_document:
        return f"it holds on average over calibration sets{where}, for a passage of a new document"
    if calibration.categories or flags.unit is Unit.DOCUMENTS:
        return f"it holds on average over calibration sets{where}"
    bound = fpr_bound(calibration.n, calibration.fpr)
    return (
        f"it holds on average over calibration sets; with this calibration set it is at most {100 * bound:.1f} % "
        "(95 % confidence, if the known non-members are independent)"
    )


def members_words(flags: Flags) -> str | None:
    """The smallest number of candidates that were trained on; None where it has no bound."""
    if flags.members is None or flags.share is None:
        return None
    bound, (held, why) = flags.members, bound_confidence(flags)
    confidence = f"with {held}"
    name = "candidate" if flags.unit is Unit.PASSAGES else "candidate document"
    candidates = counted(bound.candidates, name)
    if not bound.members:
        which = f"this {name}" if bound.candidates == 1 else f"any of these {candidates}"
        return f"it cannot be stated {confidence} that {which} is a member{why}"
    candidates = f"these {candidates}" if bound.candidates > 1 else candidates
    was = "was" if bound.members == 1 else "were"
    return (
        f"{confidence}, at least {bound.members:,} of {candidates} {was} trained on, {100 * flags.share.low:.1f} % or "
        f"more, if the assumption holds{why}"
    )


def bound_confidence(flags: Flags) -> tuple[str, str]:
    """The confidence of the bound on the number of members, and why it is not that of the level of all findings.

    The reason is empty where it is.
    """
    if flags.members is None:
        return "", ""
    held, finding = held_with(flags.members.confidence), flags.finding
    if finding is None or finding.level_share == 1:
        return held, ""
    share, level = f"{100 * finding.allowed:.3g}", f"{100 * finding.level:g}"
    return held, f" (its errors are {share} of the {level} % for all decisions on these candidates)"


def threshold_words(calibration: Calibration) -> str:
    """The threshold; with categories, that each of them has its threshold."""
    if calibration.categories:
        return f"a threshold for each {calibration.by}"
    return f"threshold {calibration.threshold:.6g}"


def category_lines(flags: Flags) -> list[str]:
    """Counts, threshold and smallest number trained on of each category, a line each."""
    lines = []
    for name, category in flags.categories.items():
        line = (
            f"  {name}: {category.flagged:,} of {category.candidates:,} flagged, threshold {category.threshold:.6g} "
            f"({category.n:,} non-members)"
        )
        if category.members is not None:
            line += f", at least {category.members.members:,} trained on"
        lines.append(line)
    bounds = [category.members for category in flags.categories.values() if category.members is not None]
    if bounds:
        held = held_with(bounds[0].confidence)
        lines.append(f"  (each lower bound holds with {held} for its category, if the assumption holds)")
    return lines


def columns_used(calibration: Calibration) -> list[str]:
    """The columns that the deciding score was selected from or is made of; empty where the user named a column."""
    if calibration.stack:
        return [column.name for column in calibration.stack.columns]
    return list(calibration.selection.aurocs)


def selection_words(calibration: Calibration) -> str | None:
    """How the attack that decides was selected; None where the user named it, or gave no members to select by."""
    if calibration.split is not None:
        split = calibration.split
        how = (
            f"stack of {counted(len(calibration.stack.columns), 'column')} fitted"
            if calibration.stack
            else "attack selected"
        )
        return (
            f"{how} on {split.fit_passages:,} known passages of {split.fit_documents:,} documents; other non-members "
            "set the threshold"
        )
    shortage = calibration.selection.shortage
    if shortage is None or shortage.kind is ShortageKind.NO_MEMBERS:
        return None
    auto = calibration.selection.wanted is Wanted.AUTO
    return f"{'no attack could be selected' if auto else 'no stack could be fitted'}: {shortage}"
