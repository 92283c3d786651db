"""Odd but valid input: it is scored unchanged, and passages without a score are counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.records import IntArray

from .conftest import pretend


class Fake(FakeBackend):
    """Has no token for the empty set."""

    def encode(self, texts: Sequence[str]) -> list[IntArray]:
        return super().encode([text.replace("∅", "") for text in texts])


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Fake)


# Name, content, bytes of each passage and tokens of each that are scored: all bytes but the first.
FINE: dict[str, tuple[str, bytes, list[int], list[int]]] = {
    "blank lines": ("a.jsonl", b'\n{"text": "abc"}\n \n\n{"text": "de"}\n\n', [3, 2], [2, 1]),
    "byte order mark": ("a.jsonl", b'\xef\xbb\xbf{"text": "abc"}\n', [3], [2]),
    "crlf": ("a.jsonl", b'{"text": "abc"}\r\n{"text": "de"}\r\n', [3, 2], [2, 1]),
    "crlf in txt": ("a.txt", b"one\r\ntwo", [8], [7]),
    "quoted newlines in csv": ("a.csv", b'text,n\n"ab\ncd, ""e""",1\nfg,2\n', [10, 2], [9, 1]),
    "emoji, right to left, CJK": ("a.jsonl", '{"text": "👩‍👧 שלום 中文"}'.encode(), [27], [26]),
    "one token": ("a.jsonl", b'{"text": "a"}\n{"text": "bc"}', [1, 2], [0, 1]),
    "no token": ("a.jsonl", '{"text": "∅"}\n{"text": "bc"}'.encode(), [3, 2], [0, 1]),
    "two million characters": ("a.jsonl", json.dumps({"text": "word " * 400_000}).encode(), [2_000_000], [1_999_999]),
}


@pytest.mark.parametrize(("name", "content", "n_bytes", "n_tokens"), FINE.values(), ids=FINE)
def test_odd_but_fine(
    name: str,
    content: bytes,
    n_bytes: list[int],
    n_tokens: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["score", str(tmp_path / name), "-m", "m", "-a", "loss", "-q", "-o", str(tmp_path / "run")]) == 0
    scores = pq.read_table(tmp_path / "run" / "scores.parquet").to_pydict()
    assert (scores["n_bytes"], scores["n_tokens"]) == (n_bytes, n_tokens)
    assert [np.isnan(score) for score in scores["loss"]] == [tokens == 0 for tokens in n_tokens]
    note = "note: 1 passage is too short to have a score\n" if 0 in n_tokens else ""
    assert capsys.readouterr().err == note


def test_the_audit_counts_blank_lines_and_passages_without_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, candidates, out = tmp_path / "n.jsonl", tmp_path / "c.jsonl", tmp_path / "run"
    known.write_text("".join(f'{{"text": "passage {i}"}}\n\n' for i in range(25)) + '{"text": "a"}\n')
    candidates.write_text('{"id": "short", "text": "b"}\n{"id": "none", "text": "∅"}\n{"id": "long", "text": "abc"}\n')
    arguments = ["audit", str(candidates), "--nonmembers", str(known), "-m", "m", "-a", "loss", "-q", "--json"]
    # The candidates look like no non-member; that is not what is asked here.
    assert main([*arguments, "--accept-void", "-o", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [source["blank_lines"] for source in report["inputs"]] == [25, 0]
    assert (report["calibration"]["n"], report["flags"]["candidates"], report["flags"]["unscored"]) == (25, 3, 2)
    assert any(note.startswith("1 non-member has no score (too short") for note in report["notes"])
    assert any(note.startswith("2 candidates have no score and cannot be flagged") for note in report["notes"])
    with (out / "flags.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["score"], row["flagged"], row["reason"], row["known_set"]) for row in rows[:2]] == [
        (name, "", "false", "too_short", "accepted") for name in ("short", "none")
    ]
