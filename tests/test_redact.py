"""An audit with `redact` leaves no text, no token and no token id in a file that is handed on."""

from __future__ import annotations

import base64
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mia import Audit, Passages, audit, read_audit
from llm_mia.backends.fake import FakeBackend
from llm_mia.report.html import write_report
from llm_mia.store import read_run

from .conftest import pretend
from .leaks import leaks, runs_of, words_of
from .test_cli import Cli, cli

__all__ = ["cli"]

SYLLABLES = ("brem", "zol", "qui", "vash", "tork", "nyf", "ulg", "épo", "kraw", "jix", "dwe", "mosp")
SPECIAL = "<|zorquim|>"


class WithSpecialTokens(FakeBackend):
    """Has a special token, and sees it where it is written."""

    def special_token_in(self, text: str) -> str | None:
        return SPECIAL if SPECIAL in text else None


def passages(count: int, name: str, rng: random.Random, *, label: int | None = None) -> Passages:
    """Invented words that no program uses, with a name for each passage and each document."""
    rows = [
        {
            "id": f"{name}{at}",
            "document": f"{name} document {at // 2}",
            "text": " ".join("".join(rng.choices(SYLLABLES, k=3)).capitalize() for _ in range(rng.randint(4, 12))),
            "source": "press" if at % 3 else "archive",
        }
        for at in range(count)
    ]
    rows[-1]["text"] += f" {SPECIAL}"
    return Passages.of(rows, label=label, name=name)


class Inputs:
    """Non-members, members, candidates and sealed non-members; the last of each holds a special token."""

    def __init__(self) -> None:
        rng = random.Random(3)
        self.members = passages(40, "known", rng, label=1)
        self.nonmembers = passages(60, "other", rng, label=0)
        self.candidates = passages(40, "asked", rng)
        self.control = passages(20, "sealed", rng)
        sets = (self.members, self.nonmembers, self.candidates, self.control)
        texts = [passage.text for each in sets for passage in each]
        self.words = words_of(texts)
        self.runs = runs_of(ids.tolist() for ids in FakeBackend(0).encode(texts))

    def audit(self, out: Path, **options: Any) -> Audit:
        sets = {"members": self.members, "nonmembers": self.nonmembers, "control": self.control}
        models = {"target": WithSpecialTokens(0), "reference": WithSpecialTokens(1)}
        return audit(self.candidates, **sets, **models, attacks=["reference", "min_k"], out=out, **options)  # type: ignore[arg-type]

    def leaks(self, folder: Path) -> dict[str, set[Any]]:
        return leaks(folder, self.words, self.runs)


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return Inputs()


def test_no_word_and_no_token_of_a_passage_is_handed_on(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(inputs.words) > 500
    shown = inputs.audit(tmp_path / "run")
    given_away = inputs.leaks(tmp_path / "run")
    assert {"flags.csv", "texts.parquet"} <= given_away.keys(), "the search finds what is there"
    assert "zorquim" in given_away["audit.json"] & given_away["run.json"]
    with monkeypatch.context() as patch:
        patch.setattr("llm_mia.report.figures.page_figures", lambda _: [])  # they take seconds, and show no text
        write_report(tmp_path / "run")
    assert len(inputs.leaks(tmp_path / "run")["report.html"]) > 100
    write_report(tmp_path / "run", redact=True)
    assert inputs.leaks(tmp_path / "run").keys() == given_away.keys(), "only the page is redacted"
    redacted = inputs.audit(tmp_path / "run", redact=True)
    assert inputs.leaks(tmp_path / "run") == {}
    assert not any((tmp_path / "run" / name).exists() for name in ("texts.parquet", "report.html"))
    assert (redacted.flags.rows, redacted.redacted) == (shown.flags.rows, True)
    assert read_audit(tmp_path / "run") == redacted
    written = read_run(tmp_path / "run").passes["target"].written_tokens
    assert written is not None
    assert (written.token, written.passages) == ("", 3)


@pytest.mark.parametrize("kind", ["html", "parquet", "json", "ids", "nested ids"])
def test_the_search_finds_a_planted_word_and_planted_ids(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    text = next(iter(inputs.candidates)).text
    ids = FakeBackend(0).encode([text])[0].tolist()[:8]
    if kind == "html":
        block = base64.b64encode(gzip.compress(json.dumps({"texts": [text]}).encode())).decode()
        (tmp_path / "report.html").write_text(f"<script type='text/plain'>{block}</script>")
    elif kind == "json":
        (tmp_path / "a.json").write_text(json.dumps({"note": f"such as {text}"}, ensure_ascii=True))
    elif kind == "ids":
        (tmp_path / "a.json").write_text(json.dumps({"shape": [3, 4], "tokens": ids}, indent=2))
    else:
        column = pa.array([{"words": [text]}]) if kind == "parquet" else pa.array([ids])
        pq.write_table(pa.table({"column": column}), tmp_path / "a.parquet", compression="zstd")
    assert inputs.leaks(tmp_path)


def test_the_command_prints_no_text(cli: Cli, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, WithSpecialTokens)
    given = []
    for name in ("candidates", "nonmembers", "members"):
        rows = [{"id": p.id, "text": p.text, "document": p.document} for p in getattr(inputs, name)]
        rows += rows[:1] if name == "candidates" else []  # a repeated text, which a note mentions
        rows = [{**row, "id": f"{row['id']}-{at}"} for at, row in enumerate(rows)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        given.append(tmp_path / f"{name}.jsonl")
    known = ["--nonmembers", given[1], "--members", given[2]]
    ran = cli("audit", given[0], *known, "-m", "m", "-r", "other", "-o", tmp_path / "run", "--redact")
    assert ran.code in (0, 4)
    out = tmp_path / "printed"
    out.mkdir()
    (out / "screen").write_text(ran.out + ran.err)
    assert inputs.leaks(out) == inputs.leaks(tmp_path / "run") == {}
    assert cli("flag", tmp_path / "run", "-o", tmp_path / "run" / "again.csv").code in (0, 4)
    assert inputs.leaks(tmp_path / "run") == {}
