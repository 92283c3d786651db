"""The sentences of an exhibit, for either side of a dispute: the same figures, in another order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ...auditing import Audit
from ...decision import ErrorRate, Finding, Flags, NoteKind, Sensitivity, flags_by_share
from ...extraction import Extraction
from ...records import Interval, Standing
from ...validity import Verdict
from ._answer import Answer
from ._audit_by_shadows import SHADOW_ASSUMPTION, recognised_words
from ._comparisons import role_words
from ._counting import counted, held_with, per_hundred, unbroken
from ._decisions import members_words, rule_words
from ._notes import ASSUMPTION
from ._precision import precision_words
from ._validity import void_basis, weakest_check, withheld_words
from ._verbatim import verbatim_words
from .checks import check_words

__all__ = ["Section", "Side", "exhibit_sections", "side_words"]

LIKE_SHADOWS = "The candidates may be harder to recognise, if the model was trained otherwise than these."
NAMED = 3
"""Faults that the page names."""
FACTS = {
    "finds": "recognises",
    "wrongly": "flags wrongly",
    "at least": "trained on at least",
    "compared": "another model",
    "AUROC": "AUROC of the score",
    "unlike": "unlike the shadow models",
    "void": "faults (void)",
    "untestable": "cannot be tested",
    "because": "why it matters",
}
"""Names of facts, where a terminal has room for a single word."""


class Side(StrEnum):
    """For whom an exhibit is worded."""

    CLAIMANT = "claimant"
    """Who holds that the model was trained on the texts."""
    DEFENCE = "defence"
    """Who answers for the model."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and what is under it: paragraphs, facts by name, and points."""

    title: str
    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()


def side_words(side: Side) -> str:
    """For whom the page is worded, and what the other version has."""
    other = Side.DEFENCE if side is Side.CLAIMANT else Side.CLAIMANT
    return (
        f"Worded for the {side}. A version for the {other} can be written from the same record; it has the same "
        "figures, in another order."
    )


def exhibit_sections(audit: Audit, answer: Answer, side: Side, extraction: Extraction | None = None) -> list[Section]:
    """The finding on a page, from the question to the limits; both sides get the same sentences.

    They differ in headings and in order. A finding comes before what was not found for either side, so that nobody
    reads the second without the first.
    """
    defends = side is Side.DEFENCE
    question = Section("What was looked for" if defends else "What was asked", (answer.question, _how(audit)))
    sentences = (answer.headline, answer.error_rate, answer.change)
    given = Section(
        "What the search gave" if defends else "The answer", tuple(filter(None, sentences)), tuple(_facts(answer))
    )
    absent = Section("What was not found" if defends else "What this does not show", points=tuple(_absent(audit)))
    power = Section("With what power" if defends else "How much the search could see", tuple(_power(audit)))
    verbatim = Section("Word for word", tuple(filter(None, [" ".join(verbatim_words(extraction))])))
    assumption = ASSUMPTION if audit.shadows is None else SHADOW_ASSUMPTION
    trust = Section("What it rests on", (f"The error rate holds only if {assumption}.", _checks(audit)))
    overturn = Section("What would overturn it", points=tuple(_overturn(audit)))
    if not defends:
        ordered = [question, given, verbatim, trust, overturn, absent, power]
    elif audit.flags.significant:
        ordered = [question, given, absent, power, verbatim, trust, overturn]
    else:
        ordered = [question, absent, power, given, verbatim, trust, overturn]
    return [_kept_together(each) for each in ordered if each.paragraphs or each.facts or each.points]


def _kept_together(section: Section) -> Section:
    """The section with no line break between a figure and its unit."""
    facts = tuple((name, unbroken(sentence)) for name, sentence in section.facts)
    paragraphs, points = (tuple(map(unbroken, each)) for each in (section.paragraphs, section.points))
    return Section(section.title, paragraphs, facts, points)


