"""What a page and an exhibit show of tests of published texts: of canaries, and of published and withheld versions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...canary import CanaryResult, ControlTest, PairedDocument, PairedResult
from ...records import PassRecord, target_pass
from ._answer import Answer
from ._canary import (
    canary_answer,
    canary_notes,
    choice_words,
    p_value_method_words,
    paired_answer,
    paired_notes,
    reason_left_out,
    signed_words,
)
from ._comparisons import p_words
from ._controlled import CONTROL_ASSUMED, CONTROL_OVERTURN, control_numbers
from ._counting import counted, unbroken
from .method import model_rows

__all__ = [
    "ANSWER",
    "REDACTED",
    "SUBTITLE",
    "PublishedTest",
    "canary_shown",
    "contents_of",
    "paired_shown",
    "title_words",
]

Rows = Sequence[tuple[str, str]]
ANSWER = ("answer", "Answer")
"""Anchor and name of the first section."""
SUBTITLE = "test of published texts"
REDACTED = "This page names no document, on request (redacted)."
NOT_SHOWN = (
    "A large p-value does not show absence: the model may have read the texts and kept nothing of them.",
    "Consistent with training on the published texts means: by this model, by the model that it was made from, or on "
    "texts that copy them. The scores do not show which.",
    "No single document has a p-value: some differences are large by chance.",
)
SAME_COMMANDS = "A different result of the same commands on the same files and models."
PLACEBO_ASSUMED = (
    "That without training the difference of a document is as likely to lie above zero by an amount as to lie below "
    "zero by the same amount.",
    "No random choice ensures this. It rests on the placebo: a model that was trained on neither version, and prefers "
    "the style of the published texts exactly as much as the model in question would without training. No figure here "
    "can show that it does.",
)
PLACEBO_OVERTURN = (
    "A model that was trained on neither version and prefers the published texts as the model in question does: the "
    "placebo would then not have been the right one.",
    "Proof that the placebo was trained on the withheld versions: it would prefer those, and the difference would "
    "not come from training of the model in question.",
)


@dataclass(frozen=True, slots=True)
class PublishedTest:
    """A test as a page and an exhibit show it; plain text without markup."""

    name: str
    """``canary`` or ``paired``: the anchor of its section, and the stem of its table."""
    title: str
    short: str
    answer: Answer
    numbers: Rows
    """Every figure by name, the p-value first."""
    assumed: Sequence[str]
    """What the p-value rests on, a sentence each."""
    columns: Sequence[str]
    documents: Sequence[Sequence[str]]
    """A row for each document as a page shows it; the first cell is its name."""
    figures: Sequence[Sequence[str | int | float]]
    """The same rows with numbers in full."""
    unused: Rows
    """Documents, or pairs, that take no part, and why."""
    overturn: Sequence[str]
    """What would show that the answer is wrong, a sentence each."""
    not_shown: Sequence[str]
    notes: Sequence[str]
    record: Rows
    """What identifies the test, with digests."""
    checks: Rows
    """What a reader can check, and the command."""
    handed_over: str
    """What the other side needs for that."""
    models: Sequence[Rows]


def canary_shown(result: CanaryResult) -> PublishedTest:
    """A test of canaries."""
    test, attack = result.test, shlex.quote(result.attack)
    numbers = [
        ("p-value, corrected for all tests", p_words(result.corrected_p)),
        ("p-value of this test alone", p_words(test.p_value)),
        ("Tests of these canaries so far", f"{result.tests:,}; the correction is that of {result.correction}"),
        ("How it was computed", f"{p_value_method_words(result)}."),
        ("Effect", f"{signed_words(test.effect, 'spreads')} from sealed to public variants, mean over documents"),
        ("Sum over documents", f"{test.statistic:.2f} spreads".replace("-", "−")),
        ("Documents", _tested(len(result.rows), "document", len(result.unused))),
        ("Attack", result.attack),
    ]
    assumed = [
        "Only that the choice was random: each variant of a document had the same probability of becoming public, and "
        "the choices did not depend on each other.",
        choice_words(result),
        "Nothing is assumed about the texts, the models or the attack. A poor attack, or a poor reference model, "
        "makes the test weak, and never invalid.",
    ]
    return PublishedTest(
        name="canary",
        title="Test of canaries",
        short="Canaries",
        answer=canary_answer(result),
        numbers=_unbroken(numbers),
        assumed=assumed,
        columns=("Document", "Variants", "Public variant", "Its rank", "Difference in spreads"),
        documents=[
            (row.id, f"{row.variants}", f"{row.public}", f"{row.rank}", _signed(row.difference, 2))
            for row in result.rows
        ],
        figures=[(row.id, row.variants, row.public, row.rank, row.difference) for row in result.rows],
        unused=[(each.id, reason_left_out(each)) for each in result.unused],
        overturn=(
            "Proof that the choice could be foreseen or influenced: that the root was published after the beacon was "
            "known, or that the beacon is not that of the announced source.",
            "Proof that sealed variants were not kept secret weakens the test, and does not explain a finding: a model "
            "that was trained on those, too, prefers the public variants less.",
            SAME_COMMANDS,
        ),
        not_shown=NOT_SHOWN,
        notes=canary_notes(result),
        record=[
            ("Root of all variants", result.root),
            ("Beacon", result.beacon or "none: the choice rests on the secret alone"),
            ("Announced source of the beacon", result.beacon_source or "none"),
            ("Kind of variants", str(result.kind)),
        ],
        checks=[
            ("Root, secret, sealed texts and choice agree", "llm-mia canary verify DIR --secret FILE"),
            (
                "The test again gives the same p-value",
                f"llm-mia canary test DIR --secret FILE {_models(result.passes)} -a {attack} -o OUT",
            ),
        ],
        handed_over=(
            "DIR is the folder of the canaries with manifest.json and sealed/variants.jsonl; FILE is the secret. "
            "Whoever sealed the variants hands both to an expert of the other side, who keeps them secret. That the "
            "root was published before the beacon was known, and that this is the beacon of the announced source, is "
            "to be compared with what was published: no file can show it."
        ),
        models=[model_rows(name, record) for name, record in result.passes.items()],
    )


def paired_shown(result: PairedResult) -> PublishedTest:
    """A test of published and withheld versions."""
    unit, control = f"nats per {result.per}", result.control
    numbers = _placebo_numbers(result, unit) if control is None else _control_numbers(result, control, unit)
    numbers += [
        ("Documents", _tested(len(result.rows), "document", 0)),
        ("Pairs", _tested(result.pairs, "pair", len(result.unused))),
    ]
    rows = _in_groups(result, control)
    unused = [*result.unused, *(control.unused if control is not None else ())]
    options = _models(result.passes) + ("" if control is None else " --unpublished CONTROL")
    return PublishedTest(
        name="paired",
        title="Test of published and withheld versions",
        short="Versions",
        answer=paired_answer(result),
        numbers=_unbroken(numbers),
        assumed=PLACEBO_ASSUMED if control is None else CONTROL_ASSUMED,
        columns=("Document", *(["Group"] if control is not None else []), "Pairs", f"Difference, {unit}"),
        documents=[(row.id, *group, f"{row.pairs}", _signed(row.difference, 4)) for row, group in rows],
        figures=[(row.id, *group, row.pairs, row.difference) for row, group in rows],
        unused=[(each.id, reason_left_out(each)) for each in unused],
        overturn=(*(PLACEBO_OVERTURN if control is None else CONTROL_OVERTURN), SAME_COMMANDS),
        not_shown=NOT_SHOWN,
        notes=paired_notes(result),
        record=[
            ("Attack", "loss: log-likelihood under the model")
            if control is not None and not control.role
            else ("Attack", "reference: log-likelihood under the model less that under the placebo")
        ],
        checks=[("The test again gives the same p-value", f"llm-mia paired PAIRS {options} -o OUT")],
        handed_over="PAIRS is the file of the published and the withheld versions"
        + ("" if control is None else ", and CONTROL that of the pairs of which neither version was published")
        + ("; the other side needs both." if control is not None else ", which the other side needs, too."),
        models=[model_rows(name, record) for name, record in result.passes.items()],
    )


def _placebo_numbers(result: PairedResult, unit: str) -> list[tuple[str, str]]:
    test = result.placebos[0].test
    exact = "all choices of signs" if test.exact else f"{test.flips:,} random choices of signs"
    valid = "exact" if test.exact else "(1 + b) ÷ (1 + B), which is valid"
    return [
        ("p-value", f"{p_words(test.p_value)}, the largest of {counted(len(result.placebos), 'placebo')}"),
        ("Number of tests", "1: it is not corrected, so pairs, model and placebo must be chosen before the test"),
        ("How it was computed", f"the sum is compared with {exact}; the p-value is {valid}."),
        ("Effect", f"{signed_words(test.effect, unit, 4)} less placebo, mean over documents"),
        ("The model prefers published texts by", signed_words(result.prefers, "nats per token", 4)),
        *(
            (
                f"The placebo {each.model} prefers them by",
                f"{signed_words(each.prefers, 'nats per token', 4)}; with it {p_words(each.test.p_value)}",
            )
            for each in result.placebos
        ),
    ]


def _control_numbers(result: PairedResult, control: ControlTest, unit: str) -> list[tuple[str, str]]:
    preferences = [signed_words(each.prefers, "nats per token", 4) for each in (result, control)]
    return control_numbers(control, signed_words(control.test.effect, unit, 4), preferences)


def _in_groups(result: PairedResult, control: ControlTest | None) -> list[tuple[PairedDocument, tuple[str, ...]]]:
    """All documents, each with the name of its group where there are two."""
    if control is None:
        return [(row, ()) for row in result.rows]
    groups = ((result.rows, "published"), (control.rows, "control"))
    return [(row, (name,)) for rows, name in groups for row in rows]


def contents_of(tests: Sequence[PublishedTest]) -> list[tuple[str, str]]:
    """Anchors and names of the sections of a page of *tests*."""
    return [ANSWER, *((each.name, each.short) for each in tests)]


def title_words(tests: Sequence[PublishedTest]) -> str:
    """The title of the page, short enough for the tab of a browser."""
    return f"{tests[0].short}: {tests[0].answer.outcome}" if len(tests) == 1 else "Tests of published texts"


def _models(passes: Mapping[str, PassRecord]) -> str:
    """The options that name the models of a test."""
    options = {"reference": "-r", "reference-2": "--placebo"}
    named = [f"-m {shlex.quote(target_pass(passes).model.id)}"]
    named += [f"{option} {shlex.quote(passes[role].model.id)}" for role, option in options.items() if role in passes]
    return " ".join(named)


def _tested(number: int, unit: str, unused: int) -> str:
    return f"{counted(number, unit)} tested" + (f", {unused:,} left out" if unused else ", none left out")


def _unbroken(rows: Rows) -> Rows:
    return [(name, unbroken(value)) for name, value in rows]


def _signed(number: float, digits: int) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")
