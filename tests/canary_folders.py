"""Folders of sealed variants, as `llm-mia canary make` writes them, with texts that a seed gives."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from llm_mia.canary import (
    CanaryDesign,
    CanaryKind,
    CanaryPlan,
    Manifest,
    PilotSettings,
    PilotTexts,
    PlannedPower,
    RepeatsEffect,
    SealedDocument,
    commitment_of,
    drawn_variant,
    leaf_of,
    merkle_root,
)
from llm_mia.records import Interval
from llm_mia.store import to_json
from llm_mia.training import Method, Recipe

from .conftest import sentences

__all__ = ["SECRET", "a_plan", "public_texts", "rephrased", "seal"]

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


def a_plan(folder: Path, power: float = 0.92, low: float = 0.8, repeats: int = 1) -> CanaryPlan:
    """A plan as `plan_canaries` returns it, with a chosen power of the design, and without pilots."""
    numbers, seen = (30, 60, 150, 300, 600, 1200), tuple(sorted({1, 2, 4, 8, repeats}))
    settings = PilotSettings(
        texts=PilotTexts.PACKAGE,
        texts_sha256="ab",
        kind=CanaryKind.TOKEN,
        variants=8,
        model="embedded",
        model_sha256=None,
        repeats=seen,
        documents=8,
        others=150,
        recipe=Recipe(Method.FULL, 1),
    )
    effect, needed = Interval(0.42, 0.3, 0.54), Interval(213.0, 152.0, math.inf)
    return CanaryPlan(
        path=folder,
        design=CanaryDesign(300, 8, repeats, 0.01, 0.8),
        settings=settings,
        pilots=6,
        effects=tuple(RepeatsEffect(name, each, 48, effect, needed) for name in ("reference", "loss") for each in seen),
        powers=tuple(
            PlannedPower("reference", each, number, Interval(power, low, (1 + power) / 2))
            for each in seen
            for number in numbers
        ),
        without_reference=PlannedPower("loss", repeats, 300, Interval(0.31, 0.1, 0.6)),
        published_share=0.44,
        trained=270,
        unused=1,
        cut=2,
        seconds=1234.5,
        notes=("the pilots share documents",),
    )
