"""JSON Schemas of what tests of canaries and of pairs print."""

from __future__ import annotations

from schema_types import NOTES, VERSION, Definitions, Schema, number

from llm_mia.canary import CanaryResult, PairedResult
from llm_mia.report.words import Answer

__all__ = ["canary_test", "paired"]


def canary_test(known: Definitions) -> dict[str, Schema]:
    """A test of canaries."""
    return _whole(known, CanaryResult)


def paired(known: Definitions) -> dict[str, Schema]:
    """A test of pairs."""
    return {**_whole(known, PairedResult), "p_value": number("The result: of the first of the placebos.")}


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
