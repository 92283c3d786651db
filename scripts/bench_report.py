"""Measure report.html: seconds to build, megabytes, and seconds until Chromium shows it and opens a passage.

.venv/bin/python scripts/bench_report.py 200 5000 10000 --out scripts/results/report-cpu.json

The passages are English (Python's language reference, in pieces of 300 words), a word is a token, and the signals are
drawn at random as widely as those of a language model spread. The audit is not measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from llm_mia import audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.demo import language_reference
from llm_mia.passages import Passages
from llm_mia.records import TokenSignals, Window
from llm_mia.report import write_report
from llm_mia.store import StoredText, write_texts

TOKENS = 300
MEMBERS, NONMEMBERS = 40, 100
PER_DOCUMENT = 10
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class RandomSignals(FakeBackend):
    """Signals that no compression can shorten: log-likelihoods with the spread of a small language model."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.rng = np.random.default_rng(seed)

    def score(self, windows: Sequence[Window], report: Any = None, **_: Any) -> list[TokenSignals]:
        """Random signals of each window."""
        signals = [self._random(window) for window in windows]
        if report:
            report(sum(map(len, signals)))
        return signals

    def _random(self, window: Window) -> TokenSignals:
        scored = window.tokens[window.first_scored :]
        logprob = -self.rng.gamma(0.7, 4.0, len(scored))
        rank = np.where(logprob > -1, 0, self.rng.geometric(0.02, len(scored)))
        mean = -self.rng.gamma(2.0, 1.2, len(scored))
        top = np.where(rank == 0, logprob, -self.rng.gamma(0.7, 1.0, len(scored)))
        arrays = {"logprob": logprob, "mean": mean, "std": 1.5 + 0 * mean, "top": top, "rank": rank}
        return TokenSignals.of(**arrays, token_ids=scored, tokenizer=self.info.tokenizer)


def texts_of(folder: Path) -> Iterator[str]:
    """English passages of one word more than `TOKENS`, endlessly."""
    words = [word for passage in language_reference(folder) for word in passage.text.split()]
    endless = cycle(words)
    while True:
        yield " ".join(islice(endless, TOKENS + 1))


def make_run(folder: Path, passages: int) -> Path:
    """The run directory of an audit of so many candidates; its texts are those that the page shows."""
    texts = texts_of(folder)
    known, candidates = list(islice(texts, MEMBERS + NONMEMBERS)), list(islice(texts, passages))
    rows = [
        # A byte is a token of this model, so it reads as many bytes as the text has words.
        {"id": f"passage {at}", "document": f"document {at // PER_DOCUMENT}", "text": text[: TOKENS + 1]}
        for at, text in enumerate(candidates)
    ]
    run = folder / "run"
    audit(
        Passages.of(rows, name="candidates"),
        members=Passages.of(known[:MEMBERS], label=1, name="members"),
        nonmembers=Passages.of(known[MEMBERS:], label=0, name="non-members"),
        target=RandomSignals(0),
        reference=RandomSignals(1),
        attacks=["reference", "min_k"],
        accept_void=True,
        report=False,
        out=run,
        history=run,
    )
    write_texts(run, (stored(f"passage {at}", MEMBERS + NONMEMBERS + at, text) for at, text in enumerate(candidates)))
    return run


def stored(name: str, position: int, text: str) -> StoredText:
    """The text with the ends of its words, each with the space before it."""
    ends = np.cumsum([len(word) + 1 for word in text.split(" ")]) - 1
    return StoredText(name, position, text, ends.astype(np.int32))


def opening(report: Path) -> dict[str, float]:
    """Seconds until Chromium has loaded the page, and from a click until it shows the text of a passage."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        loaded, clicked = [], []
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(report.as_uri())
            loaded.append(page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart") / 1000)
            opener = page.locator("#passages-grid .opener").first
            opener.wait_for(timeout=60_000)
            started = time.perf_counter()
            opener.click()
            page.locator(".passage .text").first.wait_for(timeout=60_000)
            clicked.append(time.perf_counter() - started)
            page.close()
        browser.close()
    return {"seconds_to_load": sorted(loaded)[1], "seconds_to_open_a_passage": round(sorted(clicked)[1], 3)}


def measure(passages: int) -> dict[str, float]:
    """All figures for so many passages."""
    with tempfile.TemporaryDirectory() as temporary:
        run = make_run(Path(temporary), passages)
        started = time.perf_counter()
        report = write_report(run)
        seconds = time.perf_counter() - started
        size = report.stat().st_size / 1e6
        figures = {"passages": passages, "seconds_to_build": round(seconds, 2), "megabytes": round(size, 3)}
        return {**figures, **opening(report)}


def main() -> None:
    """Print the figures, a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=int, nargs="+")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines = []
    for passages in given.passages:
        lines.append(measure(passages))
        print(json.dumps(lines[-1]), flush=True)
    if given.out:
        given.out.write_text(json.dumps({"tokens": TOKENS, "sizes": lines}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
