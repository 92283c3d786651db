"""JSON Schemas of what the monitor of query logs prints."""

from __future__ import annotations

from schema_types import NOTES, VERSION, Definitions, Schema, by_name, closed, number, rows, text, truth

from llm_mia.monitor import Inspection, MonitorResult
from llm_mia.report.words import Answer

__all__ = ["inspection", "monitor", "registry"]


def monitor(known: Definitions) -> dict[str, Schema]:
    """Alerts."""
    reference = known.record(MonitorResult, "MonitorResult", without=("path", "notes", "schema_version"))
    properties: dict[str, Schema] = known.schemas.pop(reference["$ref"].rsplit("/", 1)[1])["properties"]
    return {
        "schema_version": VERSION,
        **properties,
        "confirmed": number("Alerts whose q-value is at most the FDR.", whole=True),
        "answer": known.record(Answer),
        "note_sentences": NOTES,
        "monitor": text("The file monitor.json, which holds the same."),
    }


def inspection(known: Definitions) -> dict[str, Schema]:
    """What was understood of logs."""
    fields = by_name("By field of a request: of how many requests it is known, and an example.", {"type": "string"})
    return {"schema_version": VERSION, "logs": rows("The logs.", known.record(Inspection, fields=fields))}


def registry(_: Definitions) -> dict[str, Schema]:
    """A registry."""
    registered = closed(
        {
            "name": text("The data set."),
            "public": truth("Whether it is a public benchmark."),
            "texts": number("Its texts.", whole=True),
            "hashes": number("Its hashes that are kept.", whole=True),
        }
    )
    return {"registry": text("The file that was written."), "sets": rows("The data sets.", registered)}
