"""What an answer rests on: how strong the attack is, how often it errs, what it cannot say, and what to trust."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...auditing import LIKENESS, Audit, Control, ShadowCheck
from ...decision import DocumentObstacle, ErrorRate, Evaluation, Flags, NoteKind, Unit
from ...records import Interval, Note, count_distinct
from ...validity import Check, Validity, Verdict
from ._audit_by_shadows import by_shadows, gap_words, needed_words, rates_words, recognised_words
from ._comparisons import least_p_words, role_words
from ._counting import counted, held_with, with_interval
from ._decisions import bound_confidence
from ._precision import precision_facts
from ._validity import NAMED, standing_sentence, weakest_check

__all__ = ["answer_facts", "answer_trust", "checks_words", "flags_facts", "flags_trust", "named_check", "worst_faults"]

BLIND = ("blind_words_auroc", "blind_counts_auroc")
"""Classifiers of members and non-members that never see the model."""
GRAVITY = (Verdict.VOID, Verdict.UNTESTABLE, Verdict.DOUBTFUL)


def answer_facts(audit: Audit) -> list[tuple[str, str]]:
    """A short name and a sentence for each; the first matters most."""
    flags, shadows = audit.flags, audit.shadows
    if audit.withheld:
        if shadows is not None and shadows.void:
            return _unlike(shadows)
        return [*_faults(audit.validity), *_separation(audit)]
    finds = ("finds", _power_words(audit) if shadows is None else recognised_words(shadows))
    first = [finds, ("wrongly", _wrongly(flags, audit.control))]
    if shadows is not None:
        first = [*_unlike(shadows), finds] if shadows.void else [*first, ("shadows", rates_words(shadows))]
    return [
        *first,
        _bound(flags, audit.notes),
        *_categories(flags),
        *_separation(audit),
        *_protocol(audit.notes),
        *_number(flags),
        *_compared(flags),
        *precision_facts(audit.notes),
    ]


def flags_facts(flags: Flags) -> list[tuple[str, str]]:
    """The facts of a decision on a table of scores, which holds no figures of the attack."""
    if flags.withheld:
        return [("flags", "are in the file, but no conclusion may rest on them")]
    of_flags = [("wrongly", _wrongly(flags, None)), _bound(flags, flags.notes), *_categories(flags)]
    about_run = [*_protocol(flags.notes), *precision_facts(flags.notes)]
    return [*of_flags, *about_run, *_number(flags), *_compared(flags)]


def flags_trust(flags: Flags) -> list[str]:
    """Whether the known set of a table can be trusted, what the answer rests on, and what it does not show."""
    checked = f"{standing_sentence(flags.standing, shadows=by_shadows(flags))}."
    if flags.standing is None:
        checked = "No check has been made of this known set: 'llm-mia validate' checks its texts."
    return [checked] if flags.withheld else [checked, _assumption(flags), _unflagged(flags)]


def _unlike(shadows: ShadowCheck) -> list[tuple[str, str]]:
    """How far the target is from the shadow models, and that their rate does not hold for it."""
    worst = shadows.gravest
    beyond = [] if worst is None else [("unlike", gap_words(worst))]
    return [*beyond, ("wrongly", f"unknown for this target; {rates_words(shadows)}")]


def _number(flags: Flags) -> list[tuple[str, str]]:
    if flags.finding is None or flags.finding.number == 1:
        return []
    return [("decision", f"number {flags.finding.number} on these candidates, so a finding needs a smaller p-value")]


def _power_words(audit: Audit) -> str:
    """The share of known members that are recognised, or why it is unknown."""
    if audit.power is not None:
        return _recognised(audit, audit.power)
    if not audit.evaluations:
        return "unknown, and no AUROC is computed, because no known members were given"
    return "not measured: a false discovery rate has no fixed threshold"


def _recognised(audit: Audit, power: Interval) -> str:
    """The count of known members above the threshold, where the record gives it, and their share."""
    shares = f"{100 * power.value:.0f} %, {100 * power.confidence:.12g} % interval {_percents(power)}"
    evaluation = _deciding(audit)
    if evaluation is not None and not evaluation.unscored:
        above = power.value * evaluation.n_members
        if math.isclose(above, round(above), abs_tol=1e-6):
            return f"{round(above):,} of {counted(evaluation.n_members, 'known member')} ({shares})"
    return f"{shares.partition(',')[0]} of the known members ({shares.partition(', ')[2]})"


def _deciding(audit: Audit) -> Evaluation | None:
    return next((each for each in audit.evaluations if each.attack == audit.decider), None)


def _separation(audit: Audit) -> list[tuple[str, str]]:
    """The AUROC of the attack that decides, beside that of a classifier that never saw the model."""
    evaluation, blind = _deciding(audit), _blind(audit.validity)
    if evaluation is None:
        return []
    beside = "" if blind is None else f"; a classifier of the text alone {with_interval(blind)}"
    return [("AUROC", f"{with_interval(evaluation.auroc)}{beside}")]


def _blind(validity: Validity) -> Interval | None:
    """The larger AUROC of the classifiers that never see the model; None where there is none."""
    figures = [check.figure for check in validity.checks if check.name in BLIND and isinstance(check.figure, Interval)]
    return max(figures, key=lambda figure: figure.value, default=None)


def _wrongly(flags: Flags, control: Control | None) -> str:
    """What is promised about flags of non-members, and how many sealed non-members were flagged."""
    level = flags.rule.level
    of_hundred = f"at most {100 * level:g} of 100"
    unit = "passages" if flags.unit is Unit.PASSAGES else "documents"
    by_document = flags.unit is Unit.PASSAGES and bool(flags.calibration.documents)
    if flags.rule.rate is ErrorRate.FALSE_DISCOVERIES:
        words = f"{of_hundred} flagged {unit}, on average"
    elif flags.calibration.confidence is not None:
        words = f"{of_hundred} that it never saw, with {held_with(flags.calibration.confidence)}"
        if by_document:
            words = f"in {of_hundred} new documents, with {held_with(flags.calibration.confidence)}"
    else:
        over = "averaged over new documents" if by_document else "on average"
        if by_shadows(flags):
            over = "averaged over models"
            of_hundred = of_hundred.replace("at most", "at most about")
        words = f"{of_hundred} that it never saw, {over}"
    if control is not None:
        words += f"; of sealed non-members {control.flagged:,} of {control.passages:,} ({_percents(control.rate)})"
    return words


def _percents(figure: Interval) -> str:
    """An interval of a share, rounded outward."""
    return f"{math.floor(100 * figure.low + 1e-9)}–{math.ceil(100 * figure.high - 1e-9)} %"


def _bound(flags: Flags, notes: Sequence[Note]) -> tuple[str, str]:
    """How many candidates were trained on at least, or why that is unknown and what would show it."""
    if flags.members is not None:
        held = f"with {''.join(bound_confidence(flags))}"
        if not flags.members.members:
            return "at least", f"no number of them can be stated {held}"
        was = "was" if flags.members.members == 1 else "were"
        return "at least", f"{flags.members.members:,} of {len(flags.rows):,} {was} trained on, {held}"
    return "at least", f"no number can be given, because {_why_unbounded(flags, notes)}"


def _why_unbounded(flags: Flags, notes: Sequence[Note]) -> str:
    """Why the number of members has no lower bound, and what would give it."""
    reasons = {
        NoteKind.MEMBERS_UNBOUNDED_CATEGORIES: "each category has its calibration set",
        NoteKind.MEMBERS_UNBOUNDED_LABELLED: "labelled passages are among the candidates",
        NoteKind.MEMBERS_UNBOUNDED_FEW: "too few documents of non-members are as long as these; add such documents",
    }
    for note in notes:
        if note.kind == NoteKind.MEMBERS_UNBOUNDED_DOCUMENTS:
            return _documents_obstacle(flags, note.figures.get("obstacle"), note.figures.get("documents", 0))
        if note.kind in reasons:
            return reasons[NoteKind(note.kind)]
    return "no finding is possible"


def _documents_obstacle(flags: Flags, obstacle: object, documents: int) -> str:
    if obstacle is None:
        return "passages share documents; 'llm-mia flag RUN --documents' counts documents"
    if DocumentObstacle(str(obstacle)) is DocumentObstacle.SHADOWS:
        return "a model's scores are not independent"
    if DocumentObstacle(str(obstacle)) is DocumentObstacle.ON_BOTH_SIDES:
        # The promise is for a passage of a new document, so these are what it does not cover.
        of_all = counted(count_distinct(flags.rows_by_column.documents), "document")
        hold, they = ("holds", "it is") if documents == 1 else ("hold", "they are")
        both = f"{documents:,} of the {of_all} also {hold} known non-members"
        return f"{both}, so {they} not new; separate these and run again"
    if DocumentObstacle(str(obstacle)) is DocumentObstacle.INFINITE:
        return "passages share documents, and some candidates have an infinite score"
    return "passages share documents, and the table has other non-members than those that set the threshold"


def _compared(flags: Flags) -> list[tuple[str, str]]:
    """How many flags another model gives in the place of the target: the model that gives the most."""
    finding = flags.finding
    if finding is None:
        return []
    others = [other for other in finding.others if other.other_flagged is not None]
    if not others:
        return []
    other = max(others, key=lambda other: other.other_flagged or 0)
    # Where it is the smallest that the exchanges can give, the details have their number.
    p_value = least_p_words(other.p_value, other.exchanges).partition(",")[0]
    fewer = other.flagged is not None and other.flagged > (other.other_flagged or 0)
    target = f", not {other.flagged:,}" if fewer else ""
    flagged = f"with {role_words(other.role)} in the target's place, {other.other_flagged:,} of {other.candidates:,}"
    if other.p_value > 0.5:
        return [("compared", f"{flagged}{target}; the target's scores are not higher ({p_value})")]
    return [("compared", f"{flagged}{target}; so large a difference of the scores by chance: {p_value}")]


def _protocol(notes: Sequence[Note]) -> list[tuple[str, str]]:
    for note in notes:
        if note.kind == NoteKind.PROTOCOL:
            if note.figures["deviations"]:
                return [("protocol", "this decision deviates from the protocol, so it counts as a further decision")]
            if note.figures["before"]:
                return [("protocol", "names this decision, but other decisions were taken before it")]
            return [("protocol", f"fixed before the scores, and names this decision ({note.figures['sha256'][:16]}…)")]
    return []


def _categories(flags: Flags) -> list[tuple[str, str]]:
    """Flagged and candidates by category, those with the most flags first."""
    if not flags.categories:
        return []
    ranked = sorted(flags.categories.items(), key=lambda item: -item[1].flagged)
    shown = "; ".join(f"{name} {each.flagged:,} of {each.candidates:,}" for name, each in ranked[:NAMED])
    more = f"; and {len(ranked) - NAMED} more" if len(ranked) > NAMED else ""
    return [(f"by {flags.calibration.by}", f"{shown}{more}")]


def answer_trust(audit: Audit) -> list[str]:
    """Whether the known set can be trusted, the worst check, what the answer rests on, and what it does not show."""
    checks = checks_words(audit.validity)
    if audit.withheld:
        return [checks]
    if audit.shadows is not None and (needed := needed_words(audit.shadows)):
        checks += f" {needed}"
    same_texts = audit.shadows is not None and audit.shadows.same_texts
    return [checks, _assumption(audit.flags, same_texts=same_texts), _unflagged(audit.flags)]


def _assumption(flags: Flags, *, same_texts: bool = False) -> str:
    """What the error rate assumes; *same_texts*: all candidates are known to be in the pool of the shadow models."""
    if not by_shadows(flags):
        return "Assumption: unseen candidates resemble your non-members (source, period, style)."
    if same_texts:
        return "Assumption: the target was trained as the shadows were (base, recipe, texts)."
    return "Assumption: target trained as the shadows were; candidates resemble their pool."


def _unflagged(flags: Flags) -> str:
    return f"A {flags.unit.value[:-1]} that is not flagged may still have been trained on."


def checks_words(validity: Validity) -> str:
    """The worst check of the known set, or what the checks may have missed; their number is among the details."""
    if all(check.verdict is Verdict.SKIPPED for check in validity.checks):
        if any(check.name == LIKENESS for check in validity.checks):
            return "It could not be checked whether the target is like the shadow models."
        return "Nothing about the known set could be checked."
    faults = worst_faults(validity)
    if faults:
        number = sum(check.is_fault for check in validity.checks)
        shows = "check shows a fault" if number == 1 else "checks show a fault; the worst"
        return f"{number:,} {shows}: {named_check(faults[0])}."
    weakest = weakest_check(validity)
    missed = "" if weakest is None else f"; a difference with an AUROC below {weakest[0]:.2f} may be missed"
    return f"No check shows a fault{missed}."


def named_check(check: Check) -> str:
    """A check with its figure and verdict; a check of the target, whose figure explains nothing by itself, in words."""
    figure = check.figure
    if check.name == LIKENESS:
        return f"the target's loss is unlike that of the shadows, {check.verdict}"
    if isinstance(figure, Interval):
        return f"{check.name} {with_interval(figure)}, {check.verdict}"
    if figure is None or math.isnan(figure):
        return f"{check.name}, {check.verdict}"
    return f"{check.name} {figure:.3g}, {check.verdict}"


def worst_faults(validity: Validity) -> list[Check]:
    """The checks that show the gravest fault there is; first a target unlike its shadows, then the texts alone."""
    for verdict in GRAVITY:
        checks = [check for check in validity.checks if check.verdict is verdict]
        if checks:
            return sorted(checks, key=lambda check: check.name not in (LIKENESS, *BLIND))
    return []


def _faults(validity: Validity) -> list[tuple[str, str]]:
    faults = worst_faults(validity)
    if not faults:
        return []
    names = ", ".join(check.name for check in faults[:NAMED])
    more = f" and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    return [(faults[0].verdict.value, f"{names}{more}"), ("because", faults[0].why)]
