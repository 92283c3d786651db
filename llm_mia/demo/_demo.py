"""An audit whose truth is known: a model trained here, on passages drawn here at random.

The corpus is the language reference that comes with Python. Some of its passages are drawn for training; the embedded
model is fine-tuned on them and stays behind untouched as the reference. Then the same `audit` that anybody would run
decides on candidates, half of them trained on, and its decisions are held against the truth.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..auditing import Audit, audit
from ..backends import embedded
from ..metrics import clopper_pearson
from ..passages import read_passages
from ..records import Interval, Passage
from ..signals import Progress, Step
from ..store import write_text

__all__ = ["Demo", "demo"]

KNOWN_MEMBERS, KNOWN_NONMEMBERS, CANDIDATE_MEMBERS, CANDIDATE_NONMEMBERS = 40, 100, 60, 80
PASSAGE_TOKENS = 48
SHORTEST = 120  # bytes: a heading or two says nothing of anybody's training data


@dataclass(frozen=True, slots=True)
class Demo:
    """The audit, and what only this demonstration knows."""

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
    out: str | Path, *, fpr: float = 0.05, epochs: int = 1, seed: int = 0, progress: Progress | None = None
) -> Demo:
    """Train, audit, and compare with the truth; everything lies in the folder *out* afterwards.

    The same *seed* gives the same result on the same machine. A model that an earlier call with the same seed and
    epochs has trained in *out* is used again.

    Raises:
        MissingExtraError: the embedded model is not installed.
    """
    started = time.monotonic()
    embedded.gguf_file()  # fails at once, and not after the corpus is drawn, where it is missing
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    members, nonmembers, hidden, clean = _draw(_corpus(out / "corpus"), seed)
    candidates = [*hidden, *clean]
    random.Random(seed).shuffle(candidates)  # noqa: S311 - a draw that anybody can repeat, no secret
    for name, passages in (("members", members), ("nonmembers", nonmembers), ("candidates", candidates)):
        rows = [json.dumps({"id": p.id, "document": p.document, "text": p.text}, ensure_ascii=False) for p in passages]
        write_text(out / f"{name}.jsonl", "\n".join(rows) + "\n")
    trained = [p.text for p in (*members, *hidden)]
    model = _train(out / f"model-seed{seed}-epochs{epochs}", trained, epochs, seed, progress)
    found = audit(
        out / "candidates.jsonl",
        nonmembers=out / "nonmembers.jsonl",
        members=out / "members.jsonl",
        target=model,
        reference=embedded.NAME,
        fpr=fpr,
        out=out / f"run-seed{seed}-epochs{epochs}",
        progress=progress,
    )
    truth = {p.id: True for p in hidden} | {p.id: False for p in clean}
    return Demo(found, truth, *_realised(found, truth), time.monotonic() - started, _peak_bytes())


def _corpus(folder: Path) -> list[Passage]:
    """Passages of Python's language reference, a file a topic; each text once."""
    from pydoc_data.topics import topics

    folder.mkdir(exist_ok=True)
    for name, text in topics.items():
        write_text(folder / f"{name}.txt", text)
    passages = read_passages(folder, passage_tokens=PASSAGE_TOKENS)
    once = {passage.text.strip(): passage for passage in passages if len(passage.text.strip()) >= SHORTEST}
    return list(once.values())


def _draw(corpus: Sequence[Passage], seed: int) -> list[list[Passage]]:
    """Members, non-members, candidates trained on and candidates not, all drawn from one urn."""
    sizes = (KNOWN_MEMBERS, KNOWN_NONMEMBERS, CANDIDATE_MEMBERS, CANDIDATE_NONMEMBERS)
    urn = iter(random.Random(seed).sample(corpus, sum(sizes)))  # noqa: S311 - likewise
    return [[next(urn) for _ in range(size)] for size in sizes]


def _train(folder: Path, texts: Sequence[str], epochs: int, seed: int, progress: Progress | None) -> Path:
    if (folder / "config.json").exists():
        return folder
    from ..backends.local import load
    from ..training import fine_tune

    base = load(
        str(embedded.gguf_file()),
        name=embedded.NAME,
        revision=None,
        dtype="float32",
        device="auto",
        trust_remote_code=False,
        compiled=False,  # training computes no signals
    )

    def report(done: int, total: int) -> None:
        if progress:
            seen = len(texts) * done // total
            progress(Step("training", seen, done, done, len(texts), total))

    beside = folder.with_name(f".training-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    fine_tune(base, texts, beside, epochs=epochs, batch_size=8, learning_rate=2e-4, seed=seed, progress=report)
    return beside.rename(folder)


def _realised(found: Audit, truth: dict[str, bool]) -> tuple[Interval, Interval]:
    flagged = {row.id: row.flagged for row in found.flags.rows}
    shares = []
    for trained in (False, True):
        decisions = [flagged[name] for name, was in truth.items() if was is trained]
        shares.append(clopper_pearson(sum(decisions), len(decisions)))
    return shares[0], shares[1]


def _peak_bytes() -> int:
    """Most memory that this process has held."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes, but for macOS
