"""JSON Schemas of what the commands print that decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schema_types import (
    NOTES,
    VERSION,
    Definitions,
    Schema,
    by_name,
    closed,
    described,
    number,
    rows,
    text,
    texts,
    truth,
)

from llm_mia.extraction import Extraction
from llm_mia.records import KeptSignals
from llm_mia.report import CHOICES
from llm_mia.report.words import Answer
from llm_mia.shadow import ShadowsPlan, ShadowsRecord
from llm_mia.signals import PassEstimate, TrainingEstimate

__all__ = ["attacks", "dry_run", "exhibit", "extract", "frequencies", "perplexity", "score", "shadow", "verification"]


def extract(known: Definitions) -> dict[str, Schema]:
    """An extraction."""
    reference = known.record(Extraction, "Extraction")  # its properties are those of the whole
    properties: dict[str, Schema] = known.schemas.pop(reference["$ref"].rsplit("/", 1)[1])["properties"]
    for schema in (properties, known.schemas):
        allow_null(schema, ("Stretch", "SpanReference", "DocumentExtraction"))
    return {
        "schema_version": VERSION,
        **properties,
        "answer": known.record(Answer),
        "statement": text("What was extracted, in words."),
        "note_sentences": NOTES,
        "spans_csv": text("File with a row for each span."),
        "proofs_csv": {
            "description": "File with a row for each proof; null without proofs.",
            "type": ["string", "null"],
        },
    }


def shadow(known: Definitions) -> dict[str, Schema]:
    """A set of shadow models."""
    plan, record = (
        known.record(kind, without=without)["$ref"].rsplit("/", 1)[1]
        for kind, without in (
            (ShadowsPlan, ("inside", "schema_version")),
            (ShadowsRecord, ("plan", "schema_version")),
        )
    )
    figures = {**known.schemas.pop(plan)["properties"], **known.schemas.pop(record)["properties"]}
    for schema in (figures, known.schemas):
        allow_null(schema, ("ShadowRecord", "Interval"))
    for name in ("spread_in", "spread_out"):
        figures[name] = {**figures[name], "type": ["number", "null"]}
    return {
        "schema_version": VERSION,
        "path": text("The folder of the shadow models."),
        "documents": number("Documents of the pool.", whole=True),
        **figures,
        "note_sentences": NOTES,
        "next": text("A command that uses the shadow models."),
    }


def allow_null(schemas: Mapping[str, Schema], names: Sequence[str]) -> None:
    """Let the numbers of these records be null: a number of queries may be without bound."""
    for name in names:
        for schema in schemas.get(name, {}).get("properties", {}).values():
            if schema.get("type") == "number":
                schema["type"] = ["number", "null"]


def score(_: Definitions) -> dict[str, Schema]:
    """A table of scores, without its rows."""
    counts = {"passages": "All rows", "members": "Label 1", "nonmembers": "Label 0", "candidates": "No label"}
    return {
        **{name: number(f"{what}.", whole=True) for name, what in counts.items()},
        "attacks": texts("The columns of scores of this call."),
        "unscored": number("Passages that lack a score: they are too short, or left out.", whole=True),
        "left_out": number(
            "Passages without signals of some pass: workers end each time that they compute them.", whole=True
        ),
        "scores": text("The table of scores."),
    }


def perplexity(_: Definitions) -> dict[str, Schema]:
    """A file of perplexities."""
    return {
        "path": text("The csv file that was written."),
        "passages": number("Rows of the file.", whole=True),
        "unscored": number("Passages that are too short to have a perplexity.", whole=True),
        "tokens": by_name("By role: scored tokens.", {"type": "integer"}),
        "dtypes": by_name("By role: the precision in which the model computed.", {"type": "string"}),
        "notes": NOTES,
    }


def frequencies(_: Definitions) -> dict[str, Schema]:
    """Token frequencies."""
    return {
        "tokens": number("Tokens of the corpus.", whole=True),
        "distinct": number("Different tokens that occur.", whole=True),
        "vocabulary": number("Tokens of the tokenizer.", whole=True),
        "frequencies": text("The file that was written."),
    }


def dry_run(known: Definitions) -> dict[str, Schema]:
    """An estimate."""
    return {
        "passages": number("All passages of the input.", whole=True),
        "canaries": number("Random texts that the command adds; its models read them, too.", whole=True),
        "seconds": number("Expected duration of the command, seconds, without attacks and decisions (some seconds)."),
        "bytes_on_disk": number("Expected size of the signals and of trained weights, bytes.", whole=True),
        "kept_signals": described(
            known.of(KeptSignals), "What stays of the signals; 'none': they are removed when the scores are written."
        ),
        "passes": rows("The passes that are not stored; empty where nothing is left.", known.record(PassEstimate)),
        "loading": by_name("By role: the seconds of these in which its model is loaded.", {"type": "number"}),
        "attacks": texts("The columns of scores; empty where the command computes none."),
        "trainings": rows("The models to train; empty where none is.", known.record(TrainingEstimate)),
    }


def guard(_: Definitions) -> dict[str, Schema]:
    """What a guard did."""
    return {
        "requests": number("All requests.", whole=True),
        "statuses": by_name(
            "By HTTP status: how many requests got it; 499 where the client left before the end of the answer.",
            number("Requests.", whole=True),
        ),
        "log": {"description": "The file of the log; null without one.", "type": ["string", "null"]},
        "written": number("Lines that were written to the log.", whole=True),
        "lost": number("Lines that could not be written.", whole=True),
    }


def exhibit(_: Definitions) -> dict[str, Schema]:
    """An exhibit that was written."""
    return {
        "exhibit": text("The folder."),
        "side": text("For which side the record is worded."),
        "redacted": truth("Whether it holds no text of a passage."),
        "manifest_sha256": text("Digest of manifest.json."),
        "files": texts("Files of the exhibit, without the manifest."),
    }


def verification(_: Definitions) -> dict[str, Schema]:
    """The check of an exhibit."""
    file = {"part": text("What the file belongs to."), "name": text("Its name."), "state": text("How it compares.")}
    return {
        "exhibit": text("The folder."),
        "intact": truth("Whether every file is the same as in the manifest."),
        "manifest_sha256": text("Digest of manifest.json."),
        "expected_sha256": {"description": "The digest that was given; null without one.", "type": ["string", "null"]},
        "files": rows("Every file that was compared.", closed(file)),
    }


def attacks(known: Definitions) -> Schema:
    """Attacks."""
    attack = {
        "evidence": texts("What it takes."),
        "passes": texts("The passes of models that it needs."),
        "settings": {"description": "Its settings, with their defaults.", "type": "object"},
        "formula": text("The formula."),
        "paper": text("Where it is described."),
        "summary": text("What it does, in a sentence."),
    }
    choice = known.record(type(next(iter(CHOICES.values()))))
    return by_name("By name: an attack; or a word that is typed like an attack.", {"anyOf": [closed(attack), choice]})
