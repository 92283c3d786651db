"""The sentences of an exhibit, for either side of a dispute: the same figures, in another order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ...auditing import Audit
from ...decision import DETECTED, ErrorRate, Finding, Sensitivity, members_detected
from ...extraction import ExtractedSpan, Extraction, Proof
from ...records import Standing
from ._answer import Answer
from ._comparisons import role_words
from ._counting import counted
from ._decisions import members_words, rule_words
from ._extraction import extraction_size, extraction_statement
from ._notes import ASSUMPTION
from ._validity import withheld_words

__all__ = ["Section", "Side", "exhibit_sections", "side_words", "span_words"]


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
    question = Section("What was looked for" if defends else "What was asked", (answer.question,))
    sentences = (answer.headline, answer.error_rate, answer.change)
    given = Section("What the search gave" if defends else "The answer", tuple(filter(None, sentences)), answer.facts)
    absent = Section("What was not found" if defends else "What this does not show", points=tuple(_absent(audit)))
    power = Section("With what power" if defends else "How much the search could see", tuple(_power(audit)))
    verbatim = Section("Word for word", tuple(_verbatim(extraction)))
    trust = Section("What it rests on", (f"The error rate holds only if {ASSUMPTION}.", *answer.trust))
    overturn = Section("What would overturn it", points=tuple(_overturn(audit)))
    if not defends:
        ordered = [question, given, verbatim, trust, overturn, absent, power]
    elif audit.flags.significant:
        ordered = [question, given, absent, power, verbatim, trust, overturn]
    else:
        ordered = [question, absent, power, given, verbatim, trust, overturn]
    return [section for section in ordered if section.paragraphs or section.facts or section.points]


def _absent(audit: Audit) -> Iterator[str]:
    """What the record does not show, a sentence each."""
    flags = audit.flags
    total, flagged = len(flags.rows), flags.flagged
    if flags.withheld:
        yield "No finding, in either direction: " + withheld_words(flags.standing).partition(": ")[2] + "."
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
        yield "The power was not established: the known set cannot carry a finding."
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
        f"Of the texts that the model is known to have been trained on, {100 * power.value:.1f} % are above the "
        f"threshold (95 % interval {100 * power.low:.0f}–{100 * power.high:.0f} %, by document). The candidates may be "
        "harder to recognise than these: texts that were read once, or long before the end of the training."
    )
    least = members_detected(flags, power.low)
    if least is None:
        yield (
            "The smallest number of texts that would usually be detected is not computed here: passages share "
            "documents, or texts are recognised too seldom for any number to be enough."
        )
        return
    finding = flags.finding
    assert finding is not None
    share = least / finding.candidates
    yield (
        f"If {least:,} or more of the {counted(finding.candidates, 'candidate')} ({100 * share:.1f} %) had been "
        "trained on, and were flagged as often as the lower end of that interval, chance would be excluded in "
        f"{100 * DETECTED:.0f} of 100 such searches. Fewer may have been missed."
    )


def _overturn(audit: Audit) -> Iterator[str]:
    """What would make the answer wrong, a sentence each, beginning with what the record measured."""
    finding = audit.flags.finding
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
        "Proof that the known non-members differ from the candidates in source, period, style or length in a way that "
        f"raises the scores of the candidates: the rate of {rule_words(audit.flags.rule)} would not hold for them."
    )
    yield (
        "Proof that known non-members were in the training data: the threshold would be too high, and too few "
        "candidates flagged."
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


def _verbatim(extraction: Extraction | None) -> Iterator[str]:
    if extraction is None:
        return
    statement = extraction_statement(extraction)
    yield f"{extraction_size(extraction)}: {statement}."


def span_words(span: ExtractedSpan, proof: Proof | None) -> Iterator[str]:
    """How probably the model writes a span, and what it wrote when it was asked to, a sentence each."""
    likeliest = span.likeliest
    bounds = "" if likeliest.probability_high == likeliest.probability else f" to {likeliest.probability_high:.3g}"
    yield (
        f"{counted(span.tokens, 'token')}; the likeliest stretch begins at token {likeliest.start_token:,} and comes "
        f"with probability {likeliest.probability:.3g}{bounds}, given the text before it: once in "
        f"{likeliest.expected_queries:,.3g} queries on average"
    )
    if span.reference is not None:
        high, too = span.reference.probability_high, "" if span.counts else "; so the span does not count"
        yield f"under the reference model the same text has probability {high:.3g} at most{too}"
    if proof is None:
        return
    wrote = (
        "the whole stretch, token for token"
        if proof.greedy
        else f"the first {proof.greedy_tokens:,} of its {counted(proof.tokens, 'token')}"
    )
    yield f"given the {counted(proof.prompt_tokens, 'token')} before it, greedy decoding wrote {wrote}"
    if proof.share is not None:
        yield (
            f"of {counted(proof.samples, 'random continuation')}, {proof.matched:,} "
            f"{'is' if proof.matched == 1 else 'are'} the stretch, token for token (95 % interval "
            f"{100 * proof.share.low:.0f}–{100 * proof.share.high:.0f} %)"
        )
