"""A finished run loads no model, and a new attack on it loads none either."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_mia import ModelSpec, load_model, read_passages, score
from llm_mia.backends import Backend
from llm_mia.cli import main
from llm_mia.errors import RunDirectoryError
from llm_mia.records import FilesRecord
from llm_mia.store import RunDirectory, read_run

from .conftest import sentences

TEXTS = sentences(30, seed=8)
# The command line itself, and then what it has imported.
DRIVER = """
import sys
from llm_mia.cli import main
from llm_mia.records import FilesRecord
from llm_mia.store import RunDirectory, read_run
code = main(sys.argv[1:])
print("imported", *sorted({"torch", "transformers", "pandas"} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


class Loads:
    """Counts the models that are loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0

        def load(*arguments: Any, **options: Any) -> Backend:
            self.count += 1
            return load_model(*arguments, **options)

        monkeypatch.setattr("llm_mia.backends.loading.load_model", load)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


@pytest.fixture
def texts(write_jsonl: Callable[..., str]) -> str:
    return write_jsonl("in.jsonl", [{"id": f"p{i}", "text": text} for i, text in enumerate(TEXTS)])


@pytest.fixture
def model(tiny: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def test_neither_torch_nor_transformers_is_imported(texts: str, tiny: str, tiny_reference: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["score", texts, "-m", tiny, "-r", tiny_reference, "-q", "--json", "-o", str(out)]
    assert main([*arguments, "-a", "loss", "-a", "lowercase", "-a", "reference"]) == 0
    scores = (out / "scores.parquet").read_bytes()
    same = ["-a", "loss", "-a", "lowercase", "-a", "reference"]
    for attacks in (same, ["-a", "min_k:k=0.3"], []):
        ran = subprocess.run(
            [sys.executable, "-c", DRIVER, *arguments, *attacks], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "imported\n")
        if attacks == same:
            assert (out / "scores.parquet").read_bytes() == scores
        elif attacks:
            assert json.loads(ran.stdout)["attacks"] == ["min_k:k=0.3"]


def test_a_finished_audit_loads_nothing(loads: Loads, tiny: str, tiny_reference: str, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("c.jsonl", "n.jsonl")]
    for file, part in zip(files, (TEXTS[:8], TEXTS[8:]), strict=True):
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in part))
    arguments = ["audit", str(files[0]), "--nonmembers", str(files[1]), "-m", tiny, "-r", tiny_reference, "-q"]
    for fpr in ("0.1", "0.05"):
        assert main([*arguments, "--fpr", fpr, "-o", str(tmp_path / "run")]) == 0
    assert loads.count == 2


def test_an_audit_reuses_the_signals_of_a_file_with_all_its_passages(
    loads: Loads, tiny: str, tiny_reference: str, tmp_path: Path
) -> None:
    """As the guide on machines says: members, then non-members, then candidates; `score` may run in many processes."""
    parts = {"known": TEXTS[:4], "heldout": TEXTS[4:24], "candidates": TEXTS[24:]}
    files = {name: tmp_path / f"{name}.jsonl" for name in (*parts, "all")}
    for name, part in parts.items():
        files[name].write_text("".join(json.dumps({"id": text[:20], "text": text}) + "\n" for text in part))
    files["all"].write_text("".join(files[name].read_text() for name in parts))
    models = ["-m", tiny, "-r", tiny_reference, "-q", "-o", str(tmp_path / "run")]
    assert main(["score", str(files["all"]), *models]) == 0
    known = ["--members", str(files["known"]), "--nonmembers", str(files["heldout"])]
    assert main(["audit", str(files["candidates"]), *known, *models, "--fpr", "0.2"]) in (0, 4)
    assert loads.count == 2, "the audit loads none"


def test_every_file_is_the_same_after_a_second_call(loads: Loads, texts: str, model: Path, tmp_path: Path) -> None:
    """Also the settings of attacks, some of which are whole numbers (``gap_k``, ``camia``, ``win_k``)."""
    command = ["score", texts, "-m", str(model), "-q", "-o", str(tmp_path / "run")]
    assert main(command) == 0
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert main(command) == 0
    assert loads.count == 1
    assert {path: path.read_bytes() for path in files} == before


def test_what_is_asked_must_be_what_is_there(loads: Loads, texts: str, model: Path, tmp_path: Path) -> None:
    passages, out = read_passages(texts), tmp_path / "run"

    def again(spec: ModelSpec | str, **options: Any) -> int:
        before = loads.count
        score(passages, spec, attacks=["loss"], out=out, **options)
        return loads.count - before

    assert again(ModelSpec(model, dtype="float32")) == 1
    assert read_run(out).passes["target"].files == FilesRecord(ModelSpec(model).sha256(), "float32")
    assert again(str(model)) == 0, "auto is content with what is there"
    assert again(ModelSpec(model, dtype="float32", device="cpu", tokens_per_batch=7)) == 0
    assert again(str(model), window_tokens=64) == 0, "which is what the model's context makes by itself"
    moved = model.rename(tmp_path / "moved")
    assert again(str(moved)) == 0
    with pytest.raises(RunDirectoryError, match="window tokens 64 there, 32 here"):
        again(str(moved), window_tokens=32)
    with pytest.raises(RunDirectoryError, match="dtype float32 there, bfloat16 here"):
        again(ModelSpec(moved, dtype="bfloat16"))


def test_other_files_are_loaded_and_looked_at(loads: Loads, texts: str, model: Path, tmp_path: Path) -> None:
    passages, out = read_passages(texts), tmp_path / "run"
    float32 = ModelSpec(model, dtype="float32")
    score(passages, float32, attacks=["loss"], out=out)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config))
    score(passages, float32, attacks=["loss"], out=out)
    assert loads.count == 2, "they may hold the same model, and do"
    score(passages, float32, attacks=["loss", "zlib"], out=out)
    assert loads.count == 2, "which is then known"
    score(passages, load_model(model, dtype="float32", compiled=False), attacks=["loss"], out=out)
    score(passages, float32, attacks=["loss"], out=out)
    assert loads.count == 3, "of a model in memory no files are known"
    (model / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.1}))
    with pytest.raises(RunDirectoryError, match="config_sha256"):
        score(passages, float32, attacks=["loss"], out=out)


@pytest.mark.parametrize("lack", ["a passage", "a part", "a pass", "the record of the files"])
def test_what_lacks_is_made(lack: str, loads: Loads, texts: str, tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    score(read_passages(texts), tiny, attacks=["loss"], out=out)
    if lack == "a passage":
        with Path(texts).open("a") as file:
            file.write('{"id": "new", "text": "One more."}\n')
    elif lack == "a part":
        (part,) = (out / "signals/target").iterdir()
        part.unlink()
    elif lack == "the record of the files":
        with RunDirectory(out) as run:
            run.update(passes={"target": replace(run.record.passes["target"], files=None)})
    attacks = ["lowercase"] if lack == "a pass" else ["loss"]
    table = score(read_passages(texts), tiny, attacks=attacks, out=out)
    assert loads.count == 2
    fresh = score(read_passages(texts), tiny, attacks=attacks, out=tmp_path / "fresh")
    assert table.column(attacks[0]) == pytest.approx(fresh.column(attacks[0]), rel=1e-3)


def test_another_input_is_refused_before_a_model_is_loaded(
    loads: Loads, tiny: str, write_jsonl: Callable[..., str], tmp_path: Path
) -> None:
    first, second = ([{"text": text} for text in part] for part in (TEXTS[:20], TEXTS[5:]))
    out = tmp_path / "run"
    score(read_passages(write_jsonl("a.jsonl", first)), tiny, attacks=["loss"], out=out)
    with pytest.raises(RunDirectoryError, match=r"where the input has .* \(.*b\.jsonl line 1\), or their texts differ"):
        score(read_passages(write_jsonl("b.jsonl", second)), tiny, attacks=["loss", "lowercase"], out=out)
    assert loads.count == 1
