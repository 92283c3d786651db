"""What tests of canaries and of pairs show, in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ...canary import CanaryResult, ControlTest, PairedResult, UnusedBecause, UnusedText
from ...decision import FINDING_LEVEL
from ...records import Interval, target_pass
from ._answer import Answer, Outcome
from ._answering import short_name
from ._comparisons import p_words
from ._controlled import (
    control_change,
    control_error_rate,
    control_facts,
    control_figure_words,
    control_headline,
    control_notes,
    control_trust,
)
from ._counting import counted, unbroken

__all__ = [
    "CANARY_TITLE",
    "CONTROL_TITLE",
    "PAIRED_TITLE",
    "canary_answer",
    "canary_figure_words",
    "canary_notes",
    "choice_words",
    "p_value_method_words",
    "paired_answer",
    "paired_figure_words",
    "paired_notes",
    "reason_left_out",
    "signed_words",
    "unused_words",
]

CANARY_TITLE = "The sum over documents, and what other draws would have given"
PAIRED_TITLE = "The sum over documents, and what other signs would have given"
CONTROL_TITLE = "Published less control, and what other splits would have given"
NOT_ABSENCE = "A large p-value does not show that the model was not trained on them."
REASONS = {
    UnusedBecause.NO_SCORE: "a text has no score, for example because it is too short",
    UnusedBecause.SAME_TOKENS: "the target's tokenizer makes the same tokens of two variants",
}
MOST_NAMED = 3
"""Documents that a sentence names; of more it gives the number, and the details name all."""


def canary_answer(result: CanaryResult) -> Answer:
    """The answer of a test of canaries: whether the model prefers the variants that the draw made public."""
    test, model = result.test, short_name(target_pass(result.passes).model.id)
    documents = counted(len(result.rows), "document")
    significant = result.corrected_p <= FINDING_LEVEL
    headline = (
        f"The model prefers the published variants ({p_words(result.corrected_p)}): this is consistent with training "
        "on them."
        if significant
        else f"No finding: the model prefers the published variants no more than chance may ("
        f"{p_words(result.corrected_p)})."
    )
    rate = (
        f"If the draw had no effect on the model, this has a probability of at most {result.corrected_p:.2g}."
        if significant
        else NOT_ABSENCE
    )
    return _answer(
        f"Was {model} trained on the published variants of {_these(documents, len(result.rows))}?",
        Outcome.FINDING if significant else Outcome.NO_FINDING,
        headline,
        rate,
        [
            ("effect", f"{signed_words(test.effect, 'spreads')} from sealed to public variants"),
            ("tests", _tests_words(result)),
            ("p-value", f"of all documents together, by {result.attack}; no single document has one"),
            ("draws", p_value_method_words(result)),
            *([("left out", unused_words(result.unused, "document"))] if result.unused else []),
        ],
        ["It assumes only that the choice was random; it assumes nothing about the texts.", choice_words(result)],
        len(canary_notes(result)),
        "" if significant else "more documents, or variants that appear more often",
    )


def canary_notes(result: CanaryResult) -> list[str]:
    """What a reader of the details ought to know, a sentence each."""
    notes = [
        "The table claims nothing about a single document: of each, its public variant has rank 1 by chance with "
        "probability 1 ÷ variants.",
        "Each different test of these canaries counts. Tests after this one make its correction larger.",
    ]
    alike = len(result.rows) - result.test.documents
    if alike:
        notes.append(f"In {counted(alike, 'document')} all variants have the same score, so they change nothing.")
    return notes


def paired_answer(result: PairedResult) -> Answer:
    """The answer of a test of pairs: whether the target prefers published texts by more than control or placebo."""
    model, control = short_name(target_pass(result.passes).model.id), result.control
    significant = result.test.p_value <= FINDING_LEVEL
    pairs = f"{counted(result.pairs, 'pair')} of {counted(len(result.rows), 'document')}"
    unused = [unused_words(result.unused, "pair")] if result.unused else []
    unused += [unused_words(control.unused, "control pair")] if control is not None and control.unused else []
    headline, rest, facts, trust, change = (
        _by_placebo(result, significant) if control is None else _by_control(result, control, significant)
    )
    return _answer(
        f"Was {model} trained on the published texts of {_these(pairs, len(result.rows))}?",
        Outcome.DOUBTFUL if significant else Outcome.NO_FINDING,
        headline,
        rest if significant else NOT_ABSENCE,
        [*facts, *([("left out", "; ".join(unused))] if unused else [])],
        [trust],
        len(paired_notes(result)),
        "" if significant else change,
    )


Basis = tuple[str, str, list[tuple[str, str]], str, str]
"""Headline, what it rests on, facts, what is assumed, and what would change it."""


def _by_placebo(result: PairedResult, significant: bool) -> Basis:
    test = result.test
    headline = (
        f"The model prefers the published texts by more than the placebo does ({p_words(test.p_value)}): this is "
        "consistent with training on them."
        if significant
        else f"No finding: the model prefers the published texts by no more than the placebo and chance may give "
        f"({p_words(test.p_value)})."
    )
    facts = [
        ("effect", f"document {signed_words(test.effect, f'nats per {result.per}', 3)}, less placebo"),
        ("target", f"prefers them by {signed_words(result.prefers, 'nats per token', 3)}"),
        *(
            (
                "placebo",
                f"prefers them by {signed_words(each.prefers, 'nats per token', 3)}; {p_words(each.test.p_value)}",
            )
            for each in result.placebos
        ),
        ("p-value", "of all documents together; no single document or pair has one"),
    ]
    return (
        headline,
        "The finding rests on the placebo: that it prefers published style exactly as the target would without "
        "training.",
        facts,
        "No draw chose what was published: it is assumed that without training the difference to the placebo, "
        f"{short_name(result.placebos[0].model)}, is as often above zero as below.",
        "more documents, or a placebo more like the target",
    )


def _by_control(result: PairedResult, control: ControlTest, significant: bool) -> Basis:
    effect = signed_words(control.test.effect, f"nats per {result.per}", 3)
    preferences = [signed_words(each.prefers, "nats per token", 3) for each in (result, control)]
    p_value = control.test.p_value
    return (
        control_headline(p_value, significant),
        control_error_rate(p_value),
        control_facts(control, effect, preferences),
        control_trust(),
        control_change(control),
    )


def paired_notes(result: PairedResult) -> list[str]:
    """What a reader of the details ought to know, a sentence each."""
    if result.control is not None:
        return control_notes(result, result.control)
    notes = [
        "Figures are preferences for the published text: of a pair, and summed over the pairs of a document.",
        "An edit by a rule, the same in all texts, may move two models to different degrees. More documents do not "
        "average that out: check the placebo on texts that were edited alike, and that nobody published.",
        "Documents are the evidence, and their pairs are summed: a document with many pairs weighs more.",
        "A placebo that was trained on the published texts hides training; a placebo of another kind or size may show "
        "a difference without it.",
    ]
    if len(result.placebos) > 1:
        names = " and ".join(each.model for each in result.placebos)
        notes.append(
            f"The placebos are, in this order, {names}. The larger p-value is the result, so it holds where either of "
            "them is right."
        )
    return notes


def canary_figure_words(result: CanaryResult) -> str:
    """What the figure shows."""
    return (
        f"The sum over {counted(len(result.rows), 'document')} of the difference between the public variant and the "
        f"sealed ones is {result.test.statistic:.1f}. Bars: the same sum for {sum(result.null.counts):,} other draws."
    )


def paired_figure_words(result: PairedResult, flips: int) -> str:
    """What the figure shows, of which *flips* choices of signs, or splits, were drawn."""
    if result.control is not None:
        return control_figure_words(result.control, len(result.rows), result.per, flips)
    return (
        f"The sum over {counted(len(result.rows), 'document')} of the model's preference for the published texts, less "
        f"that of the placebo, is {result.test.statistic:.3f} nats per {result.per}. Bars: the same sum for {flips:,} "
        "random choices of the signs of the documents."
    )


def reason_left_out(unused: UnusedText) -> str:
    """Why a document or a pair takes no part."""
    return REASONS[unused.because]


def unused_words(unused: Sequence[UnusedText], unit: str) -> str:
    """Which documents or pairs take no part, and why.

    >>> unused_words([UnusedText("a", UnusedBecause.NO_SCORE)], "pair")
    '1 pair (a): a text has no score, for example because it is too short'
    """
    sentences = []
    for reason, number in Counter(each.because for each in unused).items():
        names = [each.id for each in unused if each.because is reason]
        named = ", ".join(names[:MOST_NAMED]) + (", …" if number > MOST_NAMED else "")
        sentences.append(f"{counted(number, unit)} ({named}): {REASONS[reason]}")
    return "; ".join(sentences)


def _answer(
    question: str,
    outcome: Outcome,
    headline: str,
    error_rate: str,
    facts: Sequence[tuple[str, str]],
    trust: Sequence[str],
    caveats: int,
    change: str,
) -> Answer:
    return Answer(
        question,
        outcome,
        unbroken(headline),
        unbroken(error_rate),
        tuple((name, unbroken(sentence)) for name, sentence in facts),
        tuple(map(unbroken, trust)),
        caveats,
        unbroken(change),
    )


def _these(things: str, number: int) -> str:
    return f"this {things.removeprefix('1 ')}" if number == 1 and things == "1 document" else f"these {things}"


def _tests_words(result: CanaryResult) -> str:
    if result.tests == 1:
        return "this is the first of these canaries, so p needs no correction"
    return (
        f"{result.tests} different tests of these canaries so far; the p-value above is corrected for all of them "
        f"({result.correction}); alone {p_words(result.test.p_value)}"
    )


def p_value_method_words(result: CanaryResult) -> str:
    """How the p-value was computed."""
    test = result.test
    if test.exact:
        return f"compared with all {test.choices:,} possible draws; the p-value is exact"
    return f"compared with {test.choices:,} random draws; the p-value (1 + b) ÷ (1 + B) is valid"


def choice_words(result: CanaryResult) -> str:
    """What fixed the choice of the public variants, in a sentence."""
    if not result.beacon:
        return "The choice rests on the secret alone: whoever has it could have tried several before sealing."
    if not result.beacon_source:
        return (
            f"The public value {result.beacon:.40} was known before sealing: whoever has the secret could have tried "
            "several."
        )
    return f"The secret and {result.beacon:.40} fix the choice: check it by 'llm-mia canary verify'."


def signed_words(figure: Interval, unit: str, digits: int = 2) -> str:
    """A figure with its sign and its *unit*, and its interval where it has one."""
    value, *ends = (f"{each:+.{digits}f}".replace("-", "−") for each in (figure.value, figure.low, figure.high))
    named = f"{value} {unit}".rstrip()
    return f"{named} (95 %: {ends[0]} to {ends[1]})" if math.isfinite(figure.low) else named
