"""JSON Schema of what `llm-mia gate` prints."""

from __future__ import annotations

from schema_types import (
    NOTES,
    STANDING,
    VERSION,
    Definitions,
    Schema,
    by_name,
    field_texts,
    number,
    rows,
    text,
    truth,
)

from llm_mia.gate import GateResult, GateRow, LeakedDocument, LeakedPassage
from llm_mia.report.words import Answer

__all__ = ["gate"]


def gate(known: Definitions) -> dict[str, Schema]:
    """The verdict of a gate."""
    texts = field_texts(GateResult)
    row = known.record(
        GateRow,
        without=("obstacle",),
        answers=text("The requirement that the limit answers."),
        sentence=text("The limit and its verdict, in words; where it is not applicable, why."),
    )
    known.schemas["Interval"]["properties"]["high"]["type"] = ["number", "null"]  # an ε that is shown has none
    return {
        "schema_version": VERSION,
        "passed": truth("Whether the known set carries a verdict, and no limit is exceeded."),
        "standing": STANDING,
        "withheld": truth("Whether the gate fails because the known set is void or untestable."),
        "strict": truth(texts["strict"]),
        "confidence": number(texts["confidence"]),
        "attack": text(texts["attack"]),
        "aurocs": by_name(texts["aurocs"], {"type": "number"}),
        "fit_documents": number(texts["fit_documents"], whole=True),
        "limits": rows("A row for each limit.", row),
        "members_flagged": number(texts["members_flagged"], whole=True),
        "members_measured": number("Members that were measured.", whole=True),
        "leaked_passages": rows(texts["leaked_passages"], known.record(LeakedPassage)),
        "leaked_documents": rows(texts["leaked_documents"], known.record(LeakedDocument)),
        "redacted": truth("Whether no passage and no document that leaked is named."),
        "answer": known.record(Answer),
        "note_sentences": NOTES,
        "gate": text("The file that holds the result."),
    }
