"""JSON Schemas of what tests of canaries and of pairs print."""

from __future__ import annotations

from schema_types import NOTES, VERSION, Definitions, Schema, described, number, texts, truth

from llm_mia.canary import CanaryPlan, CanaryResult, PairedResult
from llm_mia.records import Interval
from llm_mia.report.words import Answer

__all__ = ["canary_plan", "canary_test", "paired"]


def canary_plan(known: Definitions) -> dict[str, Schema]:
    """A plan of canaries."""
    reference = known.record(CanaryPlan)
    properties: dict[str, Schema] = known.schemas.pop(reference["$ref"].rsplit("/", 1)[1])["properties"]
    ends = known.schemas["Interval"]["properties"]
    for name in ("value", "low", "high"):  # no number of documents may be enough
        ends[name]["type"] = ["number", "null"]
    return {
        "schema_version": VERSION,
        **properties,
        "power": described(known.of(Interval), "The power of the design."),
        "needed": described(known.of(Interval), "The documents that reach the wanted power; null: no number does."),
        "enough": truth("Whether the design has the wanted power at the measured effect."),
        "surely_enough": truth("Whether it has that also at the lower end of the interval of the effect."),
        "answer_sentences": texts("The answer, what would be enough, what was measured, and the reserve."),
        "note_sentences": NOTES,
    }


def canary_test(known: Definitions) -> dict[str, Schema]:
    """A test of canaries."""
    return _whole(known, CanaryResult)


def paired(known: Definitions) -> dict[str, Schema]:
    """A test of pairs."""
    return {
        **_whole(known, PairedResult),
        "p_value": number("The result: by the control set, else of the first of the placebos."),
    }


def _whole(known: Definitions, kind: type) -> dict[str, Schema]:
    reference = known.record(kind)  # its properties are those of the whole
    properties: dict[str, Schema] = known.schemas.pop(reference["$ref"].rsplit("/", 1)[1])["properties"]
    ends = known.schemas["Interval"]["properties"]
    for name in ("low", "high"):  # the mean of a single document has no bound
        ends[name]["type"] = ["number", "null"]
    documents = number("Documents that were tested.", whole=True)
    return {
        "schema_version": VERSION,
        **properties,
        "documents": documents,
        "answer": known.record(Answer),
        "note_sentences": NOTES,
    }
