"""The requests of this package's attacks: recorded from the attacks themselves, run on a model that is instant."""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from llm_mia.backends import Report
from llm_mia.backends.fake import FakeBackend
from llm_mia.passages import Passages
from llm_mia.queries import Query, Request
from llm_mia.records import IntArray, TokenSignals, Window
from llm_mia.scoring import score_to_disk
from llm_mia.signals import Supplies

__all__ = ["ATTACKS", "SAMPLERS", "attack_requests"]

ATTACKS: Mapping[str, str] = {
    "loss": "loss",
    "lowercase": "lowercase",
    "neighbourhood": "neighbour",
    "ReCaLL": "recall",
    "SaMIA": "",
    "collection": "loss",
}
"""By name: the attack of the package; SaMIA only samples."""
SAMPLERS: Mapping[str, bool] = {"SaMIA, 10 samples a request": True, "SaMIA, a sample a request": False}
"""SaMIA again, by how it requests the samples of a prompt: in one request, or in as many as there are samples."""
SHOTS = 3
SAMPLES = 10


class Recorder(FakeBackend):
    """A model that records the texts which the backend of an endpoint would send."""

    def __init__(self) -> None:
        super().__init__(0, context=1 << 16)
        self.prompts: list[str] = []

    def score(
        self, windows: Sequence[Window], report: Report | None = None, *, prefix: IntArray | None = None
    ) -> list[TokenSignals]:
        """The signals, as the fake model computes them; each window is a request."""
        for window in windows:
            tokens = window.tokens if prefix is None else np.concatenate([prefix, window.tokens])
            self.prompts.append(tokens.astype(np.uint8).tobytes().decode(errors="replace"))
        return super().score(windows, report, prefix=prefix)


def attack_requests(name: str, texts: Sequence[str], rng: random.Random) -> list[Query]:
    """The requests of the attack *name* on *texts*, in the order in which the package sends them."""
    if name == "SaMIA":
        return _sampled(texts, several=rng.random() < 0.5)
    if name in SAMPLERS:
        return _sampled(texts, several=SAMPLERS[name])
    recorder, shots = Recorder(), [texts[at] for at in range(SHOTS)]
    rows = [{"id": str(at), "text": text} for at, text in enumerate(texts[SHOTS:])]
    supplies = Supplies(
        shots=Passages.of([{"id": f"s{at}", "text": text, "label": 0} for at, text in enumerate(shots)], name="shots")
        if name == "ReCaLL"
        else None
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        score_to_disk(
            Passages.of(rows, name="texts"),
            recorder,
            attacks=[ATTACKS[name]],
            supplies=supplies,
            out=Path(folder) / "run",
        )
    return [_scored(prompt) for prompt in recorder.prompts]


def _scored(prompt: str) -> Query:
    """What the backend of an endpoint sends for a window."""
    return Query(
        0.0, "", Request.COMPLETION, prompt=prompt, prompt_bytes=len(prompt.encode()), completion_tokens=1,
        max_tokens=1, samples=1, temperature=1.0, echo=True, logprobs=True, top_logprobs=1, prompt_logprobs=False,
        status=200,
    )  # fmt: skip


def _sampled(texts: Sequence[str], *, several: bool) -> list[Query]:
    """Continuations of the first half of each text: *several* in a request, or as many requests as samples."""
    queries = []
    for text in texts:
        words = text.split()
        prompt = " ".join(words[: max(1, len(words) // 2)])
        query = Query(
            0.0, "", Request.COMPLETION, prompt=prompt, prompt_bytes=len(prompt.encode()), completion_tokens=64,
            max_tokens=64, samples=SAMPLES if several else 1, temperature=1.0, echo=False, logprobs=False,
            top_logprobs=0, prompt_logprobs=False, status=200,
        )  # fmt: skip
        queries += [query] * (1 if several else SAMPLES)
    return queries
