"""GGUF files: converted to safetensors once, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

from ...errors import MissingExtraError
from ..digests import files_sha256
from ._libraries import explain_errors
from ._locating import cache_folder

__all__ = ["convert_gguf"]


def convert_gguf(file: Path) -> Path:
    """A folder with the same model in safetensors, without its tokenizer."""
    folder = _converted_folder(files_sha256([file]))
    if not (folder / "config.json").is_file():
        _convert(file, folder)
    return folder


def _convert(file: Path, folder: Path) -> None:
    with _reading(file) as names:
        dequantised = transformers.AutoModelForCausalLM.from_pretrained(**names, dtype=torch.float32)
    config = dequantised.config
    # As long as the configuration names a quantisation, transformers refuses to save the dequantised weights.
    del config.quantization_config
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(dequantised.state_dict())
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="converting-"))
    try:
        model.save_pretrained(temporary)
        temporary.chmod(0o755)
        with contextlib.suppress(OSError):  # another process has finished first: its folder holds the same
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _converted_folder(digest: str) -> Path:
    return cache_folder() / f"gguf-{digest[:16]}"


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[dict[str, Any]]:
    """The arguments with which transformers reads *file*; its errors are explained and its progress bar is hidden."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf, which reads GGUF files,", "pip install 'llm-mia[gguf]'")
    with (
        explain_errors("the GGUF file is damaged, or of a kind that transformers cannot read"),
        contextlib.redirect_stderr(io.StringIO()),  # no setting turns this progress bar off
    ):
        yield {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
