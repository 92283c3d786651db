"""The power of canaries that are planned, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...canary import CanaryPlan, PilotTexts
from ...durations import duration
from ...records import Interval
from ._answering import short_name
from ._counting import counted, unbroken

__all__ = [
    "PLAN_RESERVE",
    "PLAN_TITLE",
    "plan_advice",
    "plan_figure_words",
    "plan_headline",
    "plan_measured",
    "plan_notes",
    "power_words",
    "seen_words",
]

PLAN_TITLE = "The power of a test, by the number of documents"
PLAN_RESERVE = "A plan, not a promise: among far more texts, a model remembers less of each."
SATURATED = 2 / 3
TEXTS = {
    PilotTexts.PACKAGE: "passages of Python's language reference",
    PilotTexts.TEXTS: "your texts",
    PilotTexts.CANARIES: "the variants of your canaries",
}


def plan_headline(plan: CanaryPlan) -> str:
    """The power of the design, in a sentence."""
    design = plan.design
    size = f"{counted(design.documents, 'document')} × {counted(design.variants, 'variant')}"
    return unbroken(
        f"{size}, seen {seen_words(design.repeats)}: power {power_words(plan.power, ' %')} at p ≤ {design.level:g}"
    )


def plan_advice(plan: CanaryPlan) -> str:
    """Whether the design has the wanted power, and how many documents have it."""
    goal, needed = f"{100 * plan.design.goal:g} %", plan.needed
    if plan.surely_enough:
        return unbroken(f"For a model trained as the pilots were, {_documents(needed)} would do for a power of {goal}.")
    if plan.enough:
        there = "no number of documents reaches it" if math.isinf(needed.high) else f"{_rounded(needed.high)} would do"
        return unbroken(
            f"Enough for {goal} at the measured effect ({_documents(needed)} would do); not at the low end of its "
            f"interval, where {there}."
        )
    if plan.any_number:
        return unbroken(f"Not enough: {_documents(needed)} would do for a power of {goal}.")
    return unbroken(
        f"Not enough: at the measured effect no number of documents reaches {goal}; let a model see the variants more "
        "often, or measure with more `pilot_documents`."
    )


def plan_measured(plan: CanaryPlan) -> str:
    """On which models and texts the effect was measured."""
    settings = plan.settings
    each = next(each.documents for each in plan.effects if each.repeats == plan.design.repeats)
    return unbroken(
        f"Measured by {counted(plan.pilots, 'training')} of {short_name(settings.model)} on {each} documents a row "
        f"({settings.kind}; {TEXTS[settings.texts]}); canaries were {100 * plan.published_share:.0f} % of the "
        f"{counted(plan.trained, 'text')} of a training."
    )


def plan_notes(plan: CanaryPlan) -> list[str]:
    """What a reader of the details ought to know, a sentence each."""
    return [*map(unbroken, _notes(plan))]


def _notes(plan: CanaryPlan) -> Iterator[str]:
    alone, recipe = plan.without_reference.power, plan.settings.recipe
    yield (
        "The effect is the score of the public variant less the mean of the sealed ones, in standard deviations of the "
        "scores of all variants of a document."
    )
    yield (
        f"The power is that by reference, with the model before its training as the reference model. Without a "
        f"reference model, by loss, the power of this design is {power_words(alone, ' %')}."
    )
    yield (
        "Intervals (95 %, Student) are over further trainings like these, on further documents like these. They do not "
        "cover how another model, another corpus or a later training differs."
    )
    if _nearly_saturated(plan):
        yield (
            "The pilots remember the variants nearly as well as this test can show, so they say little about a model "
            "that remembers less: measure again with a lower `learning_rate`, or more `others`."
        )
    epochs = "once" if recipe.epochs == 1 else f"{recipe.epochs} times"
    yield (
        f"Each training read its texts {epochs} (method {recipe.method}, learning rate {recipe.rate:g}, "
        f"{recipe.batch_size} texts in a step); all trainings took {duration(plan.seconds)} with their passes."
    )
    if plan.cut:
        yield (
            f"{counted(plan.cut, 'text')} of the trainings were longer than the context of the model, and were cut "
            "there: an addition behind the cut was not learned."
        )
    if plan.unused:
        yield (
            f"{counted(plan.unused, 'document')} of the pilots had a variant without a score, for example because "
            "it is too short, and took no part."
        )
    for note in plan.notes:
        yield f"{note[0].upper()}{note[1:].rstrip('.')}."


def _nearly_saturated(plan: CanaryPlan) -> bool:
    """Whether the effect of the design is above two thirds of the largest, that of scores which only its draw moves."""
    variants = plan.design.variants
    largest = variants / math.sqrt(variants - 1)
    asked = next(each for each in plan.effects if each.repeats == plan.design.repeats)
    return asked.effect.value > SATURATED * largest


def plan_figure_words(plan: CanaryPlan) -> str:
    """What the figure shows."""
    seen = [seen_words(number) for number in plan.settings.repeats]
    return (
        f"Lines: the probability that a test has p ≤ {plan.design.level:g}, where a model saw each public variant "
        f"{', '.join(seen[:-1])} or {seen[-1]}. Bands: 95 % intervals. {plan_headline(plan)}."
    )


def seen_words(repeats: int) -> str:
    """How often a public variant was seen.

    >>> seen_words(1), seen_words(2), seen_words(8)
    ('once', 'twice', '8 times')
    """
    return {1: "once", 2: "twice"}.get(repeats, f"{repeats:,} times")


def power_words(power: Interval, unit: str = "") -> str:
    """A power in percent with its interval, which is never narrower than the figures.

    >>> power_words(Interval(0.917, 0.804, 0.981), " %"), power_words(Interval(0.9999, 0.998, 1.0))
    ('92 % [80, 99]', '>99 [99, 100]')
    """
    low, high = math.floor(100 * power.low + 1e-9), math.ceil(100 * power.high - 1e-9)
    value = ">99" if power.value >= 0.995 else "<1" if power.value < 0.005 else f"{100 * power.value:.0f}"
    return f"{value}{unit} [{low}, {high}]"


def _documents(needed: Interval) -> str:
    """A number of documents with its interval."""
    high = "any" if math.isinf(needed.high) else _rounded(needed.high)
    low = _rounded(needed.low)
    between = f"more than {low}" if math.isinf(needed.high) else f"{low} to {high}"
    return f"{_rounded(needed.value)} documents [{between}]"


def _rounded(number: float) -> str:
    """A number of documents, rounded up to two digits that are not 0.

    >>> _rounded(7.0), _rounded(213.0), _rounded(1234.0)
    ('7', '220', '1,300')
    """
    scale = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return f"{math.ceil(number / scale) * scale:,}"