def _how(audit: Audit) -> str:
    """What was done to answer the question, for somebody who has never done it."""
    calibration, rule = audit.calibration, audit.flags.rule
    known = counted(calibration.n, "text")
    if calibration.n_documents != calibration.n:
        known += f" from {counted(calibration.n_documents, 'document')}"
    scored = f"Each text was given a score from the probabilities of the model ({audit.decider})"
    if audit.shadows is not None:
        return (
            f"{scored}. It is compared with {known} under shadow models that were not trained on them. The error rate, "
            f"{rule_words(rule)}, holds about, and on average over models, for a model that is like them."
        )
    if rule.rate is ErrorRate.FALSE_POSITIVES:
        held = "on average" if calibration.confidence is None else f"with {held_with(calibration.confidence)}"
        return (
            f"{scored}. It is flagged if its score is above a threshold, which was set on {known} that the model was "
            f"certainly not trained on: at most {100 * rule.level:g} of 100 such texts would be flagged, {held}."
        )
    return (
        f"{scored}, and was compared with {known} that the model was certainly not trained on. So many are flagged "
        f"that on average at most {100 * rule.level:g} of 100 flags are wrong."
    )


def _facts(answer: Answer) -> Iterator[tuple[str, str]]:
    """The facts of the answer, named in full where a terminal has a single word."""
    for name, sentence in answer.facts:
        yield FACTS.get(name, name), sentence


def _checks(audit: Audit) -> str:
    """How many checks of the known set could be made, and what they show."""
    checks, of = audit.validity.checks, "known texts" if audit.shadows is None else "shadow models"
    made = sum(check.verdict is not Verdict.SKIPPED for check in checks)
    if not made:
        return f"Nothing about the {of} could be checked."
    head = f"{made:,} of {counted(len(checks), 'check')} of the {of} could be made"
    faults = [check for check in checks if check.is_fault]
    if faults:
        shown = "; ".join(dict.fromkeys(check_words(check.name) for check in faults[:NAMED]))
        shows = "shows" if len(faults) == 1 else "show"
        return f"{head}, and {len(faults):,} {shows} a fault (among them: {shown}); controls.html names each."
    weakest = weakest_check(audit.validity)
    missed = "" if weakest is None else f" Differences with an AUROC below {weakest[0]:.2f} may have been missed."
    return f"{head}, and none shows a fault.{missed}"


def _absent(audit: Audit) -> Iterator[str]:
    """What the record does not show, a sentence each."""
    flags = audit.flags
    total, flagged = len(flags.rows), flags.flagged
    if flags.withheld:
        why = withheld_words(flags.standing, audit.validity, shadows=audit.shadows is not None)
        yield "No finding, in either direction: " + why.partition(": ")[2] + "."
    elif not flags.significant:
        yield (
            "No evidence of training was found that this search could tell from chance or from a difference of the "
            "texts. That does not show that the model was not trained on them."
        )
    not_flagged = total - flagged
    yield (
        f"{not_flagged:,} of {counted(total, 'text')} {'is' if not_flagged == 1 else 'are'} not flagged. A text that "
        "is not flagged may still have been trained on."
    )
    if not flags.withheld:
        yield "No flag shows by itself that its text was trained on: each may be among those that chance gives."
        least = members_words(flags)
        yield (
            f"How many at least were trained on: {least}."
            if least
            else "It does not show how many of the texts at least were trained on."
        )


def _power(audit: Audit) -> Iterator[str]:
    """What the search would have seen; it is stated only where it was measured."""
    power, flags = audit.power, audit.flags
    if audit.withheld:
        of = "the known set cannot carry a finding"
        if audit.shadows is not None:
            of = void_basis(audit.standing, audit.validity, shadows=True)
        yield f"The power was not established: {of}."
        return
    if audit.shadows is not None:
        yield f"Of shadow models in the model's place: {recognised_words(audit.shadows)}. {LIKE_SHADOWS}"
        return
    if power is None:
        why = (
            "a false discovery rate was held, for which it depends on how many candidates were trained on"
            if flags.rule.rate is ErrorRate.FALSE_DISCOVERIES
            else "no texts were given that the model is known to have been trained on"
        )
        yield f"The power was not measured: {why}. So an absence of flags carries no weight in either direction."
        return
    yield (
        f"Of the texts that the model is known to have been trained on, {per_hundred(power, 'passages')} are flagged. "
        "The interval counts by document. The candidates may be harder to recognise than these, if the model read them "
        "fewer times or earlier in its training."
    )
    yield _smallest_share(flags, power)


