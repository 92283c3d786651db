"""The folder of a trained model: small where it can be, loaded by its name, and written whole or not at all."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_mia.backends import ModelSpec, embedded, load_model
from llm_mia.errors import ModelError, RunDirectoryError
from llm_mia.training import Method, Recipe, train

from .conftest import build_tokenizer, save, sentences
from .families import build_family
from .test_loading import TEXTS, logprobs
from .test_loading_gguf import write_gguf
from .test_training import loaded, mean_loss

LORA = Recipe(Method.LORA, 2, 4, 1e-2)
LEARNED, SHORT = sentences(8, seed=5), sentences(5, seed=6, longest=8)


def settings_of(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    return settings


def test_an_adapter_names_its_base_as_the_user_did(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    train("base", LEARNED, "model", LORA)
    assert settings_of(tmp_path / "model")["base_model_name_or_path"] == "base"
    assert str(tmp_path) not in "".join(file.read_text("utf-8") for file in (tmp_path / "model").glob("*.json"))
    assert {file.name for file in (tmp_path / "model").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "training.json",
    }
    assert not any("lora" in name for name, _ in loaded("model").model.named_parameters()), "it is merged"


def test_an_adapter_on_a_gguf_file_and_on_the_embedded_model(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded, it scores as the adapter on the same weights in a folder, with the tokenizer of the GGUF file."""
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "tiny.gguf"
    write_gguf(Path(tiny), file)
    monkeypatch.setattr(embedded, "gguf_file", lambda: file)
    for name, base in (("folder", tiny), ("gguf", file), ("embedded", embedded.NAME)):
        train(base, LEARNED, tmp_path / name, LORA)
    assert settings_of(tmp_path / "embedded")["base_model_name_or_path"] == "embedded"
    assert "package" not in (tmp_path / "embedded" / "training.json").read_text("utf-8")
    scores = {name: logprobs(loaded(tmp_path / name)) for name in ("folder", "gguf", "embedded")}
    assert np.array_equal(scores["gguf"], scores["embedded"])
    # The GGUF file holds the same numbers; its conversion and the merge round in float32.
    assert scores["gguf"] == pytest.approx(scores["folder"], abs=1e-4)
    assert np.abs(scores["gguf"] - logprobs(loaded(file))).max() > 0.01
    spec = ModelSpec(tmp_path / "embedded")
    assert spec.tokenizer().fingerprint == ModelSpec(embedded.NAME).tokenizer().fingerprint
    before = spec.sha256()
    assert before is not None
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "other.gguf")
    shutil.copy(file, tmp_path / "other.gguf")
    assert spec.sha256() == before
    with (tmp_path / "other.gguf").open("ab") as stream:
        stream.write(b"more")
    assert spec.sha256() != before, "the digest covers the base"


@pytest.mark.parametrize("family", ["GPT2", "Gemma2", "Mpt"])
def test_the_adapter_of_a_family_is_loaded_as_it_was_trained(family: str, tmp_path: Path) -> None:
    """Also where peft has no list of layers for an architecture: then all linear layers but the head are adapted."""
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    base = save(tmp_path / "base", build_family(family, "float32", vocab_size=320), tokenizer)
    record = train(base, LEARNED, tmp_path / "model", LORA, validation=SHORT)
    assert not {"lm_head", "embed_out"} & set(settings_of(tmp_path / "model")["target_modules"])
    adapted = loaded(tmp_path / "model")
    plain = train(base, LEARNED, tmp_path / "full", Recipe(Method.FULL, 1, 4, 1e-9), validation=SHORT)
    losses = [mean_loss(each, SHORT) for each in (adapted, loaded(tmp_path / "full"))]
    assert losses[0] < losses[1]
    # The validation loss was computed with the adapter in the layers, this after the merge: float32 rounds both.
    assert losses[0] == pytest.approx(record.validation_losses[-1], abs=1e-4)
    assert losses[1] == pytest.approx(plain.validation_losses[-1], abs=1e-4)


def test_an_adapter_on_an_adapter_is_saved_as_a_whole_model(tiny: str, tmp_path: Path) -> None:
    train(tiny, LEARNED, tmp_path / "first", LORA)
    train(tmp_path / "first", TEXTS, tmp_path / "second", LORA)
    assert (tmp_path / "second" / "model.safetensors").exists()
    means = [float(np.mean(logprobs(loaded(folder)))) for folder in (tiny, tmp_path / "first", tmp_path / "second")]
    assert means[2] > means[1], "it was trained on them"
    assert loaded(tmp_path / "second").info.tokenizer == loaded(tiny).info.tokenizer


def test_an_architecture_that_peft_cannot_adapt(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(300, bos=False, seed=1)
    base = save(tmp_path / "base", build_family("Mamba", "float32", vocab_size=320), tokenizer)
    with pytest.raises(
        ModelError, match=r"^model '.*' has no layer to which peft can add an adapter \(.*: use `method` f"
    ):
        train(base, LEARNED, tmp_path / "model", LORA)
    train(base, LEARNED, tmp_path / "model", Recipe(Method.FULL, 1, 4, 1e-3))
    assert loaded(tmp_path / "model").info.tokenizer == loaded(base).info.tokenizer


@pytest.mark.parametrize(
    ("method", "bytes_left"),
    [(Method.FULL, 300), (Method.FULL, 30_000), (Method.LORA, 3000)],
)
def test_a_full_disk_is_one_line_and_the_training_goes_on_later(
    tiny: str, tmp_path: Path, method: Method, bytes_left: int
) -> None:
    """No file may become larger than *bytes_left*, which stops the record, the checkpoint or the weights."""
    recipe = Recipe(method, 2, 4, 1e-2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        with pytest.raises(RunDirectoryError) as caught:
            train(tiny, LEARNED, tmp_path / "model", recipe)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()
    train(tiny, LEARNED, tmp_path / "model", recipe)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert np.isfinite(logprobs(load_model(tmp_path / "model"))).all()
