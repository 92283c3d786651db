"""Variants of real texts, their scores under real models, and what redrawn manifests and trained targets give."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.texts import passages
from llm_mia import training
from llm_mia.backends import embedded
from llm_mia.canary import CanaryKind, draw_test, drawn_variant, make_canaries, read_sealed
from llm_mia.passages import Passages
from llm_mia.rewriting import neighbour, swap_words
from llm_mia.scoring import score

Floats = NDArray[np.float64]
Variants = dict[str, tuple[str, ...]]
COUNT = 8
"""Variants of a document."""
REPHRASED = 0.3
"""Share of the words that are dropped or moved, in the place of a writer who rephrases."""
REDRAWS = 1_999
"""Draws that a p-value of a redrawn manifest is computed from."""
BEACON = "beacon of the benchmark"
WORDS = 20
"""Fewest words of a document of the section power."""


def alike(text: str, number: int) -> str:
    """Variants of like difficulty: a tenth of the words is dropped or moved."""
    return neighbour(text, number, share=0.1)


def unlike(text: str, number: int) -> str:
    """Variants of very different difficulty: from 3 % to 60 % of the words are exchanged."""
    return swap_words(text, number, share=0.03 * 1.53**number)


NULL_KINDS: dict[str, Callable[[str, int], str]] = {"alike": alike, "unlike": unlike}


def variants_of(kind: str, documents: int, size: int, seed: int = 0) -> Variants:
    """Variants of *documents* passages of about *size* tokens, by document; no two of a document are equal."""
    chosen: Variants = {}
    for text in passages(3 * documents, size, seed):
        each = tuple(NULL_KINDS[kind](text, number) for number in range(COUNT))
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
    """Of the draw, and of the training."""
    documents: int
    others: int
    """Other texts that are trained on once, among the published variants."""
    tokens: int
    """Of a document before anything is inserted, about."""
    rate: float
    """The learning rate."""


CELL = tuple(field.name for field in fields(Cell))
SUBSETS = (10, 25, 100)
"""Numbers of documents that a training is tested with: all, and disjoint subsets of these."""
PValues = dict[str, dict[str, list[float]]]
"""By attack, and by the number of documents: the p-value of each subset of a training."""
Trials = dict[Cell, PValues]


def read_trials(path: Path) -> Trials:
    """The trainings that were measured, of which *path* has a line each; sorted."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    rows = sorted(
        (json.loads(line) for line in lines), key=lambda row: (row["kind"], row["repeats"], row["rate"], row["seed"])
    )
    return {Cell(**{name: row[name] for name in CELL}): row["p_values"] for row in rows}


def measure_trials(work: Path, cells: Sequence[Cell], path: Path) -> Trials:
    """All trainings that the file *path* holds, after each of *cells* that was missing has been measured and added."""
    for cell in cells:
        if cell not in read_trials(path):
            row = asdict(cell) | {"p_values": _power(cell, work)}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    return read_trials(path)


def _power(cell: Cell, work: Path) -> PValues:
    """Train all weights of the embedded model on published variants, and test it with and without reference."""
    variants = made_variants(cell, work)
    secret = hashlib.sha256(f"power {cell.seed}".encode()).digest()
    public = [drawn_variant(secret, name, BEACON, COUNT) for name in variants]
    published = [texts[at] for texts, at in zip(variants.values(), public, strict=True)]
    # Other passages of the same texts; none of them is a document.
    others = _passages(cell)[cell.documents : cell.documents + cell.others]
    folder = work / f"training-{_design(cell)}-{cell.repeats}-{cell.rate:g}-{cell.seed}"
    settings = training.Recipe(training.Method.FULL, epochs=1, batch_size=8, learning_rate=cell.rate, seed=cell.seed)
    training.train(embedded.NAME, [*published * cell.repeats, *others], folder / "model", settings)
    target = scored(variants, folder / "model", folder / "run", ["loss"])["loss"]
    before = scored(variants, embedded.NAME, work / f"before-{_design(cell)}", ["loss"])["loss"]
    shutil.rmtree(folder)
    # Both have the same tokens, so the attack "reference" is the difference of the two scores.
    gain = [each - of_reference for each, of_reference in zip(target, before, strict=True)]
    return {"reference": _of_subsets(gain, public), "loss": _of_subsets(target, public)}


def _of_subsets(scores: Sequence[Floats], public: Sequence[int]) -> dict[str, list[float]]:
    return {
        str(size): [
            draw_test(scores[at : at + size], public[at : at + size]).p_value for at in range(0, len(scores), size)
        ]
        for size in SUBSETS
    }


def made_variants(cell: Cell, work: Path) -> Variants:
    """What `make_canaries` seals for the documents of *cell*; they are the same for all seeds and repeats."""
    folder = work / f"canaries-{_design(cell)}"
    if not folder.exists():
        texts = _passages(cell)[: cell.documents]
        rows = [{"document": f"document-{at}", "text": text} for at, text in enumerate(texts)]
        rephrased = [
            {"document": row["document"], "text": neighbour(row["text"], number, share=REPHRASED)}
            for row in rows
            for number in range(1, COUNT)
        ]
        make_canaries(
            Passages.of(rows),
            out=folder,
            kind=cell.kind,
            variants=COUNT,
            rephrased=Passages.of(rephrased) if cell.kind == CanaryKind.REPHRASE else None,
        )
    return dict(read_sealed(folder).variants)


def _passages(cell: Cell) -> list[str]:
    """Different passages that have room for variants."""
    return [text for text in passages(4 * (cell.documents + cell.others), cell.tokens) if len(text.split()) >= WORDS]


def _design(cell: Cell) -> str:
    return f"{cell.kind}-{cell.documents}-{cell.tokens}"
