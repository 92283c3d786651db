"""An audit whose threshold shadow models set → what its error rate assumes, and how it was tested."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...auditing import Likeness, ShadowCheck
from ...decision import Finding, Flags, NoteKind, ShadowRate
from ...records import Interval
from ...validity import Verdict
from ._comparisons import p_words
from ._counting import counted

__all__ = [
    "HEADER",
    "SHADOW_ASSUMPTION",
    "SHADOW_WORDS",
    "by_shadows",
    "gap_words",
    "likeness_words",
    "name_sets",
    "needed_words",
    "rates_words",
    "recognised_words",
    "shadow_facts",
    "shadow_rows",
    "spread_words",
]

SHADOW_ASSUMPTION = (
    "the target was trained as the shadow models were: from the same base, by the same recipe, on a random part of "
    "like texts, and if candidates that are not in the pool resemble the pool; checks can refute these assumptions, "
    "but never confirm them"
)
KNOWN = re.compile(r"(?P<count>\d )?(?:\bthe )?\bknown (?P<set>non-members|members)")
HEADER = ("Shadow", "Not trained on", "of these flagged", "Trained on", "of these flagged")
"""Columns of `shadow_rows`."""


def by_shadows(flags: Flags) -> bool:
    """Whether shadow models set the threshold of *flags*."""
    return flags.calibration.by_shadows


def name_sets(text: str, *, shadows: bool) -> str:
    """The *text*, in which members and non-members are the shadow models' where *shadows* set the threshold.

    >>> name_sets("14 of the known non-members, as known members are", shadows=True)
    "14 of the shadow models' non-members, as the shadow models' members are"
    >>> name_sets("Above it lie 90 of 200 known members", shadows=True)
    'Above it lie 90 of 200 members of the shadow models'
    """
    return KNOWN.sub(_of_shadows, text) if shadows else text


def _of_shadows(known: re.Match[str]) -> str:
    counted, named = known["count"], known["set"]
    return f"{counted}{named} of the shadow models" if counted else f"the shadow models' {named}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _of_further_model(figure: Interval) -> str:
    """The interval for a further model; empty where the shadow models do not differ, which shows no spread."""
    if figure.low == figure.high:
        return ""
    return f"; for a further model like them {100 * figure.low:.1f}–{100 * figure.high:.1f} % with 95 % confidence"


def _each(shares: Sequence[float]) -> str:
    """The smallest and the largest share of a model.

    >>> _each([0.024, 0.082, 0.05]), _each([1.0, 1.0])
    ('by model 2.4–8.2 %', 'each 100 %')
    """
    low, high = _percent(min(shares)), _percent(max(shares))
    return f"each {low}" if low == high else f"by model {low.removesuffix(' %')}–{high}"


def rates_words(check: ShadowCheck) -> str:
    """How often the left-out shadows were flagged on what they were not trained on."""
    return (
        f"{len(check.rates)} models left out in turn: on average {_percent(check.fpr.value)} of what they never saw is "
        f"flagged ({_each(check.range)})"
    )


def recognised_words(check: ShadowCheck) -> str:
    """The share of a left-out shadow's members that is flagged."""
    if check.tpr is None:
        return "unknown, because no shadow model was trained on a passage that sets the threshold"
    shares = [each.tpr for each in check.rates if each.tpr is not None]
    if min(shares) == max(shares):
        return f"{_percent(shares[0])} of what each left-out shadow was trained on"
    return f"on average {_percent(check.tpr.value)} of what a left-out shadow was trained on ({_each(shares)})"


def spread_words(finding: Finding) -> str | None:
    """Whether a further model like the shadows would have as many flags; None where no shadow set the threshold."""
    spread = finding.shadows
    if spread is None:
        return None
    flagged = f"{spread.flagged:,} of {spread.candidates:,} candidates above the threshold"
    rates = [each.fpr for each in spread.shadows]
    return (
        f"{flagged}; of the passages that a shadow model was not trained on, {_percent(min(rates))} to "
        f"{_percent(max(rates))} are; a further model like them has so large a share by chance with "
        f"{p_words(spread.p_value)} (Student's t, {len(rates) - 1} degrees of freedom)"
    )


