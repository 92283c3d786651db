"""The JSON Schema of defences, with what each bought and cost."""

from __future__ import annotations

from schema_types import NOTES, VERSION, Definitions, Schema

from llm_mia.defenses import Defenses
from llm_mia.report.words import Answer

__all__ = ["defend"]


def defend(known: Definitions) -> dict[str, Schema]:
    """Defences."""
    reference = known.record(Defenses)  # its properties are those of the whole
    properties: dict[str, Schema] = known.schemas.pop(reference["$ref"].rsplit("/", 1)[1])["properties"]
    ends = known.schemas["Interval"]["properties"]
    for name in ("low", "high"):  # the perplexity of a single document has no bound
        ends[name]["type"] = ["number", "null"]
    return {"schema_version": VERSION, **properties, "answer": known.record(Answer), "note_sentences": NOTES}
