"""From the name of a model to its tokenizer, without its weights."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import tempfile
from pathlib import Path
from typing import Any

import transformers

from ...errors import MissingExtraError
from ._identity import files_sha256
from ._loading import HUB_FILES, Options, _base_of, _cache, _explained, _folder, _readable, _tokenizer, quiet
from ._tokenizer import LocalTokenizer

__all__ = ["load_tokenizer"]

FILES = [pattern for pattern in HUB_FILES if pattern != "*.safetensors"]


def load_tokenizer(path: str, *, name: str, revision: str | None, trust_remote_code: bool) -> LocalTokenizer:
    """The tokenizer of the model at *path*; see `llm_mia.backends.ModelSpec.tokenizer`."""
    options = Options("auto", "cpu", trust_remote_code)
    with quiet(), _readable(name):
        folder, _ = _folder(path, revision, FILES)
        if folder.suffix == ".gguf":
            return LocalTokenizer(_from_gguf(folder, options), name=name)
        if (folder / "adapter_config.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            folder = _base_of(folder, FILES)
        return LocalTokenizer(_tokenizer(folder, options), name=name)


def _from_gguf(file: Path, options: Options) -> Any:
    """The tokenizer inside a GGUF file, by the same way as that of the converted model: saved, and read again."""
    converted = _cache() / f"gguf-{files_sha256([file])[:16]}"
    if (converted / "config.json").is_file():
        return _tokenizer(converted, options)
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf, which reads GGUF files,", "pip install 'llm-mia[gguf]'")
    names = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    with tempfile.TemporaryDirectory() as folder:
        with (
            _explained("a GGUF file that is damaged, or of a kind that transformers cannot read"),
            contextlib.redirect_stderr(io.StringIO()),  # a bar of its own that no switch turns off
        ):
            transformers.AutoConfig.from_pretrained(**names).save_pretrained(folder)
            transformers.AutoTokenizer.from_pretrained(**names).save_pretrained(folder)
        return _tokenizer(Path(folder), options)
