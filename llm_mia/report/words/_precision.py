"""Sentences about how the precision of a model changes scores and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...decision import NoteKind
from ...records import Note
from ._counting import counted

__all__ = ["precision_facts", "precision_words", "rounding_words"]

Figures = Mapping[str, Any]

NOT_MEASURED = {
    "memory": "the memory is too small for a second model, in float32",
    "seconds": "that would have taken more than 5 % of the time of the run",
    "refused": "the model could not be computed in float32",
}
IN_FLOAT32 = "to decide without this rounding, run 'llm-mia audit --dtype float32' with another folder"


def rounding_words(figures: Figures) -> str:
    """How far likelihoods differ from those of float32, from the fields of a `RoundingRecord`.

    >>> rounding_words({"skipped": "memory"})
    'how far it differs from float32 was not measured, because the memory is too small for a second model, in float32'
    """
    if figures["skipped"]:
        return f"how far it differs from float32 was not measured, because {NOT_MEASURED[figures['skipped']]}"
    texts = f"{counted(figures['tokens'], 'token')} of {counted(figures['passages'], 'passage')}"
    return (
        f"on {texts}, the log-likelihood of a token differs from float32 by {_number(figures['token_median'])} nats "
        f"(median; at most {_number(figures['token_largest'])}), its mean over a passage by "
        f"{_number(figures['passage_median'])} nats (median; at most {_number(figures['passage_largest'])})"
    )


def precision_words(figures: Figures) -> str:
    """How far the precision of the target changes its signals, and whether the decision depends on it."""
    words = f"the target was computed in {figures['dtype']}; {rounding_words(figures)}"
    if figures["skipped"]:
        return f"{words}; {IN_FLOAT32}"
    if figures["change"] is None:
        changes = f"how much this changes scores of the attack {figures['attack']}, which decides, was not measured"
        return f"{words}; {changes}; {IN_FLOAT32}"
    least, most, flagged = figures["least"], figures["most"], figures["flagged"]
    by = f"a score of the attack {figures['attack']} by at most {_number(figures['change'])}"
    if figures["finding_depends"]:
        return f"{words}, {by}: the finding depends on this rounding; {IN_FLOAT32}"
    if least == most == flagged:
        return f"{words}, {by}: no flag depends on this"
    finding = "" if figures["finding_depends"] is None else "the finding does not depend on this; "
    return f"{words}, {by}: {finding}the number of flags lies between {least:,} and {most:,}"


def precision_facts(notes: Iterable[Note]) -> list[tuple[str, str]]:
    """The fact that the finding depends on the precision of the target; empty where it does not."""
    figures = [note.figures for note in notes if note.kind == NoteKind.PRECISION]
    if not figures or not figures[0].get("finding_depends"):
        return []
    return [("rounding", f"the finding depends on the rounding of {figures[0]['dtype']}; audit in float32")]


def _number(value: float) -> str:
    return f"{value:.2g}"
