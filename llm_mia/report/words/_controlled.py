"""What a test of pairs with a control set shows, in sentences: the control set decides, and no placebo."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...canary import ControlTest, PairedResult
from ._comparisons import p_words
from ._counting import counted

__all__ = [
    "CONTROL_ASSUMED",
    "CONTROL_OVERTURN",
    "control_change",
    "control_error_rate",
    "control_facts",
    "control_figure_words",
    "control_headline",
    "control_notes",
    "control_numbers",
    "control_trust",
    "less_placebo",
]

CONTROL_ASSUMED = (
    "That the control pairs were edited as the published ones were: by the same editor, in texts of the same kind, "
    "period and length, so that each could as well have been among the published ones.",
    "No choice at random ensures this, and no figure here can show it. Nothing is assumed about how this or another "
    "model reacts to the edit: a poor placebo, or none, makes the test weak, and never invalid.",
)
CONTROL_OVERTURN = (
    "Proof that control texts differ from published ones in more than that they were not published: another editor, "
    "subject, period or length. Any model may then prefer one group.",
    "Proof that the model was trained on withheld versions of control pairs: it would prefer those. Training on edited "
    "versions of control pairs only weakens a finding.",
)
CONTROL_NOTES = (
    "Figures are preferences for the published text, or in control pairs for the text that was edited in the same way: "
    "of a pair, and the mean over the pairs of a document.",
    "The p-value compares published with control documents, so an edit that any model likes explains no finding, even "
    "where it follows a rule.",
    "Each document counts once, by the mean of its pairs. The mean of many pairs varies less than that of few, which "
    "no control set corrects: documents of both groups should have about as many pairs, and texts as long.",
)


def control_headline(p_value: float, significant: bool) -> str:
    """The finding of a test with a control set, or that there is none."""
    if significant:
        return (
            "The model prefers the published texts by more than texts that were edited alike and not published "
            f"({p_words(p_value)}): this is consistent with training on them."
        )
    return (
        "No finding: the model prefers the published texts by no more than unpublished texts that were edited alike "
        f"and chance may give ({p_words(p_value)})."
    )


def control_error_rate(p_value: float) -> str:
    """What the finding rests on, and how often it is wrong if that holds."""
    return (
        "If the control pairs were edited as the published ones were, chance gives this with a probability of at most "
        f"{p_value:.2g}."
    )


def less_placebo(control: ControlTest) -> str:
    """How a unit goes on where a placebo is taken off."""
    return ", less placebo" if control.role else ""


def control_facts(control: ControlTest, effect: str, preferences: Sequence[str]) -> list[tuple[str, str]]:
    """The facts of a screen, of which *effect* and the two *preferences* are figures in words."""
    published, unpublished = preferences
    return [
        ("effect", f"{effect}, from control to published{less_placebo(control)}"),
        ("published", f"preferred by {published}"),
        ("control", f"preferred by {unpublished}; {_group(control.pairs, len(control.rows))}"),
        ("p-value", f"of all documents together; {computed_words(control)}"),
    ]


def control_trust() -> str:
    """What a screen says that the answer rests on."""
    return (
        "No draw chose what was published: it is assumed that the control documents could as well have been among the "
        "published ones."
    )


def control_change(control: ControlTest) -> str:
    """What might give a finding."""
    return "more documents" if control.role else "more documents, or a placebo, which adds power"


def computed_words(control: ControlTest) -> str:
    """How the p-value was computed."""
    test = control.test
    if test.exact:
        return f"compared with all {test.splits:,} splits, exact"
    return f"compared with {test.splits:,} random splits, valid"


def control_notes(result: PairedResult, control: ControlTest) -> list[str]:
    """What a reader of the details ought to know, a sentence each."""
    each = [sum(row.pairs for row in rows) / len(rows) for rows in (result.rows, control.rows)]
    notes = [*CONTROL_NOTES]
    if not math.isclose(*each, rel_tol=0.2):
        notes.append(
            f"Published documents have {each[0]:.1f} pairs on average, and control documents {each[1]:.1f}: the "
            "p-value holds approximately at best."
        )
    if control.role:
        notes.append(
            f"The placebo, {control.model}, is taken off in both groups. It adds power where it reacts to the edit as "
            "the model does; the p-value holds whatever it does."
        )
    return notes


def control_numbers(control: ControlTest, effect: str, preferences: Sequence[str]) -> list[tuple[str, str]]:
    """The rows of a page, the p-value first."""
    test, (published, unpublished) = control.test, preferences
    how = "the p-value is exact" if test.exact else "the p-value (1 + b) ÷ (1 + B) is valid"
    splits = f"all {test.splits:,}" if test.exact else f"{test.splits:,} random"
    placebo = f"{control.model}, in both groups" if control.role else "none, which a control set does not need"
    return [
        ("p-value", f"{p_words(test.p_value)}, by the control set"),
        ("Number of tests", "1: it is not corrected, so pairs, models and control set must have been chosen before"),
        ("How it was computed", f"compared with {splits} splits of the documents into published and control; {how}."),
        ("Effect", f"{effect} from control to published documents, difference of means{less_placebo(control)}"),
        ("The model prefers published texts by", published),
        ("It prefers edited texts of control pairs by", unpublished),
        ("Placebo that is taken off", placebo),
        ("Control set", _group(control.pairs, len(control.rows))),
    ]


def control_figure_words(control: ControlTest, documents: int, per: str, splits: int) -> str:
    """What the figure shows, of which *splits* were drawn."""
    return (
        f"The model prefers the published versions of {counted(documents, 'document')} by "
        f"{control.test.statistic:.3f} nats per {per} more than the edited versions of "
        f"{counted(len(control.rows), 'control document')}{less_placebo(control)}. Bars: the same difference for "
        f"{splits:,} random splits of all documents into groups of these sizes."
    )


def _group(pairs: int, documents: int) -> str:
    return f"{counted(pairs, 'pair')} of {counted(documents, 'document')}"
