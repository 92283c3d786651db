"""Every table at every width: no figure is cut, no line is too long; and any encoding of the terminal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from llm_mia import Audit, audit
from llm_mia.attacks import ATTACKS, parse_attack
from llm_mia.backends.fake import FakeBackend
from llm_mia.cli import main
from llm_mia.decision import calibrate, evaluate, flag, judge_collection
from llm_mia.demo import Demo, demo_table
from llm_mia.extraction import DocumentExtraction, ExtractedSpan, Extraction, Proof, Sampling, Stretch, Totals
from llm_mia.metrics import clopper_pearson
from llm_mia.records import ModelRecord, WindowRule
from llm_mia.report import (
    CHOICES,
    Column,
    Listing,
    attack_details,
    attacks_table,
    audit_details,
    calibration_lines,
    choice_details,
    collection_table,
    evaluation_table,
    extraction_table,
    flags_table,
    validity_table,
)
from llm_mia.scores import ScoreTable

from .conftest import sentences

WIDTHS = (40, 60, 80, 120)
LONG_NAME = "/archive/1998/a_long_folder_of_a_publisher/" + "part-0123456789-" * 4 + "chapter.txt"


def rendered(renderable: Any, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def table_of(n: int, passages: int = 1) -> ScoreTable:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, -1], n).astype(np.int8)
    ids = [f"{LONG_NAME}-{i}" for i in range(len(labels))]
    documents = [f"d{i // passages}" for i in range(len(labels))]
    names = ("loss", "camia:signal=below_previous", "min_k++:k=0.05")
    columns = {name: rng.normal(size=len(labels)) + 0.3 * (labels != 0) for name in names}
    return ScoreTable("t.csv", ids, documents, labels, columns)


def extraction(path: Path) -> Extraction:
    def stretch(log: float) -> Stretch:
        return Stretch.of(LONG_NAME, 1234, log, log)

    likeliest = [stretch(log) for log in (-0.1, -12.3, -240.6, -5000.0)]
    documents = [
        DocumentExtraction(
            LONG_NAME + str(i), None, 1204, 98765, 12 * i, 12 * i, 1234, 7654321, 45678, 45678, 0.904, of, 1234, "g", 5
        )
        for i, of in enumerate(likeliest)
    ]
    spans = [
        ExtractedSpan(LONG_NAME, "d", None, 1204, 1310, 106, 45678, 46789, 1111, of, None, "A text of the span, 1999.")
        for of in likeliest
    ]
    proofs = [
        Proof(LONG_NAME, 1204, 50, 234, 2048, 1.1e-105, i == 0, 12, 56, 1000, 12, 12, clopper_pearson(12, 1000))
        for i in range(2)
    ]
    model = ModelRecord("a/model", None, "w", "c", "float32", "t", 2048)
    window = WindowRule(2048, 512)
    notes: Any = []
    totals = Totals(4816, 4, 30617284, 395060, 4, 0, 182712, 182712, 182712 / 30617284, 3, 1234)
    return Extraction(
        path,
        model,
        window,
        None,
        Sampling(),
        50,
        0.001,
        1,
        5000,
        12,
        totals,
        documents,
        spans,
        None,
        proofs,
        False,
        notes,
        [],
    )


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("audit-of-a-long-folder-name-" + "x" * 40)
    texts = sentences(160, seed=3)

    def write(name: str, part: list[str]) -> Path:
        path = folder / name
        path.write_text("".join(json.dumps({"id": f"{name} {i}", "text": text}) + "\n" for i, text in enumerate(part)))
        return path

    return audit(
        write("candidates.jsonl", texts[:40]),
        nonmembers=write("non.jsonl", texts[40:100]),
        members=write("members.jsonl", texts[100:]),
        target=FakeBackend(0),
        reference=FakeBackend(1),
        out=folder / "run",
    )


@pytest.fixture(scope="module")
def tables(audited: Audit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return dict(all_tables(audited, tmp_path_factory.mktemp("tables")))


def all_tables(audited: Audit, path: Path) -> Iterator[tuple[str, Any]]:
    table = table_of(120)
    calibration = calibrate(table, "loss", fpr=0.05)
    evaluations = evaluate(table)
    truth = {row.id: at % 2 == 0 for at, row in enumerate(audited.flags.rows)}
    yield "audit", audit_details(audited)
    yield "validity", validity_table(audited.validity)
    yield "evaluations", evaluation_table(evaluations, None, decider="loss", validity=audited.validity)
    yield "flags", flags_table(flag(table, calibration))
    yield "calibration", calibration_lines(calibration, path / LONG_NAME[1:])
    yield "collection", collection_table(judge_collection(table_of(60, passages=3), ["loss"]))
    yield "extraction", extraction_table(extraction(path))
    yield "attacks", attacks_table(ATTACKS.values())
    yield "attack", attack_details(parse_attack("min_k++:k=0.05"))
    yield "choice", choice_details(CHOICES["auto"])
    yield "demo", demo_table(Demo(audited, truth, clopper_pearson(3, 80), clopper_pearson(45, 60), 73.2, 1_900_000_000))


def figures(text: str) -> Counter[str]:
    """The words with a digit, but for pieces of names, which may wrap."""
    words = re.findall(r"(?<![^\s(•])[-+]?\d[\d.,e%/+–-]*(?=[\s);:,.]|$)", text)
    return Counter(word.rstrip(".,") for word in words)


NAMES = ("audit", "validity", "evaluations", "flags", "calibration", "collection", "extraction", "attacks", "attack",
         "choice", "demo")  # fmt: skip


LEAST_FIGURES = {"attack": 0, "choice": 1, "calibration": 3, "extraction": 60, "evaluations": 40, "collection": 12}


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_is_cut_at_any_width(name: str, tables: dict[str, Any]) -> None:
    table = tables[name]
    expected = figures(rendered(table, 1000))
    assert expected.total() >= LEAST_FIGURES.get(name, 5)
    for width in WIDTHS:
        text = rendered(table, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text.replace("audit …", "").replace("calibrate …", ""), "nothing is shortened"
        assert not expected - figures(text), (width, text)


def test_far_apart_figures_and_long_names_are_whole_in_a_block() -> None:
    listing = Listing([Column("passage", "names"), Column("probability"), Column("share")])
    listing.add(LONG_NAME, "1.1e-105", "0.904 [dim]0.87–0.93[/]", style="bold")
    narrow = rendered(listing, 40)
    assert LONG_NAME in "".join(line.rstrip() for line in narrow.splitlines()), "it wraps"
    assert "  probability: 1.1e-105" in narrow
    assert "  share: 0.904 0.87–0.93" in narrow
    assert "probability:" not in rendered(listing, 60), "there it is a table, whose names wrap"


def test_a_pipe_gets_at_most_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for columns, widest in ((None, 80), ("60", 60), ("200", 200)):
        if columns:
            monkeypatch.setenv("COLUMNS", columns)
        assert main(["attacks"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert widest - 25 < max(map(len, lines)) <= widest
        assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_help_cuts_no_option(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in ([], ["audit"], ["extract"]):
        assert main([*command, "--help"]) == 0
        shown = capsys.readouterr().out
        assert not re.search(r"-\w+…|\w=\w*…", shown)
        assert max(map(len, shown.splitlines())) <= max(width, 50), "typer's texts are at least 50 wide"
        names = ("--tokens-per-batch", "held-out=0,known-train=1") if command else ("perplexity", "frequencies")
        assert all(name in "".join(shown.split()) for name in names), "a name may wrap at a hyphen"


PROGRAM = "import sys; from llm_mia.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_stream_of_any_encoding(encoding: str, audited: Audit) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
        command = [sys.executable, "-c", PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, env=environment, check=False)

    shown = run("show", str(audited.path), "--details")
    assert (shown.returncode, shown.stderr) == (0, b"")
    text = shown.stdout.decode(encoding)
    assert ("◂ decides" in text) == (encoding == "utf-8")
    assert ("<- decides" in text) == (encoding != "utf-8")
    assert ("FPR <= 5 %" in text) == (encoding != "utf-8")
    assert max(map(len, text.splitlines())) <= 100
    if encoding == "ascii":
        machine = json.loads(run("show", str(audited.path), "--json").stdout.decode(encoding))
        assert "FPR ≤ 5 %" in machine["finding"], "in JSON no character is replaced"
        refused = run("show", "no-folder-Überfluß-中")
        assert refused.returncode == 1
        assert refused.stderr == b"llm-mia: no-folder-\\xdcberflu\\xdf-\\u4e2d: no such folder\n"
