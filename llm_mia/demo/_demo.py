"""An audit whose truth is known, because the model is trained here, on passages drawn here at random.

The corpus is the language reference that comes with Python. Some of its passages are drawn for training. The embedded
model is fine-tuned on them; the model before fine-tuning is the reference. Then `audit` decides on candidates, some of
which were trained on, and its decisions are compared with the truth.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from ..auditing import Audit, audit
from ..backends import embedded
from ..metrics import flagged_share
from ..passages import read_passages
from ..records import Interval, Passage
from ..signals import Progress, report_activity
from ..store import write_text
from ..training import Method, Recipe

__all__ = ["Demo", "DemoSizes", "demo", "language_reference"]

PASSAGE_TOKENS = 48
SHORTEST = 120
"""Bytes of a passage: headings alone are no text to be trained on."""


@dataclass(frozen=True, slots=True)
class DemoSizes:
    """How many passages the demonstration draws."""

    known_members: int = 40
    known_nonmembers: int = 100
    candidate_members: int = 60
    candidate_nonmembers: int = 80


@dataclass(frozen=True, slots=True)
class Demo:
    """The audit, and the truth, which only this demonstration knows."""

    audit: Audit
    truth: dict[str, bool]
    """Whether each candidate was trained on, by id."""
    false_positive_rate: Interval
    """Share of the candidates not trained on that were flagged."""
    power: Interval
    """Share of the candidates trained on that were flagged."""
    seconds: float
    peak_bytes: int


def demo(
    out: str | Path,
    *,
    fpr: float = 0.05,
    epochs: int = 1,
    seed: int = 0,
    sizes: DemoSizes | None = None,
    progress: Progress | None = None,
) -> Demo:
    """Train a model, audit it, and compare the decisions with the truth; everything is stored in the folder *out*.

    The same *seed* gives the same result on the same machine. A model that an earlier call with the same seed and
    epochs has trained in *out* is used again.

    Args:
        out: the folder.
        fpr: the largest false positive rate.
        epochs: how many times the model is trained on each passage.
        seed: of the draw of the passages, and of their order in training.
        sizes: how many passages are drawn.
        progress: called after every batch.

    Raises:
        MissingExtraError: the embedded model is not installed.
    """
    from ..training import train

    started = time.monotonic()
    embedded.gguf_file()  # where it is missing this fails at once, and not after the corpus is drawn
    report_activity(progress, "drawing the texts")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    members, nonmembers, hidden, clean = _draw(language_reference(out / "corpus"), sizes or DemoSizes(), seed)
    candidates = [*hidden, *clean]
    random.Random(seed).shuffle(candidates)  # noqa: S311 - a draw that anybody can repeat, no secret
    for name, passages in (("members", members), ("nonmembers", nonmembers), ("candidates", candidates)):
        rows = [json.dumps({"id": p.id, "document": p.document, "text": p.text}, ensure_ascii=False) for p in passages]
        write_text(out / f"{name}.jsonl", "\n".join(rows) + "\n")
    trained = [p.text for p in (*members, *hidden)]
    model = out / f"model-seed{seed}-epochs{epochs}"
    recipe = Recipe(Method.FULL, epochs=epochs, batch_size=8, learning_rate=2e-4, seed=seed)
    train(embedded.NAME, trained, model, recipe, progress=progress)
    run = out / f"run-seed{seed}-epochs{epochs}"
    audited = audit(
        out / "candidates.jsonl",
        nonmembers=out / "nonmembers.jsonl",
        members=out / "members.jsonl",
        target=model,
        reference=embedded.NAME,
        fpr=fpr,
        out=run,
        history=run,  # what the demo decides is no decision about texts of the user
        progress=progress,
    )
    truth = {p.id: True for p in hidden} | {p.id: False for p in clean}
    return Demo(audited, truth, *_realised(audited, truth), time.monotonic() - started, _peak_bytes())


def language_reference(folder: Path) -> list[Passage]:
    """Passages of Python's language reference, each text once; *folder* gets a file for each topic."""
    from pydoc_data.topics import topics

    folder.mkdir(exist_ok=True)
    for name, text in topics.items():
        write_text(folder / f"{name}.txt", text)
    passages = read_passages(folder, passage_tokens=PASSAGE_TOKENS)
    by_text = {passage.text.strip(): passage for passage in passages if len(passage.text.strip()) >= SHORTEST}
    return list(by_text.values())


def _draw(corpus: Sequence[Passage], sizes: DemoSizes, seed: int) -> list[list[Passage]]:
    """Members, non-members, candidates trained on and candidates not trained on, drawn without replacement."""
    counts = astuple(sizes)
    drawn = iter(random.Random(seed).sample(corpus, sum(counts)))  # noqa: S311 - likewise
    return [[next(drawn) for _ in range(count)] for count in counts]


def _realised(audited: Audit, truth: dict[str, bool]) -> tuple[Interval, Interval]:
    """Share of the flagged among the candidates not trained on, and among those trained on; intervals by document."""
    row_of = {row.id: row for row in audited.flags.rows}
    shares = []
    for trained in (False, True):
        rows = [row_of[name] for name, was in truth.items() if was is trained]
        shares.append(flagged_share([row.flagged for row in rows], [row.document for row in rows]))
    return shares[0], shares[1]


def _peak_bytes() -> int:
    """The most memory that this process has held."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # in kilobytes, except on macOS