def gap_words(each: Likeness) -> str:
    """How far the target is from the shadow models, and from where on an audit is void."""
    return f"by {each.target:+.3f} nats per token of log-likelihood (void from {each.void_limit:+.3f})"


def needed_words(check: ShadowCheck) -> str:
    """How many shadow models would refuse a target that is doubtful, as a sentence; empty where that is unknown."""
    worst = check.gravest
    if worst is None or worst.shadows_needed is None:
        return ""
    return (
        f"With {worst.shadows_needed} shadow models that differ as these {len(worst.shadows)} do, so large a "
        "difference would withhold the answer."
    )


def likeness_words(each: Likeness) -> str:
    """The target beside the shadows on the same passages, as a sentence without its end."""
    of_which = "the shadow models that were trained on the same passages"
    of_which = of_which if each.compared == "members" else "all shadow models"
    beyond = "above" if each.compared == "members" else "below"
    shown = f"{beyond} the limit, so it was trained otherwise" if each.unlike else f"not {beyond} the limit"
    if each.verdict is Verdict.VOID:
        shown = f"{beyond} the limit from which it is void, so their threshold does not hold for it"
    return (
        f"the target's mean log-likelihood of {counted(each.passages, 'passage')} differs by {each.target:+.3f} nats "
        f"per token from that of {of_which}; these differ from each other by "
        f"{min(each.shadows):+.3f} to {max(each.shadows):+.3f}, and the limit is {each.limit:+.3f} (from "
        f"{each.void_limit:+.3f} on the audit is void): {shown}"
    )


def shadow_facts(check: ShadowCheck) -> list[tuple[str, str]]:
    """What the details show of a check by shadows: a name and a sentence each."""
    of = "the candidates' texts" if check.same_texts else "all passages of the pool, which are other texts"
    base = {
        True: "the target was trained from the same base",
        None: "no record shows whether the target was trained from the same base",
        False: "the target was trained from another base",
    }[check.same_base]
    facts = [
        ("threshold by", f"{len(check.rates)} shadow models in the target's place, on {of}; {base}"),
        ("wrongly", f"{rates_words(check)}{_of_further_model(check.fpr)}"),
        (
            "finds",
            recognised_words(check) + ("" if check.tpr is None else _of_further_model(check.tpr)),
        ),
    ]
    return [*facts, *(("likeness", likeness_words(each)) for each in check.likeness)]


def shadow_rows(rates: Sequence[ShadowRate]) -> list[tuple[str, str, str, str, str]]:
    """A row for each shadow in the target's place, under `HEADER`."""
    return [
        (
            each.role,
            f"{each.nonmembers:,}",
            _percent(each.fpr),
            f"{each.members:,}",
            "—" if each.tpr is None else _percent(each.tpr),
        )
        for each in rates
    ]


def _shadows_note(figures: Mapping[str, Any]) -> str:
    models = f"{figures['shadows']} shadow models set the threshold, without known non-members"
    if figures["classifier"]:
        models += "; the stack is the shadow classifier, learned from their members and non-members alone"
    if figures["same_texts"]:
        return f"{models}: all candidates are passages of their pool, so the same texts set the threshold"
    return (
        f"{models}: some candidates are not passages of their pool, so the scores of the whole pool set the threshold, "
        "and attacks use only shadow models that were not trained on a passage (form=offline)"
    )


SHADOW_WORDS: Mapping[NoteKind, Callable[[Mapping[str, Any]], str]] = {
    NoteKind.SHADOWS: _shadows_note,
    NoteKind.SHADOW_ASSUMPTION: lambda _: f"The error rate holds on average over models if {SHADOW_ASSUMPTION}.",
}
"""The sentence of each kind of note, from its figures."""