def _smallest_share(flags: Flags, power: Interval) -> str:
    """The smallest share of the candidates that the search would more often than not have shown."""
    expected = flags_by_share(flags, power)
    crossing, least = expected.crossing, expected.least
    if crossing is None or least is None:
        return (
            "So no share of the candidates can be named that such a search would usually have shown, and an absence "
            "of flags carries little weight."
        )
    end = f"to {100 * crossing.high:.0f} %" if math.isfinite(crossing.high) else "to no share at all"
    return (
        f"A search like this one gives more often than not as many flags as chance alone does not explain (at least "
        f"{least:,} of {expected.candidates:,}) if {100 * crossing.value:.0f} % of the candidates or more were trained "
        f"on, and are as easy to recognise as the known members ({100 * crossing.low:.0f} % {end}, by the interval "
        "above). A smaller share may well have been missed." + _and_comparisons(flags)
    )


def _and_comparisons(flags: Flags) -> str:
    """What a finding takes besides so many flags; empty where nothing else was compared."""
    if flags.finding is None or not (flags.finding.others or flags.finding.references):
        return ""
    return " A finding also takes the comparison with other models, so the share that would give one may be larger."


def _overturn(audit: Audit) -> Iterator[str]:
    """What would make the answer wrong, a sentence each, beginning with what the record measured."""
    finding = audit.flags.finding
    for note in audit.notes:
        if note.kind == NoteKind.PRECISION:
            yield f"The precision of the arithmetic: {precision_words(note.figures)}."
    if audit.shadows is not None:
        yield (
            "Proof that the model was not trained as the shadow models were (another base, recipe, kind of texts), in "
            "a way that raises its scores: the threshold is set by their scores alone."
        )
        if not audit.shadows.same_texts:
            yield (
                "Proof that the candidates differ from the pool of the shadow models (source, period, style) in a way "
                "that raises their scores: the scores of the pool set the threshold."
            )
        yield "Another result of the same commands on the files and models whose digests are in manifest.json."
        return
    if audit.flags.withheld or audit.standing is Standing.ACCEPTED:
        yield "The known set itself: its faults alone may explain every flag, without any training."
    if finding is not None and finding.sensitivity is not None:
        yield _vanishing(finding, finding.sensitivity)
    if finding is not None and finding.others:
        models = ", ".join(dict.fromkeys(role_words(other.role) for other in finding.others))
        yield (
            f"Proof that a model that serves for comparison ({models}) was trained on the candidates, or on the known "
            "non-members: it would then no longer show what the texts alone explain."
        )
    elif finding is not None and not audit.flags.withheld:
        yield (
            "A comparison with another language model that cannot know the candidates and scores them as high: none "
            "was made."
        )
    yield (
        "Proof that the candidates differ from the known non-members in source, period, style or length in a way that "
        f"raises their scores: the promised {rule_words(audit.flags.rule)} would not hold for them."
    )
    yield (
        "Proof that the model was trained on known non-members: the threshold would then be too high. That weakens the "
        "search, and not a finding."
    )
    yield "Another result of the same commands on the files and models whose digests are in manifest.json."


def _vanishing(finding: Finding, limit: Sensitivity) -> str:
    """Which difference of the texts would take the finding away."""
    most = math.floor(limit.flags) if limit.flags >= 10 else math.floor(10 * limit.flags) / 10
    sentence = (
        "A difference between candidates and known non-members, other than training, that causes on average more than "
        f"{most:,} of the {counted(finding.flagged, 'flag')} that the test counts"
    )
    if limit.fpr is None:
        return f"{sentence}."
    return f"{sentence}: a false positive rate of {100 * limit.fpr:.1f} % for texts like the candidates."
