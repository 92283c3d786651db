"""Each command as a user types it, on a model that was trained on what is then asked of it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from llm_mia.attacks import ATTACKS, LoadedSupplies
from llm_mia.cli import main
from llm_mia.records import SCHEMA_VERSION
from llm_mia.scoring import attacks_for

from .conftest import sentences

LLM_MIA = Path(sys.executable).with_name("llm-mia")
CARD = [attack.name for attack in attacks_for((), LoadedSupplies(("target", "reference"))).attacks]


@dataclass(frozen=True)
class Ran:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str | Path) -> Ran:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "1000")  # sentences are on a single line
            code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@dataclass(frozen=True)
class Scene:
    """Files of passages, and a model that was trained on the members and on half of the candidates."""

    folder: Path
    model: str
    reference: str

    @property
    def audit(self) -> list[str]:
        """The arguments of the audit, less what varies."""
        known = ["--members", str(self.folder / "members.jsonl"), "--nonmembers", str(self.folder / "nonmembers.jsonl")]
        return [
            "audit",
            "--details",
            str(self.folder / "candidates.jsonl"),
            *known,
            "-m",
            self.model,
            "-r",
            self.reference,
        ]


@pytest.fixture(scope="module")
def scene(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    from llm_mia.training import Method, Recipe, train

    folder = tmp_path_factory.mktemp("scene")
    texts = [f"{i} {text}" for i, text in enumerate(sentences(140, seed=21))]
    members, nonmembers, trained_on, held_out = texts[:30], texts[30:100], texts[100:120], texts[120:]
    write(folder / "members.jsonl", [{"id": f"m{i}", "text": text} for i, text in enumerate(members)])
    write(folder / "nonmembers.jsonl", [{"id": f"n{i}", "text": text} for i, text in enumerate(nonmembers)])
    mixed = [row for pair in zip(trained_on, held_out, strict=True) for row in pair]
    write(folder / "candidates.jsonl", [{"id": f"c{i}", "text": text, "label": 7} for i, text in enumerate(mixed)])
    labelled = [(text, 1) for text in members] + [(text, 0) for text in nonmembers] + [(text, None) for text in mixed]
    write(folder / "all.jsonl", [{"id": f"p{i}", "text": text, "label": lab} for i, (text, lab) in enumerate(labelled)])
    train(tiny, [*members, *trained_on], folder / "model", Recipe(Method.FULL, 15, 4, 3e-3))
    return Scene(folder, str(folder / "model"), tiny)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_audit(scene: Scene, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ran = cli(*scene.audit, "-o", out)
    assert ran.code == 0
    assert "by reference at FPR ≤ 5 %: consistent with training on them" in ran.out
    assert ran.err.splitlines()[-1].startswith("scores: 140 passages, ")
    flags = read_csv(out / "flags.csv")
    assert [row["id"] for row in flags] == [f"c{i}" for i in range(40)]
    flagged = {row["id"] for row in flags if row["flagged"] == "true"}
    assert flagged >= {f"c{i}" for i in range(0, 40, 2)}, "what it was trained on"
    assert len(flagged) <= 24, "and little else"
    for row in flags:
        assert (row["attack"], row["document"]) == ("reference", row["id"])
        assert (row["flagged"] == "true") == (float(row["p_value"]) <= 0.05) == (row["reason"] == "score_above_limit")


def test_an_audit_writes_its_files(scene: Scene, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ran = cli(*scene.audit, "-o", out, "--json", "-q")
    assert (ran.code, ran.err) == (0, "")
    report = ran.json
    again = cli("show", out, "--json")
    assert (again.code, again.json) == (0, report), "read again, without a model"
    assert report["flags"]["flagged"] == sum(row["flagged"] == "true" for row in read_csv(out / "flags.csv"))
    assert report["evaluation"]["attacks"]["reference"]["auroc"]["value"] > 0.9
    assert report["evaluation"]["confidence_gap"]["gap"]["value"] > 0.1
    files = sorted(
        str(path.relative_to(out))
        for path in out.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name != ".lock"
    )
    signals = [f"signals/{name}/part-000000000-000000139.parquet" for name in ("reference", "target")]
    assert files == [
        "audit.json",
        "calibration.json",
        "decisions.jsonl",
        "flags.csv",
        "flags.parquet",
        "run.json",
        "scores.parquet",
        *signals,
        "texts.parquet",
        "validity.json",
    ]
    run = json.loads((out / "run.json").read_text())
    assert run["schema_version"] == SCHEMA_VERSION
    assert {"python", "llm-mia", "torch", "transformers", "numpy"} <= run["versions"].keys()
    assert run["passes"]["target"]["model"]["id"] == scene.model
    assert run["passes"]["target"]["model"]["weights_sha256"] != run["passes"]["reference"]["model"]["weights_sha256"]
    assert run["passes"]["target"]["window"] == {"tokens": 64, "context": 16}
    assert [len(record["sha256"]) for record in run["inputs"]] == [64, 64, 64]
    assert run["wall_seconds"].keys() == {"target", "reference"}
    scores = pq.read_table(out / "scores.parquet")
    figures = ["target_perplexity", "reference_perplexity"]
    assert scores.column_names[: 7 + len(CARD)] == ["id", "document", "label", "n_tokens", "n_bytes", *figures, *CARD]
    assert all(name.endswith("@reference") for name in scores.column_names[7 + len(CARD) :])
    assert "loss@reference" in scores.column_names
    assert scores.column("label").to_pylist() == [1] * 30 + [0] * 70 + [None] * 40
    names = ["id", "text_sha256", "token_ids", "logprob", "mean", "std", "top", "rank"]
    assert pq.read_table(out / signals[0]).column_names == names
    calibration = json.loads((out / "calibration.json").read_text())
    assert (calibration["attack"], calibration["n"], len(calibration["scores"])) == ("reference", 70, 70)
    assert calibration["scores"] == sorted(calibration["scores"])
    assert calibration["origin"]["passes"]["target"] == run["passes"]["target"]
    columns = ["id", "document", "attack", "score", "p_value", "q_value", "flagged", "reason", "limit"]
    assert list(read_csv(out / "flags.csv")[0]) == [*columns, "known_set", "text"]


def test_a_finished_audit_is_read_and_not_computed_again(scene: Scene, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = cli(*scene.audit, "-o", out, "--json", "-q")
    parts = {path: path.stat().st_mtime_ns for path in out.rglob("part-*")}
    assert cli(*scene.audit, "-o", out, "--json", "-q") == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("part-*")} == parts


def test_fail_if_flagged_and_false_discoveries(scene: Scene, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli(*scene.audit, "-o", out, "-q", "--fail-if-flagged").code == 3
    ran = cli(*scene.audit, "-o", out, "-q", "--fdr", "0.1", "--json")
    assert (ran.code, ran.json["flags"]["rule"]) == (0, {"rate": "fdr", "level": 0.1, "confidence": None})
    flags = read_csv(out / "flags.csv")
    assert all((row["flagged"] == "true") == (float(row["q_value"]) <= 0.1) for row in flags)
    assert ran.json["flags"]["flagged"] >= 20
    # The base model was trained on none of the passages.
    base = [scene.reference if argument == scene.model else argument for argument in scene.audit]
    at = base.index("-r")
    alone = [*base[:at], *base[at + 2 :], "--stand-in", "none"]
    ran = cli(*alone, "-o", tmp_path / "same", "-q", "-a", "loss", "--fpr", "0.02", "--fail-if-flagged", "--json")
    assert ran.json["flags"]["finding"]["p_value"] > 0.05
    assert ran.code == 0, "what chance alone flags is no finding"
    assert ran.json["flags"]["flagged"] <= 6


def test_the_stages_give_the_same_as_the_audit(scene: Scene, cli: Cli, tmp_path: Path) -> None:
    whole = cli(*scene.audit, "-o", tmp_path / "audit", "--details", "--json", "-q")
    run, calibration, flags = (
        tmp_path / f"run[/x]:snake:{'long' * 40}",
        tmp_path / "calibration.json",
        tmp_path / "flags.csv",
    )
    ran = cli("score", scene.folder / "all.jsonl", "-m", scene.model, "-r", scene.reference, "-o", run, "-q")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"140 passages scored by {', '.join(CARD)}: {run / 'scores.parquet'}\n"
    ran = cli("calibrate", run, "-a", "default", "--fpr", "0.05", "-o", calibration, "--json")
    # Only the audit has checked the known set.
    unchecked = {"standing": "not_validated"}
    assert (ran.code, ran.json) == (0, {**whole.json["calibration"], **unchecked})
    ran = cli("flag", "--details", run, "-c", calibration, "-o", flags, "--json", "--fail-if-flagged")
    assert (ran.code, ran.json) == (3, {**whole.json["flags"], **unchecked})
    here, there = read_csv(flags), read_csv(tmp_path / "audit" / "flags.csv")
    unnamed = [
        [{**row, "id": "", "document": "", "known_set": "", "text": ""} for row in rows] for rows in (here, there)
    ]
    assert unnamed[0] == unnamed[1]
    ran = cli("evaluate", "--details", run, "--json")
    assert ran.json == {**whole.json["evaluation"], **unchecked}
    ran = cli("evaluate", "--details", run, "-a", "reference")
    assert ran.code == 0
    assert "no audit has checked the texts of this run" in ran.err
    assert "reference" in ran.out
    assert "min_k" not in ran.out


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_scores_of_another_program(kind: str, cli: Cli, tmp_path: Path) -> None:
    order = [37 * i % 70 for i in range(70)]
    rows = [{"passage_id": f"0{i}", "is_member": i % 2 if i < 60 else None, "gain": i + 0.5} for i in order]
    table = tmp_path / f"t.{kind}"
    if kind == "jsonl":
        write(table, rows)
    elif kind == "csv":
        pyarrow.csv.write_csv(pyarrow.Table.from_pylist(rows), table)
    else:
        pq.write_table(pyarrow.Table.from_pylist(rows), table)
    ran = cli("calibrate", table, "-a", "gain", "--fpr", "0.1", "-o", tmp_path / "c.json")
    assert (ran.code, ran.out) == (0, f"threshold 54.5 on gain (30 non-members, FPR ≤ 10 %): {tmp_path / 'c.json'}\n")
    ran = cli("flag", "--details", table, "-c", tmp_path / "c.json", "-o", tmp_path / "f.csv", "--json")
    assert (ran.code, ran.json["candidates"], ran.json["flagged"]) == (0, 10, 10)
    assert ran.err.startswith("note: the scores or the calibration do not record their model")
    assert [row["id"] for row in read_csv(tmp_path / "f.csv")] == [f"0{i}" for i in order if i >= 60]
    ran = cli("evaluate", "--details", table, "-a", "gain", "--json")
    assert ran.json["attacks"]["gain"]["auroc"]["value"] == pytest.approx(465 / 900)
    ran = cli("evaluate", "--details", table, "-a", "gain", "--label-column", "")
    assert (ran.code, ran.err.count("\n")) == (1, 1)


def test_attacks(cli: Cli) -> None:
    ran = cli("attacks")
    assert (ran.code, ran.err) == (0, "")
    for name in ATTACKS:
        assert f" {name}" in ran.out
    ran = cli("attacks", "min_k")
    assert "as in -a min_k:k=0.2" in ran.out
    assert "arXiv:2310.16789" in ran.out
    listed = cli("attacks", "--json").json
    assert sorted(listed) == sorted(ATTACKS)
    assert listed["reference"]["passes"] == ["target", "reference"]
    assert cli("attacks", "min_k:k=0.1", "--json").json["min_k:k=0.1"]["settings"] == {"k": 0.1}


def test_help_and_usage(cli: Cli) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        ran = cli(*arguments)
        assert (ran.code, ran.err) == (0, "")
        assert "Was this language model trained on these texts?" in ran.out
    assert "--nonmembers" in cli("audit", "--help").out
    ran = cli("scoer", "x")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("llm-mia: No such command 'scoer'.")
    assert ran.err.count("\n") == 1
    ran = cli("score", "-")
    assert (ran.code, ran.err) == (
        2,
        "llm-mia: Missing option '-m' / '--target' / '--model'. Missing option '-o' / '--out'. "
        "(see 'llm-mia score --help')\n",
    )


def test_stdin_at_the_real_command(scene: Scene, tmp_path: Path) -> None:
    with (scene.folder / "candidates.jsonl").open() as stream:
        command = [str(LLM_MIA), "score", "-", "-m", scene.reference, "-a", "loss", "-q", "-o", str(tmp_path / "run")]
        ran = subprocess.run(
            [*command, "--label-column", ""], stdin=stream, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    expected = f"40 passages scored by loss: {tmp_path / 'run' / 'scores.parquet'}"
    assert "".join(ran.stdout.split()) == expected.replace(" ", ""), "a long path may wrap"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("arguments", ["attacks --json", "attacks", "--help"])
def test_a_closed_pipe_is_no_error(arguments: str) -> None:
    """Nobody reads at all, so that every write fails."""
    command = f"set -o pipefail; {{ sleep 0.2; {LLM_MIA} {arguments}; }} | true"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=buffered)
    assert ran.returncode in (0, 1)
    assert ran.stderr == ""
