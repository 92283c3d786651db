"""The command that trains shadow models: its screen, its figures for machines, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_mia.cli import main
from llm_mia.report import shadows_summary
from llm_mia.shadow import read_shadows
from tests.conftest import sentences

DOCUMENTS = 6


@pytest.fixture(scope="module")
def folder(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool, and what trains shadow models on it."""
    folder = tmp_path_factory.mktemp("command")
    texts = sentences(2 * DOCUMENTS, seed=40)
    lines = [{"text": text, "document": f"d{at % DOCUMENTS}"} for at, text in enumerate(texts)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "few.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:3]))
    (folder / "base").symlink_to(tiny)
    return folder


RECIPE = ["--shadows", "4", "--method", "full", "--epochs", "2", "--learning-rate", "0.01"]


def test_the_command_trains_answers_and_continues(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    command = ["shadow", "pool.jsonl", "-m", "base", *RECIPE, "-o", "shadows"]
    assert main(command) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 80
    assert lines[0] == "4 shadow models of base"
    assert "Each was trained on half of 6 documents" in printed.out
    assert "llm-mia audit CANDIDATES -m TARGET --shadows shadows -o run/" in printed.out
    assert "4 shadow models of base, each on half of 6 documents (12 passages" in printed.err, "before the work"
    assert "training shadow-03: 6 passages" in printed.err
    assert main([*command, "--json", "-q"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    figures = json.loads(printed.out)
    assert figures == json.loads(json.dumps(shadows_summary(read_shadows("shadows"))))
    assert [shadow["role"] for shadow in figures["shadows"]] == [f"shadow-{at:02d}" for at in range(4)]
    assert (figures["documents"], figures["recipe"]["epochs"]) == (6, 2)
    assert main([*command, "--details", "-q"]) == 0
    details = capsys.readouterr().out
    gap = read_shadows("shadows").record.shadows[2].gap
    assert f"{gap.value:.2f} ({gap.low:.2f}–{gap.high:.2f})" in details
    assert main(["show", "shadows", "--details"]) == 0
    assert capsys.readouterr().out == details, "show prints the same without a model"
    other = ["shadow", "pool.jsonl", "-m", "base", *RECIPE, "--lora-rank", "4", "-o", "shadows", "-q"]
    assert main(other) == 1
    assert "shadows: holds other shadow models (recipe lora_rank 8 there, 4 here)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["few.jsonl", "-m", "base"], 1, "few.jsonl: holds 3 documents: shadow models need at least 4"),
        (["pool.jsonl", "-m", "base", "--shadows", "5"], 2, "--shadows is 5: it must be even, and at least 4"),
        (["pool.jsonl", "-m", "base", "--method", "lola"], 2, "--method is 'lola': it must be full, lora or scratch"),
        (["pool.jsonl", "-m", "./nothing"], 1, "nothing"),
        (["pool.jsonl", "-m", "base", "--learning-rate", "0"], 2, "--learning-rate is 0.0: it must be above 0"),
    ],
)
def test_refusals_are_a_line_and_leave_nothing(
    folder: Path,
    arguments: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(["shadow", *arguments, "-o", "out", "-q"]) == code
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not Path("out").exists()
