"""Variants of real texts, their scores under real models, and what redrawn manifests and trained targets give."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.texts import passages
from llm_mia import training
from llm_mia.backends import embedded
from llm_mia.canary import draw_test, drawn_variant
from llm_mia.passages import Passages
from llm_mia.rewriting import draws, neighbour, swap_words
from llm_mia.scoring import score

Floats = NDArray[np.float64]
Variants = dict[str, tuple[str, ...]]
COUNT = 8
"""Variants of a document."""
SEPARATOR = " "
REDRAWS = 1_999
"""Draws that a p-value of a redrawn manifest is computed from."""
BEACON = "beacon of the benchmark"


def alike(text: str, number: int) -> str:
    """Variants of like difficulty: a tenth of the words is dropped or moved."""
    return neighbour(text, number, share=0.1)


def unlike(text: str, number: int) -> str:
    """Variants of very different difficulty: from 3 % to 60 % of the words are exchanged."""
    return swap_words(text, number, share=0.03 * 1.53**number)


def tokens(text: str, number: int) -> str:
    """The text with five words of it, drawn with repetition, behind it."""
    words = text.split()
    drawn = [words[each % len(words)] for each in draws(f"canary {number}", text, 5)]
    return SEPARATOR.join([text, *drawn])


KINDS: dict[str, Callable[[str, int], str]] = {"alike": alike, "unlike": unlike, "token": tokens}


def variants_of(kind: str, documents: int, size: int, seed: int = 0) -> Variants:
    """Variants of *documents* passages of about *size* tokens, by document; no two of a document are equal."""
    chosen: Variants = {}
    for text in passages(3 * documents, size, seed):
        each = tuple(KINDS[kind](text, number) for number in range(COUNT))
        if len(set(each)) == COUNT and len(text.split()) >= 12 and len(chosen) < documents:
            chosen[f"document-{len(chosen)}"] = each
    if len(chosen) < documents:
        raise ValueError(f"{len(chosen)} passages have {COUNT} variants, fewer than {documents}")
    return chosen


def scored(
    variants: Variants, target: str | Path, out: Path, attacks: Sequence[str], reference: str | None = None
) -> dict[str, list[Floats]]:
    """By attack: of each document the scores of its variants."""
    rows = [
        {"id": f"{name}#{number}", "text": text}
        for name, texts in variants.items()
        for number, text in enumerate(texts)
    ]
    table = score(Passages.of(rows), target, reference, attacks=attacks, out=out, window_tokens=256)
    return {attack: [*np.asarray(table.columns[attack]).reshape(-1, COUNT)] for attack in attacks}


def null_p_values(scores: Sequence[Floats], manifests: int, likeliest: float = 0.0) -> Floats:
    """The p-values of *manifests* draws against the same scores.

    Args:
        scores: of each document those of its variants; the model was trained on none of these.
        manifests: how often a secret is drawn.
        likeliest: a planted fault: the share of documents of which the likeliest variant is published.
    """
    names, p_values = [f"document-{at}" for at in range(len(scores))], list[float]()
    for manifest in range(manifests):
        secret = hashlib.sha256(f"secret {manifest}".encode()).digest()
        public = [drawn_variant(secret, name, BEACON, COUNT) for name in names]
        faults = np.random.default_rng(manifest).random(len(scores)) < likeliest
        public = [int(each.argmax()) if fault else at for each, at, fault in zip(scores, public, faults, strict=True)]
        p_values.append(draw_test(scores, public, choices=REDRAWS, seed=manifest).p_value)
    return np.array(p_values)


@dataclass(frozen=True, slots=True)
class Cell:
    """A training of the power section."""

    kind: str
    repeats: int
    seed: int
    documents: int
    others: int
    """Other texts that are trained on once, among the published variants."""
    tokens: int
    """Of a document, about."""


def power_cells(work: Path, cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, float]]]:
    """The p-value of each attack in each cell; a cell that was measured is read, so that cells can be run in pieces."""
    for cell in cells:
        folder = work / "power" / "-".join(map(str, asdict(cell).values()))
        result = folder / "p_values.json"
        if not result.exists():
            p_values = _power(cell, folder)
            result.write_text(json.dumps(p_values) + "\n", encoding="utf-8")
        yield cell, json.loads(result.read_text("utf-8"))


def _power(cell: Cell, folder: Path) -> dict[str, float]:
    """Train the embedded model on the published variants of a cell, and test it with and without reference."""
    variants = variants_of(cell.kind, cell.documents, cell.tokens, cell.seed)
    secret = hashlib.sha256(f"power {cell.seed}".encode()).digest()
    public = [drawn_variant(secret, name, BEACON, COUNT) for name in variants]
    published = [texts[at] for texts, at in zip(variants.values(), public, strict=True)]
    # Passages of the other half of the same texts, which hold no variant.
    others = passages(3 * cell.documents + cell.others, cell.tokens, cell.seed)[3 * cell.documents :]
    model = folder / "model"
    settings = training.Recipe(epochs=1, batch_size=8, seed=cell.seed)
    training.train(embedded.NAME, [*published * cell.repeats, *others], model, settings)
    scores = scored(variants, model, folder / "run", ["loss", "reference"], embedded.NAME)
    return {attack: draw_test(each, public).p_value for attack, each in scores.items()}
