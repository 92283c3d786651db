"""JSON Schemas of what is printed when canaries are made, drawn and verified."""

from __future__ import annotations

from schema_types import VERSION, Definitions, Schema, described, number, text, texts, truth

from llm_mia.canary import CanaryKind

__all__ = ["sealing", "verified"]


def sealing(known: Definitions) -> dict[str, Schema]:
    """Canaries that were made or drawn."""
    return {
        **_described(known),
        "drawn": truth("Whether the public variants are drawn, and lie in the folder 'public'."),
        "notes": texts("What a reader ought to know about the variants."),
    }


def verified(known: Definitions) -> dict[str, Schema]:
    """A verification of canaries."""
    return {
        **_described(known),
        "verified": truth("Whether all that was checked is right."),
        "faults": texts("What is wrong, a line each."),
        "notes": texts("What could not be checked, and why."),
    }


def _described(known: Definitions) -> dict[str, Schema]:
    return {
        "schema_version": VERSION,
        "folder": text("The folder of the canaries."),
        "kind": described(known.of(CanaryKind), "How the variants of a document differ."),
        "documents": number("How many documents are sealed.", whole=True),
        "fewest_variants": number("The variants of the document that has the fewest.", whole=True),
        "most_variants": number("The variants of the document that has the most.", whole=True),
        "root": text("The Merkle root of all variants, to be published before the draw."),
        "commitment": text("The digest of the secret."),
        "beacon": described(
            {"type": ["string", "null"]},
            "The public value of the draw; empty where it rests on the secret alone, null before the draw.",
        ),
        "beacon_source": text("Where the value was to come from; may be empty."),
    }
