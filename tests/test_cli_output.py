"""Where results go, what they replace, and what the command line offers without a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import llm_mia
from llm_mia.cli import main
from llm_mia.cli.output import show

from .conftest import pretend, sentences

TEXTS = sentences(80, seed=50)
Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that is refused as usage, and give its line."""

    def run(*arguments: str) -> str:
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line.removeprefix("llm-mia: ")

    return run


def rows(name: str, start: int, stop: int, **more: object) -> str:
    lines = [json.dumps({"id": f"{name}{i}", "text": TEXTS[i], **more}) for i in range(start, stop)]
    Path(f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return f"{name}.jsonl"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder is the working directory, and every model is the fake one."""
    monkeypatch.chdir(tmp_path)
    pretend(monkeypatch)
    return tmp_path


def audit(*more: str) -> int:
    known = ["--members", rows("m", 0, 20), "--nonmembers", rows("n", 20, 60)]
    return main(["audit", rows("c", 60, 80), *known, "-m", "m", "-a", "loss", "-q", "-o", "run", "--json", *more])


def test_results_of_a_run_lie_in_the_run(here: Path, refused: Refused, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = Path(rows("n", 20, 60, label=0)).read_text() + Path(rows("c", 60, 80)).read_text()
    Path("all.jsonl").write_text(mixed)
    assert main(["score", "all.jsonl", "-m", "m", "-a", "loss", "-q", "-o", "run"]) == 0
    assert main(["calibrate", "run", "-a", "loss"]) == 0
    assert main(["flag", "run"]) == 0
    assert main(["flag", "run", "--documents"]) == 0
    results = {"calibration.json", "flags.csv", "flags-documents.csv"}
    assert results <= {path.name for path in Path("run").iterdir()}
    assert not results & {path.name for path in here.iterdir()}
    # A table has no folder of its own, so its results go where the user is.
    assert main(["calibrate", "run/scores.parquet", "-a", "loss"]) == 0
    assert main(["flag", "run/scores.parquet", "-c", "calibration.json"]) == 0
    assert {"calibration.json", "flags.csv"} <= {path.name for path in here.iterdir()}
    capsys.readouterr()
    no_default = "run/scores.parquet: is no run directory, so --calibration has no default: name a file"
    assert refused("flag", "run/scores.parquet") == no_default
    before = {path: path.read_bytes() for path in Path("run").glob("*.*")}
    for name in ("scores.parquet", "run.json"):
        for command in (["flag", "run"], ["perplexity", "c.jsonl", "-m", "m"], ["calibrate", "run", "-a", "loss"]):
            assert refused(*command, "-o", f"run/{name}").startswith(f"run/{name}: ")
    assert {path: path.read_bytes() for path in before} == before


def test_an_audit_keeps_its_files(here: Path, refused: Refused, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit("--accept-void") == 0
    before = {path: path.read_bytes() for path in Path("run").glob("*.*") if path.suffix != ".jsonl"}
    capsys.readouterr()
    belongs = "belongs to the audit in this folder, and has to agree with it: name another file with --out"
    assert refused("flag", "run") == f"run/flags.csv: {belongs}"
    assert refused("calibrate", "run", "-a", "loss") == f"run/calibration.json: {belongs}"
    assert refused("calibrate", "run", "-a", "loss", "-o", "./run/../run/flags.csv") == (
        f"run/../run/flags.csv: {belongs}"
    )
    assert main(["flag", "run", "-o", "mine.csv"]) == 0
    assert main(["flag", "run", "--documents"]) == 0, "what notes recommend needs no further option"
    assert {path: path.read_bytes() for path in before} == before
    # Another decision replaces them, and the record holds both.
    capsys.readouterr()
    assert audit("--accept-void", "--fpr", "0.1") == 0
    (note,) = [note for note in json.loads(capsys.readouterr().out)["notes"] if "on these candidates" in note]
    assert note.startswith("this is decision 2 on these candidates (others: loss at FPR ≤ 5 %, ")
    assert "a finding needs p ≤ 0.0025: all decisions of a kind on the same candidates divide the level 0.05" in note
    assert main(["show", "run", "--decisions"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert listed.count("passages, number 1: loss at FPR ≤ 5 %") == 1, "the same decision again, by flag, is the same"
    assert "passages, number 2: loss at FPR ≤ 10 %" in listed
    assert "documents, number 1: loss at FPR ≤ 5 %" in listed, "another question, with a level of its own"


def run_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "PYTHONPATH": str(Path(llm_mia.__file__).parents[1]), **environment}
    command = [sys.executable, "-m", "llm_mia", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=settings)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"llm-mia {llm_mia.__version__}\n", "")
    ran = run_module("--version")
    assert (ran.returncode, ran.stdout) == (0, f"llm-mia {llm_mia.__version__}\n")


def install_completion(home: Path | str) -> subprocess.CompletedProcess[str]:
    installing = f"{sys.executable} -m llm_mia --install-completion; exit $?"  # bash, not replaced by the command
    settings = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path(llm_mia.__file__).parents[1])}
    return subprocess.run(["bash", "-c", installing], capture_output=True, text=True, check=False, env=settings)


def test_completion(tmp_path: Path) -> None:
    """It is installed for the shell that runs the command, and knows commands and options; an option takes one line."""
    ran = install_completion(tmp_path)
    assert (ran.returncode, ran.stdout.split()[0]) == (0, "bash")
    assert main(["--install-completion", "fish"]) == 2
    assert (tmp_path / ".bashrc").read_text().strip().startswith("source ")
    for words, word, expected in (("llm-mia calib", "1", "calibrate"), ("llm-mia audit --nonm", "2", "--nonmembers")):
        asked = run_module(COMP_WORDS=words, COMP_CWORD=word, **{COMPLETE: "complete_bash"})
        assert asked.stdout.split() == [expected]
    fish = {"_TYPER_COMPLETE_ARGS": "llm-mia audit --memb", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    asked = run_module(**fish, **{COMPLETE: "complete_fish"})
    assert [line.split("\t")[0] for line in asked.stdout.splitlines() if line] == ["--members"]


COMPLETE = "_LLM_MIA_COMPLETE"


def test_a_folder_that_cannot_be_written_is_no_traceback() -> None:
    ran = install_completion("/proc/none")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert ran.stderr.startswith("llm-mia: /proc/none")


def test_a_name_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show("a\x1b[2J\x9b31m\x07\nnext line")
    assert capsys.readouterr().out == "a\\x1b[2J\\x9b31m\\x07\nnext line\n"


def test_a_closed_stream_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """After ``>&-`` Python has no stdout at all."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["attacks"]) == 0
    assert capsys.readouterr().err == ""
    sys.stdout.close()
