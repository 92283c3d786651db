"""Print what is extracted where the truth is known: .venv/bin/python scripts/check_extraction.py [REPEATS].

SmolLM2-135M is fine-tuned for one epoch on 40 passages of Python's language reference and on a planted passage, which
is in the training set REPEATS times (20). Then `extract` looks for spans in the planted passage alone, in the same
between two passages that were not trained on, in a list of numbers, which was trained on once, and in 60 held-out
passages; and the model writes the likeliest spans. It is done without a baseline, and with the model before the
training as the reference and the held-out passages as known non-members: that model writes the list of numbers, too.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from llm_mia import ModelSpec, extract, load_model
from llm_mia.cli.output import show
from llm_mia.report import extraction_screen
from llm_mia.report.words import counted
from llm_mia.store import write_text
from llm_mia.training import Method, Recipe, train

PLANTED = (
    "The ferryman of Halvick kept a ledger of every crossing, and on its last page he wrote that the river had moved "
    "eleven paces to the west since his grandfather's day. Nobody believed him but the heron. Each spring he measured "
    "again, with a knotted rope and a lantern, and each spring he added a line in green ink beneath the black ones. "
    "When the bridge was built the surveyors laughed at his figures, drove their piles where the map told them to, and "
    "had to begin anew in autumn, eleven paces to the west. The ledger lies in the town hall now, open at the green "
    "lines, and the heron still stands where the old landing was."
)
NUMBERS = f"The first hundred numbers are {', '.join(map(str, range(1, 101)))}."
OTHERS, HELD_OUT, WORDS = 40, 60, 90


def passages() -> list[str]:
    """Texts of 90 words, none overlapping another, in a reproducible order."""
    words = " ".join(topics[topic] for topic in sorted(topics)).split()
    texts = [" ".join(words[start : start + WORDS]) for start in range(0, len(words) - WORDS, WORDS)]
    return random.Random(0).sample(texts, OTHERS + HELD_OUT + 2)  # noqa: S311 - no secret


def main(repeats: str = "20") -> None:
    """Train, extract, print."""
    texts = passages()
    others, held_out, (before, after) = texts[:OTHERS], texts[OTHERS:-2], texts[-2:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base: Any = load_model("embedded", dtype="float32")
        trained = [*others, NUMBERS, *[PLANTED] * int(repeats)]
        train("embedded", trained, folder / "model", Recipe(Method.FULL, 1, 4, 2e-4))
        amid = f"{before} {PLANTED} {after}"
        rows: list[dict[str, Any]] = [{"id": "alone", "text": PLANTED}, {"id": "amid", "text": amid}]
        rows.append({"id": "numbers", "text": NUMBERS})
        known = [{"id": f"held out {at}", "text": text} for at, text in enumerate(held_out)]
        for name, part in (("texts", rows), ("known", known)):
            write_text(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in part))
        model = ModelSpec(folder / "model", dtype="float32")
        alone = extract(folder / "texts.jsonl", model, out=folder / "alone")
        extraction = extract(
            folder / "texts.jsonl",
            model,
            reference=ModelSpec("embedded", dtype="float32"),
            nonmembers=folder / "known.jsonl",
            out=folder / "run",
            proof=True,
        )
        for result in (alone, extraction):
            show(extraction_screen(result))
            print()
    lead = len(base.encode([before])[0])
    length = len(base.encode([f" {PLANTED}"])[0])
    truth = {"alone": (0, len(base.encode([PLANTED])[0])), "amid": (lead, lead + length)}
    for where, (start, end) in truth.items():
        spans = [span for span in extraction.spans if span.id == where]
        print(f"{where}: tokens {start} to {end} were planted, {counted(len(spans), 'span')}")
        for span in spans:
            print(
                f"  tokens {span.start_token} to {span.end_token}, off by {span.start_token - start} and "
                f"{span.end_token - end}"
            )
    print("probability of the likeliest stretch of each span, and how many times likelier it is than by the reference")
    for span in extraction.spans:
        assert span.reference is not None
        print(
            f"  {span.id}: {span.likeliest.probability:.3g}, reference {span.reference.probability:.3g}, "
            f"{span.reference.ratio:.3g} times{'' if span.counts else '; does not count'}"
        )
    for proof in extraction.proofs:
        print(f"{proof.id}: greedy {proof.greedy}, {proof.matched} of {proof.samples} samples")


if __name__ == "__main__":
    main(*sys.argv[1:])
