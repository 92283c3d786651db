"""What a record of decisions, a protocol and a control show, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ...decision import ErrorRate, NoteKind, Rule
from ...history import Entry
from ._comparisons import p_words
from ._counting import counted, held_with
from ._decisions import rule_words

__all__ = ["HISTORY_WORDS", "control_words", "decision_words", "entry_words"]

Figures = Mapping[str, Any]
MOST_DECISIONS = 5
"""Other decisions that a note lists."""


def _other_decisions(figures: Figures) -> str:
    """Which decision on these candidates this is, and what the others were."""
    number, others = figures["number"], [decision_words(other) for other in figures["others"]]
    listed = "; ".join(others[:MOST_DECISIONS])
    more = f"; and {len(others) - MOST_DECISIONS} more" if len(others) > MOST_DECISIONS else ""
    others_words = f"others: {listed}{more}" if others else "planned decisions come first"
    return (
        f"this is decision {number} on these candidates ({others_words}), so a finding needs "
        f"p ≤ {figures['allowed']:.3g}: all decisions of a kind on the same candidates divide the level "
        f"{figures['level']:g}{_division(number, figures['allowed'] / figures['level'])}"
    )


def _division(number: int, share: float) -> str:
    """How the level is divided, where no protocol divides it otherwise."""
    if not math.isclose(share, 0.9 if number == 1 else 0.1 / (number * (number - 1))):
        return ""
    return ", of which the first has 0.9, and decision k has 0.1/(k (k − 1)), so that together they have no more"


def decision_words(figures: Figures) -> str:
    """A decision of the record.

    >>> decision_words({"attack": "loss", "rate": "fpr", "level": 0.05, "confidence": None, "seed": None,
    ...     "decided": 20, "flagged": 3, "p_value": 0.21, "finding": False})
    'loss at FPR ≤ 5 %, 3 of 20 flagged, p = 0.21, no finding'
    """
    parts = [str(figures["attack"])]
    if figures["level"] is not None:
        parts[0] += f" at {rule_words(Rule(ErrorRate(figures['rate']), figures['level']))}"
    if figures["confidence"] is not None:
        parts[0] += f" with {held_with(figures['confidence'])}"
    parts += [] if figures["seed"] is None else [f"seed {figures['seed']}"]
    if figures["flagged"] is not None:
        parts.append(f"{figures['flagged']:,} of {figures['decided']:,} flagged")
    if figures["p_value"] is not None:
        parts += [p_words(figures["p_value"]), "a finding" if figures["finding"] else "no finding"]
    return ", ".join(parts)


def _protocol(figures: Figures) -> str:
    """Whether a decision is among those that a protocol names."""
    name = f"the protocol with the sha256 {figures['sha256'][:16]}…"
    if figures["deviations"]:
        return f"this decision deviates from {name}, so it counts as a further decision: " + "; ".join(
            figures["deviations"]
        )
    if figures["before"]:
        earlier = counted(figures["before"], "decision")
        return f"{name} names this decision, but {earlier} on these candidates came before it: it may follow from them"
    number = figures["decisions"]
    divided = "it names no other" if number == 1 else f"its {number:,} decisions divide the level"
    return f"this decision is named in {name}; {divided}"


def control_words(figures: Figures) -> str:
    """How often sealed non-members were flagged."""
    interval = f"{100 * figures['low']:.1f}–{100 * figures['high']:.1f} %"
    of_documents = (
        f", by their {figures['documents']:,} documents" if figures["documents"] < figures["passages"] else ""
    )
    were, p_value = "was" if figures["flagged"] == 1 else "were", p_words(figures["p_value"])
    sentence = (
        f"of {counted(figures['passages'], 'sealed non-member')} {figures['flagged']:,} {were} flagged: "
        f"{100 * figures['realised']:.1f} % (95 % interval {interval}{of_documents}), and at most "
        f"{100 * figures['requested']:g} % are expected"
    )
    if not figures["exceeds"]:
        return f"{sentence} ({p_value})"
    return (
        f"{sentence}; so many are improbable ({p_value}): candidates that were not trained on may be flagged too "
        "often, too, so the flags are doubtful"
    )


def entry_words(entry: Entry) -> str:
    """A line of the record of decisions."""
    deciding = {
        "attack": entry.attack,
        "rate": entry.rate,
        "level": entry.level,
        "confidence": entry.confidence,
        "seed": entry.seed if entry.level is None else None,
        "decided": entry.decided,
        "flagged": entry.flagged,
        "p_value": entry.p_value,
        "finding": entry.finding,
    }
    allowed = entry.finding_level * entry.level_share
    parts = [
        f"{entry.when[:19]} UTC, {entry.kind}, number {entry.number}: {decision_words(deciding)}",
        f"a finding needs p ≤ {allowed:.3g}" if entry.could_find else "no finding was possible",
    ]
    parts += [f"protocol {entry.protocol[:16]}"] if entry.protocol else []
    return "; ".join([*parts, *entry.deviations])


HISTORY_WORDS: Mapping[NoteKind, Callable[[Figures], str]] = {
    NoteKind.OTHER_DECISIONS: _other_decisions,
    NoteKind.PROTOCOL: _protocol,
    NoteKind.RECORD_INCOMPLETE: lambda f: f"the record of decisions is incomplete: {f['problem']}",
    NoteKind.CONTROL: control_words,
}
"""The sentence of each kind of note, from its figures."""
