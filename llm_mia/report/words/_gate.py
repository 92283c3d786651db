"""The verdict of a gate on a release, in words: each limit, what it answers, and what leaked most."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from ...gate import GateResult, GateRow, LeakedDocument, LeakedPassage, Obstacle, Quantity, RowVerdict
from ...records import Note, Standing
from ._answer import Answer, Outcome
from ._answer_facts import checks_words
from ._answering import short_name
from ._counting import counted, held_with
from ._validity import standing_sentence, why_withheld

__all__ = [
    "ANSWERS",
    "gate_answer",
    "gate_basis",
    "gate_error_rate",
    "leaked_names",
    "limit_words",
    "measured_words",
    "obstacle_words",
    "row_words",
    "verdict_words",
]

AISVS_1, AISVS_2, AISVS_3 = (f"OWASP AISVS 11.3.{number}" for number in (1, 2, 3))
EDPB = "EDPB Opinion 28/2024"
ANSWERS: Mapping[Quantity, tuple[str, str]] = {
    Quantity.GAP: (
        AISVS_1,
        "asks that outputs are calibrated, by temperature or by noise, against the overconfidence on which membership "
        "inference feeds; the gap measures that overconfidence, and not whether the outputs were calibrated",
    ),
    Quantity.AUROC: (AISVS_3, "asks that simulated attacks are not meaningfully better than guessing"),
    Quantity.TPR: (AISVS_3, "asks the same; a few members may be recognised although most are not"),
    Quantity.EPSILON_DOCUMENTED: (AISVS_2, "asks for differentially private training with a documented ε"),
    Quantity.EPSILON_SHOWN: (AISVS_2, "asks for a documented ε; an attack may show that it cannot be so small"),
    Quantity.EXTRACTABLE: (
        EDPB,
        "calls a model anonymous only if the likelihood of direct extraction of personal data, probabilistic "
        "extraction included, is insignificant",
    ),
}
"""By quantity: the requirement that a limit answers, and what that requirement asks for."""
NAMES = {
    Quantity.GAP: "gap",
    Quantity.AUROC: "AUROC",
    Quantity.EPSILON_DOCUMENTED: "documented ε",
    Quantity.EPSILON_SHOWN: "shown ε",
    Quantity.EXTRACTABLE: "extractable",
}
CLASSES = {"members": "members", "nonmembers": "non-members"}
NAMED = 3
"""Passages, or documents, that a screen names."""
PLACE = re.compile(r"(.+) ((?:line|row) \d+)")
"""A place in an input: the file, and where in it."""


def gate_answer(result: GateResult) -> Answer:
    """The verdict with its reason first, a fact for each limit that was judged, and what leaked most."""
    judged = [row for row in result.rows if row.verdict is not RowVerdict.NOT_APPLICABLE]
    judged.sort(key=lambda row: row.verdict is not RowVerdict.FAILED)
    by_default = not any(row.given for row in result.rows)
    facts = [(f"{_name(row)} ≤ {_limit(row)}", _fact(row, all_by_default=by_default)) for row in judged]
    if leaked := _leaked(result):
        facts.insert(len(result.failed) or len(facts), ("leaked most", leaked))
    others = [row for row in result.rows if row.verdict is RowVerdict.NOT_APPLICABLE]
    if others:
        facts.append(("not applicable", ", ".join(map(_not_applicable, others))))
    model = short_name(result.passes["target"].model.id) if "target" in result.passes else "the model"
    limits = "default limits" if by_default else "limits"
    stronger = " A pass does not show that no stronger attack exists." if result.passed else ""
    doubts = f" {checks_words(result.validity)}" if result.standing is Standing.DOUBTFUL else ""
    return Answer(
        question=f"Does {model} leak more of its training data than the {limits} allow?",
        outcome=Outcome.PASSED if result.passed else Outcome.FAILED,
        headline=_headline(result),
        error_rate="" if result.withheld else gate_error_rate(result),
        facts=tuple(facts),
        trust=(f"{standing_sentence(result.standing)}.{doubts}{stronger}",),
        caveats=len(result.notes),
        change=(
            "members and non-members that differ by nothing but the training: a random sample of each"
            if result.withheld
            else ""
        ),
    )


def _fact(row: GateRow, *, all_by_default: bool) -> str:
    """A limit that was judged, on a line of a screen; where all limits are the defaults, the question says so."""
    default = "" if row.given or all_by_default else " · default limit"
    return f"{verdict_words(row)}: {measured_words(row)}{default} · {_short_source(row)}"


def gate_error_rate(result: GateResult) -> str:
    """How often the verdict is wrong, in a sentence."""
    if result.strict:
        return "Strict: a model that exceeds a judged limit passes with probability at most 5 %."
    return "A model that keeps every limit fails with probability at most 5 %."


def _headline(result: GateResult) -> str:
    if result.withheld:
        why = why_withheld(result.standing, result.validity).replace("no finding may rest on it", "it decides nothing")
        return f"The gate fails: {why}."
    judged = sum(row.verdict is not RowVerdict.NOT_APPLICABLE for row in result.rows)
    of = f"{judged} of {counted(len(result.rows), 'limit')} judged"
    if not result.failed:
        how = "and no interval reaches beyond its limit" if result.strict else "and none is exceeded"
        return f"The gate passes: {of}, {how}."
    return f"The gate fails: {'; '.join(_exceeds(row, result.strict) for row in result.failed)} ({of})."


def _exceeds(row: GateRow, strict: bool) -> str:
    """Why a limit failed."""
    if row.interval is None:
        return f"{_name(row)} {_figure(row, row.value)} is above {_limit(row)}"
    if strict and row.value is not None and row.value <= row.limit:
        return f"{_name(row)} may be {_figure(row, row.interval.high)}, above {_limit(row)}"
    return f"{_name(row)} {_figure(row, row.value)} is above {_limit(row)}"


def gate_basis(result: GateResult) -> str:
    """Which attack was measured and on what, and how wide the intervals are, in a sentence."""
    if result.fit_documents:
        attacks, half = counted(len(result.aurocs), "attack"), counted(result.fit_documents, "document")
        how = f"is the strongest of {attacks} on {half}, and measured on the others"
    else:
        how = "was fixed beforehand, and all documents are measured"
    return f"The attack {result.attack} {how}; each interval has {held_with(result.confidence)}"


def verdict_words(row: GateRow) -> str:
    """The verdict on a limit."""
    return row.verdict.value.replace("_", " ")


def limit_words(row: GateRow) -> str:
    """The limit with its name, and whether it is the default.

    >>> limit_words(GateRow(Quantity.TPR, 0.02, False, RowVerdict.PASSED, fpr=0.01))
    'TPR at FPR 1 % ≤ 2 % (default limit)'
    """
    return f"{_name(row)} ≤ {_limit(row)}{'' if row.given else ' (default limit)'}"


def row_words(row: GateRow) -> str:
    """What was measured, and the limit; or why a limit is not applicable."""
    if row.verdict is RowVerdict.NOT_APPLICABLE and row.obstacle is not None:
        return obstacle_words(row.obstacle)
    return f"{measured_words(row)}, limit {_limit(row)}"


def measured_words(row: GateRow) -> str:
    """The figure with its interval; empty where nothing was measured.

    >>> from llm_mia.records import Interval
    >>> shown = GateRow(Quantity.EPSILON_SHOWN, 2, True, RowVerdict.PASSED, 1.2, Interval(1.2, 1.2, math.inf), delta=0)
    >>> measured_words(shown)
    'at least 1.20 at δ = 0'
    """
    if row.value is None:
        return ""
    at = "" if row.delta is None else f" at δ = {row.delta:.2g}"
    if row.interval is None:
        return f"{_figure(row, row.value)}{at}"
    if math.isinf(row.interval.high):
        return f"at least {_figure(row, row.interval.low)}{at}"
    low, high = (_figure(row, end) for end in (row.interval.low, row.interval.high))
    if _is_share(row):
        return f"{_figure(row, row.value)} ({low.removesuffix(' %')}–{high})"
    between = "–" if row.interval.low >= 0 else " to "
    return f"{_figure(row, row.value)} ({low}{between}{high})"


def obstacle_words(obstacle: Note) -> str:
    """Why a limit is not applicable, without a full stop."""
    figures = obstacle.figures
    if obstacle.kind == Obstacle.TOO_FEW:
        needed = [
            f"{figures[name]:,} documents of {kind} (there are {figures[f'has_{name}']:,})"
            for name, kind in CLASSES.items()
            if _lacks(obstacle, name)
        ]
        return f"needs {' and '.join(needed)}"
    if obstacle.kind == Obstacle.NOT_DOCUMENTED:
        return (
            "the training was not differentially private, so its record has no ε"
            if figures["training"]
            else "the model's folder holds no training.json, so no ε is documented"
        )
    if obstacle.kind == Obstacle.AS_NONMEMBERS:
        return (
            f"{figures['with_spans']:,} of {figures['nonmembers']:,} known non-members of like length have spans, too, "
            "so chance may explain those of the members"
        )
    if obstacle.kind == Obstacle.NOT_SEARCHED:
        return f"no span could be searched for: {figures['why']}"
    fixed = {
        Obstacle.DOCUMENTS_SHARED: "passages share documents, and a bound on ε from a single training run needs "
        "independent passages",
        Obstacle.NO_UPPER_END: "an attack bounds ε from below only, so it cannot show that a strict limit is kept",
        Obstacle.NO_CONFIDENCE: "the model gives no token probabilities",
    }
    return fixed[Obstacle(obstacle.kind)]


def _not_applicable(row: GateRow) -> str:
    """A limit that is not applicable, and why, in a few words."""
    if row.obstacle is not None and row.obstacle.kind == Obstacle.NOT_DOCUMENTED:
        return "ε (undocumented)"
    return f"{_name(row)} ({_short_obstacle(row)})"


def _short_obstacle(row: GateRow) -> str:
    """Why a limit is not applicable, in a few words."""
    obstacle = row.obstacle
    if obstacle is None:
        return "not measured"
    if obstacle.kind == Obstacle.TOO_FEW:
        lacking = {name: obstacle.figures[name] for name in CLASSES if _lacks(obstacle, name)}
        if len(set(lacking.values())) < len(lacking):
            return f"needs {lacking['members']:,} of each"
        return "needs " + " and ".join(f"{number:,} {CLASSES[name]}" for name, number in lacking.items())
    short = {
        Obstacle.DOCUMENTS_SHARED: "passages share documents",
        Obstacle.NO_UPPER_END: "no upper end",
        Obstacle.NO_CONFIDENCE: "no probabilities",
        Obstacle.NOT_SEARCHED: "not searched",
        Obstacle.AS_NONMEMBERS: "non-members have spans, too",
    }
    return short[Obstacle(obstacle.kind)]


def _lacks(obstacle: Note, name: str) -> bool:
    """Whether there are too few documents of the class *name*."""
    return bool(obstacle.figures[name] > obstacle.figures[f"has_{name}"])


def _leaked(result: GateResult) -> str:
    """How many members are recognised, and which most clearly; empty where none is."""
    if not result.members_flagged:
        return ""
    share = f"{result.members_flagged:,} of {result.members_measured:,} members score above 95 % of non-members"
    leaked = result.leaked_documents or result.leaked_passages
    if not leaked:
        return share
    return f"{share}; most clearly {', '.join(leaked_names(result, leaked[:NAMED], brief=True))}"


def leaked_names(
    result: GateResult, leaked: Sequence[LeakedPassage | LeakedDocument], *, brief: bool = False
) -> list[str]:
    """A name for each of *leaked* by which a reader finds it: its id, or its place in the input.

    Where *brief*, a file is named once where several in a row are in it: ``members.jsonl line 3``, then ``line 8``.
    """
    folder, names, last = f"{PurePath(result.inputs[0].name).parent}{os.sep}", list[str](), ""
    for each in leaked:
        place = PLACE.fullmatch(each.name.removeprefix(folder))
        if place is None or each.name == (each.id if isinstance(each, LeakedPassage) else each.document):
            names.append(each.name)
            last = ""
        else:
            names.append(place[2] if brief and place[1] == last else place[0])
            last = place[1]
    return names


def _name(row: GateRow) -> str:
    return f"TPR at FPR {100 * row.fpr:g} %" if row.fpr is not None else NAMES[row.quantity]


def _short_source(row: GateRow) -> str:
    return ANSWERS[row.quantity][0].removeprefix("OWASP ").replace("Opinion ", "")


def _limit(row: GateRow) -> str:
    return f"{100 * row.limit:g} %" if _is_share(row) else f"{row.limit:g}"


def _figure(row: GateRow, value: float | None) -> str:
    """A figure of the row; two significant digits below 1 %, where hundredths would be zero."""
    if value is None:
        return "–"
    if _is_share(row):
        return f"{100 * value:.1f} %" if value >= 0.01 or not value else f"{100 * value:.2g} %"
    return f"{value:.3f}" if row.quantity is Quantity.GAP else f"{value:.2f}"


def _is_share(row: GateRow) -> bool:
    return row.quantity in (Quantity.TPR, Quantity.EXTRACTABLE)
