"""Folders of sealed variants, as `llm-mia canary make` writes them, with texts that a seed gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from llm_mia.canary import (
    CanaryKind,
    Manifest,
    SealedDocument,
    commitment_of,
    drawn_variant,
    leaf_of,
    merkle_root,
)
from llm_mia.store import to_json

from .conftest import sentences

__all__ = ["SECRET", "public_texts", "rephrased", "seal"]

SECRET, BEACON = bytes(range(32)), "drand 4791"


def rephrased(documents: int, variants: int, seed: int = 0) -> dict[str, tuple[str, ...]]:
    """Variants by document: each of another length and difficulty, none equal."""
    texts = iter(dict.fromkeys(sentences(4 * documents * variants, seed, longest=24)))
    chosen = [text for text in texts if len(text.split()) >= 6][: documents * variants]
    assert len(chosen) == documents * variants
    return {f"letter-{at}": tuple(chosen[at * variants : (at + 1) * variants]) for at in range(documents)}


def seal(
    folder: Path,
    variants: Mapping[str, Sequence[str]],
    *,
    beacon: str | None = BEACON,
    secret: bytes = SECRET,
) -> Path:
    """Write *folder* with the manifest, the secret and the variants; nothing is public where *beacon* is None."""
    leaves = {
        document: tuple(leaf_of(secret, document, number, text) for number, text in enumerate(texts))
        for document, texts in variants.items()
    }
    manifest = Manifest(
        kind=CanaryKind.REPHRASE,
        documents=tuple(SealedDocument(document, each) for document, each in leaves.items()),
        root=merkle_root([*chain.from_iterable(leaves.values())]),
        commitment=commitment_of(secret),
        beacon=beacon,
        beacon_source="drand round 4791",
    )
    (folder / "sealed").mkdir(parents=True)
    (folder / "manifest.json").write_text(to_json(manifest))
    (folder / "sealed" / "secret").write_text(secret.hex())
    rows = [
        {"document": document, "variant": number, "text": text}
        for document, texts in variants.items()
        for number, text in enumerate(texts)
    ]
    (folder / "sealed" / "variants.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def public_texts(
    variants: Mapping[str, Sequence[str]], *, beacon: str = BEACON, secret: bytes = SECRET
) -> dict[str, str]:
    """By document: the variant that the draw makes public."""
    return {
        document: texts[drawn_variant(secret, document, beacon, len(texts))] for document, texts in variants.items()
    }
