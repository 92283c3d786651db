"""Whatever is typed or fed: exit 1 or 2, one line that names place and mend, no traceback, nothing half-written.

A full disk and Ctrl-C, the last two of the list, are in test_resume.py.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from llm_mia.cli import app, main
from llm_mia.cli.parameters import commands_by_name

from .conftest import pretend, sentences

TEXTS = sentences(40, seed=30)
GOOD = '{"text": "a good line"}\n'


@pytest.fixture
def fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is the fake one, seeded by the length of its name."""
    pretend(monkeypatch)


Fails = Callable[..., str]


@pytest.fixture
def fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail; gives the one line, less the folder of the test."""

    def fails(*arguments: str | Path, code: int = 1) -> str:
        before = contents(tmp_path)
        assert main([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert re.fullmatch(r"llm-mia: [^\n]+\n", err), err
        assert contents(tmp_path) == before, "it left something, or changed it"
        assert named_options(err) <= options(str(arguments[0])), "it names an option that the command does not have"
        return err.replace(f"{tmp_path}/", "").removeprefix("llm-mia: ").rstrip()

    return fails


def named_options(message: str) -> set[str]:
    """The options that *message* names, less the one that the user typed and that does not exist."""
    return set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"No such option: \S+|'llm-mia \S+ --help'", "", message))
    )


def options(command: str) -> set[str]:
    named = commands_by_name(typer.main.get_command(app))
    of_command = [each for name, each in named.items() if command in (name, name.split()[0])]
    return {option for each in of_command for parameter in each.params for option in parameter.opts}


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def rows(path: Path, texts: Sequence[str], **more: object) -> Path:
    path.write_text(
        "".join(json.dumps({"id": f"{path.stem}{i}", "text": t, **more}) + "\n" for i, t in enumerate(texts))
    )
    return path


Files = Callable[..., list[str]]


@pytest.fixture
def audit(tmp_path: Path) -> Files:
    """The arguments of an audit with a fake model, some of its files replaced by others."""

    def arguments(**changed: Path) -> list[str]:
        files = {
            "candidates": rows(tmp_path / "c.jsonl", TEXTS[:10]),
            "members": rows(tmp_path / "m.jsonl", TEXTS[10:15]),
            "nonmembers": rows(tmp_path / "n.jsonl", TEXTS[15:40]),
            **changed,
        }
        known = ["--members", str(files["members"]), "--nonmembers", str(files["nonmembers"])]
        return ["audit", str(files["candidates"]), *known, "-m", "m", "-q", "-o", str(tmp_path / "run")]

    return arguments


# What is in the files

FILES: dict[str, tuple[str, str | bytes, str]] = {
    "empty file": ("a.jsonl", "", r"a\.jsonl: the file is empty"),
    "only blank lines": ("a.jsonl", "\n \n\n", r"a\.jsonl: no passage in it: only blank lines"),
    "malformed json": (
        "a.jsonl",
        GOOD + '{"text": "x",,}',
        r"a\.jsonl line 2: malformed JSON at column 14 .*correct it",
    ),
    "no object": ("a.jsonl", GOOD + '["text"]', r"a\.jsonl line 2: not a JSON object but a list: write each line"),
    "no text column": (
        "a.jsonl",
        '{"txet": "x", "n": 1}',
        r"line 1: no text column .* are 'txet', 'n'; did you mean",
    ),
    "text null": ("a.jsonl", '{"text": null}', r"line 1: column 'text' holds null, not text: remove it"),
    "text a number": ("a.jsonl", '{"text": 5}', r"line 1: column 'text' holds a number, not text: remove it"),
    "text empty": ("a.jsonl", GOOD + '{"text": ""}', r"line 2: the text in column 'text' is empty: remove it"),
    "text only spaces": ("a.jsonl", '{"text": " \\t"}', r"line 1: the text .* is only white space: remove it"),
    "not utf-8": (
        "a.jsonl",
        GOOD.encode() + b'{"text": "\xe9"}',
        r"line 2: not UTF-8: 0xe9 at byte 11 .*convert the file",
    ),
    "utf-16": ("a.jsonl", GOOD.encode("utf-16"), r"line 1: starts with a UTF-16 byte order mark; convert"),
    "nul bytes": ("a.jsonl", b'{"text": "a\0b"}', r"line 1: a NUL byte \(byte 12 of the line\): .*convert"),
    "lone surrogate": (
        "a.jsonl",
        '{"text": "ab\\udc80"}',
        r"line 1: .*lone surrogate \(\\udc80, character 3\).*write it",
    ),
    "ragged csv": ("a.csv", "text,n\na,1\nb\n", r"a\.csv line 3: 1 fields, but the header has 2: .*must be quoted"),
    "open quote in csv": ("a.csv", 'text\n"a\nb\n', r"a\.csv line 2: a quote that opens in this row is never closed"),
    "corrupt parquet": ("a.parquet", b"PAR1 and no more", r"a\.parquet: not a readable Parquet file .*copy it again"),
    "duplicate ids": (
        "a.jsonl",
        '{"text": "a", "id": "x"}\n{"text": "b", "id": "x"}',
        r"a\.jsonl line 2: the id 'x' occurs twice, first at a\.jsonl line 1: ids must differ",
    ),
    "labels": (
        "a.jsonl",
        '{"text": "a", "label": "maybe"}',
        r"line 1: column 'label' holds 'maybe'; a label is 1 or true",
    ),
    "another format": ("a.docx", "x", r"a\.docx: the suffix '\.docx' is not supported: convert it to txt"),
}


@pytest.mark.usefixtures("fake_models")
@pytest.mark.parametrize(("name", "content", "expected"), FILES.values(), ids=FILES)
def test_bad_files(name: str, content: str | bytes, expected: str, fails: Fails, audit: Files, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(expected, fails("score", path, "-m", "m", "-q", "-o", tmp_path / "deep" / "run"))
    # Labels of inputs whose role gives the label are judged as a whole: see test_cli_columns.py.
    for role in () if "label" in expected else ("candidates", "members", "nonmembers"):
        assert re.search(expected, fails(*audit(**{role: path})))


@pytest.mark.usefixtures("fake_models")
def test_bad_columns_and_windows(fails: Fails, tmp_path: Path) -> None:
    more = ("-m", "m", "-q", "-o", tmp_path / "run")
    assert fails("score", tmp_path / "none.jsonl", *more) == "none.jsonl: no such file or folder"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "readme.pdf").write_text("x")
    assert fails("score", tmp_path / "folder", *more).startswith(
        "folder: a folder without passages: no file in it ends in"
    )
    good = rows(tmp_path / "g.jsonl", TEXTS)
    message = fails("score", good, "--text-column", "txt", *more)
    assert (
        message == "g.jsonl line 1: no column 'txt'; the columns are 'id', 'text'; did you mean --text-column 'text'?"
    )
    assert "must be at least 1" in fails("score", good, "--passage-tokens", "0", *more, code=2)
    assert "'--passage-tokens'" in fails("score", good, "--passage-tokens", "many", *more, code=2)
    assert "'--tokens-per-batch'" in fails("score", good, "--tokens-per-batch", "0", *more, code=2)
    message = fails("score", good, "--window-tokens", "2000", *more, code=2)
    assert message == "--window-tokens is 2000: it must be 8 to 1024, the model's context"


# Passages that do not go together


@pytest.mark.usefixtures("fake_models")
def test_the_same_text_twice(fails: Fails, audit: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = rows(tmp_path / "both.jsonl", [TEXTS[20], *TEXTS[10:14]])
    message = fails(*audit(members=both))
    assert "both.jsonl line 1 and n.jsonl line 6: 1 text occurs both among members and among non-members" in message
    assert "(ids 'both0' = 'n5'): remove one of the two" in message
    twice = rows(tmp_path / "twice.jsonl", [TEXTS[0], TEXTS[0], TEXTS[10], *TEXTS[1:9]])
    assert main([*audit(candidates=twice), "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"][1:]  # the first is that no other model has scored
    assert notes[0].startswith(
        "1 text occurs more than once among the candidates (ids 'twice0' = 'twice1'): all are kept"
    )
    assert notes[1].startswith("1 text occurs both among the candidates and in the known set (ids 'twice2' = 'm0')")


@pytest.mark.usefixtures("fake_models")
def test_the_wrong_labels_and_too_few(fails: Fails, audit: Files, tmp_path: Path) -> None:
    message = fails(*audit(members=rows(tmp_path / "x.jsonl", TEXTS[10:15], label=0)))
    assert message.startswith(
        "x.jsonl: 5 rows cannot be passages (lines 1, 2, 3, 4, 5): its label is 0 but the whole input was given as "
        "members: move the row"
    )
    few = rows(tmp_path / "few.jsonl", TEXTS[15:25])
    assert (
        fails(*audit(nonmembers=few)) == "few.jsonl: 10 non-members cannot certify FPR ≤ 0.05: at least 19 are needed"
    )
    message = fails(*audit(), "--fpr", "0.001")
    assert message == "n.jsonl: 25 non-members cannot certify FPR ≤ 0.001: at least 999 are needed"
    for rate in ("0", "1", "-1", "nan"):
        assert fails(*audit(), "--fpr", rate, code=2).startswith("--fpr must lie between 0 and 1, both excluded: got ")
    documents = [{"text": text, "id": text, "document": f"d{i // 3}"} for i, text in enumerate(TEXTS[15:40])]
    shared = tmp_path / "shared.jsonl"
    shared.write_text("".join(json.dumps(row) + "\n" for row in documents))
    assert "FDR ≤ 0.001" in fails(*audit(), "--fdr", "0.001")
    assert "9 documents of non-members cannot support a discovery at FDR ≤ 0.001" in fails(
        *audit(nonmembers=shared), "--fdr", "0.001"
    )
    assert "'--fpr'" in fails(*audit(), "--fpr", "five", code=2)
    assert fails(*audit(), "--fpr", "5 %", code=2) == "--fpr is '5 %': give a share, as in 0.05"
    assert "'--fpr'" in fails(*audit(), "--fpr", "five%", code=2)


@pytest.mark.usefixtures("fake_models")
def test_a_missing_class_is_refused(fails: Fails, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, missing in ((1, "non-members (0)"), (0, "members (1)")):
        path = rows(tmp_path / f"{label}.jsonl", TEXTS, label=label)
        assert main(["score", str(path), "-m", "m", "-a", "loss", "-q", "-o", str(tmp_path / f"run{label}")]) == 0
        capsys.readouterr()
        assert f"no row has the label of {missing}: both are needed, so score known passages of " in fails(
            "evaluate", tmp_path / f"run{label}"
        )
    message = fails("calibrate", tmp_path / "run1", "-a", "loss", "-o", tmp_path / "c.json")
    assert message.endswith(
        "no row has the label 0 (known non-member), and the threshold is set by known non-members: add them"
    )
    assert main(["calibrate", str(tmp_path / "run0"), "-a", "loss", "-o", str(tmp_path / "c.json")]) == 0
    capsys.readouterr()
    message = fails("flag", tmp_path / "run0", "-c", tmp_path / "c.json", "-o", tmp_path / "f.csv")
    assert message.endswith(
        "every row has a label, so there are no candidates: use --labelled to decide on labelled rows"
    )
    message = fails("flag", tmp_path / "run0", "-c", tmp_path / "none.json", "-o", tmp_path / "f.csv")
    assert message == (
        "none.json: cannot be read (No such file or directory): name a file that 'llm-mia calibrate' wrote"
    )
    assert "calibrate" in fails("flag", tmp_path / "run0", "-c", tmp_path / "run0/run.json", "-o", tmp_path / "f.csv")


# What is typed

TYPED: dict[str, tuple[list[str], str]] = {
    "unknown attack": (["-a", "mink"], "no attack is named 'mink': did you mean 'min_k'?"),
    "nothing near": (["-a", "quux"], "no attack is named 'quux': there are min_k, min_k++, gap_k, "),
    "unknown setting": (["-a", "min_k:q=1"], "attack 'min_k' has no setting 'q'; it has: k"),
    "out of range": (["-a", "min_k:k=1.5"], "attack 'min_k': k=1.5 is out of range; it must be above 0 and at most 1"),
    "not a number": (["-a", "min_k:k=half"], "attack 'min_k': k=half is not a number"),
    "no reference": (["-a", "reference"], "attack 'reference' needs a reference model: give it as --reference"),
    "twice": (["-a", "loss", "-a", "loss"], "attack 'loss' is named twice"),
    "unknown option": (["--atack", "loss"], "No such option: --atack"),
}


@pytest.mark.usefixtures("fake_models")
@pytest.mark.parametrize(("typed", "expected"), TYPED.values(), ids=TYPED)
def test_bad_arguments(typed: list[str], expected: str, fails: Fails, audit: Files, tmp_path: Path) -> None:
    good = rows(tmp_path / "g.jsonl", TEXTS)
    assert fails("score", good, "-m", "m", "-q", "-o", tmp_path / "run", *typed, code=2).startswith(expected)
    assert fails(*audit(), *typed, code=2).startswith(expected)


# Models and folders


def test_bad_models(fails: Fails, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    good = rows(tmp_path / "g.jsonl", TEXTS)
    cut, pickled, seq2seq = (Path(shutil.copytree(tiny, tmp_path / name)) for name in ("cut", "pickled", "seq2seq"))
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-100])
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    (seq2seq / "config.json").write_text('{"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}')
    expected = {
        str(tmp_path / "none"): "no such folder or file",
        "no/such-model": "no such folder here, and it is not in the cache of the hub; ",
        str(cut): "its weights file is damaged or cut short",
        str(
            pickled
        ): "its weights are pickled (pytorch_model.bin), and loading them can run code: save them as safetensors",
        str(seq2seq): "not a causal language model (T5Config)",
    }
    for model, problem in expected.items():
        message = fails("score", good, "-m", model, "-a", "loss", "-q", "-o", tmp_path / "new" / "run")
        assert message.startswith(f"model '{model}': {problem}".replace(f"{tmp_path}/", ""))
    message = fails("score", good, "-m", tiny, "--dtype", "int3", "-q", "-o", tmp_path / "run", code=2)
    assert message.endswith("--dtype must be auto, float32, bfloat16, float16: got 'int3'")


@pytest.mark.usefixtures("fake_models")
def test_bad_folders(fails: Fails, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = rows(tmp_path / "g.jsonl", TEXTS)
    file = rows(tmp_path / "file.jsonl", TEXTS)
    refusals = {
        file: r"^file\.jsonl: is a file, and the results need a folder: name another with --out$",
        file / "below": r"^file\.jsonl/below: cannot be written, because \S*file\.jsonl is a file: name another place",
        Path("/proc/run"): r": cannot be written, because /proc takes no file \(.*\): name another place with --out$",
    }
    for out, expected in refusals.items():
        assert re.search(expected, fails("score", good, "-m", "m", "-q", "-o", out))
        assert "cannot be written" in fails("calibrate", scored(tmp_path), "-a", "loss", "-o", out / "c.json")
    assert main(["score", str(good), "-m", "m", "-a", "loss", "-q", "-o", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    message = fails("score", good, "-m", "another", "-a", "loss", "-q", "-o", tmp_path / "run")
    assert message.startswith(
        "run: belongs to another run (target: model fake-1 there, fake-7 here; model weights_sha256 seed 1 there, "
        "seed 7 here); name"
    )
    typed = fails("score", good, "-m", "another", "-a", "loss", "-q", "-o", f"{tmp_path / 'run'}/")
    assert typed.startswith("run/: belongs to another run "), "the folder reads as it was typed"
    assert "window tokens 1024 there, 64 here" in fails(
        "score", good, "-m", "m", "-a", "loss", "-q", "--window-tokens", "64", "-o", tmp_path / "run"
    )
    other = rows(tmp_path / "other.jsonl", TEXTS[1:])
    assert "holds signals of 'g0' where the input has 'other0'" in fails(
        "score", other, "-m", "m", "-q", "-o", tmp_path / "run"
    )
    assert "holds no run.json, so it is not a run directory" in fails("evaluate", tmp_path)


def scored(folder: Path) -> Path:
    path = folder / "scored.parquet"
    pq.write_table(pa.table({"label": [0] * 30, "loss": np.sin(np.arange(30.0))}), path)
    return path
