"""GGUF files: converted to safetensors once, completely, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import save_file

from ....errors import MissingExtraError, ModelError
from ...cache import cache_folder
from ...digests import files_sha256, gguf_parts
from .._completeness import stored_tensors, weight_files
from ._file import GgufFile, read_gguf
from ._settings import transformers_settings
from ._tensors import check_tensors, read_tensors

__all__ = ["convert_gguf"]

# Raise it whenever the same file would give other weights or settings: models that were converted before are not used.
REVISION = 3
# Earlier releases of transformers have other names for settings, and ignore those that they do not know.
OLDEST_TRANSFORMERS = 5
# A conversion takes minutes. After this time without a new file its process is no more.
ABANDONED_SECONDS = 24 * 60 * 60
# The most bytes in one file of the converted model: so much is in memory at once.
FILE_BYTES = 1 << 31


def convert_gguf(file: Path) -> Path:
    """A folder with the same model in safetensors, without its tokenizer.

    It holds every tensor of *file*, and every tensor that the model needs.

    Raises:
        MissingExtraError: the package gguf is not installed.
        ModelError: the file is damaged or incomplete, or holds something that the converted model would lack.
    """
    folder = _converted_folder(file)
    if _is_complete(folder):
        return folder
    if int(transformers.__version__.split(".")[0]) < OLDEST_TRANSFORMERS:
        raise MissingExtraError(
            f"transformers {OLDEST_TRANSFORMERS}, which GGUF files need,",
            f"pip install 'transformers>={OLDEST_TRANSFORMERS}'",
        )
    contents = read_gguf(file)
    settings = transformers_settings(contents)
    config = transformers.AutoConfig.for_model(**settings)
    sources = check_tensors(contents, config)
    shutil.rmtree(folder, ignore_errors=True)  # something was deleted from it
    with _explain_writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="converting-"))
        try:
            config.save_pretrained(temporary)
            _write_weights(contents, config, sources, temporary)
            temporary.chmod(0o755)
            with contextlib.suppress(OSError):  # another process has finished first: its folder holds the same
                temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _remove_abandoned(cache: Path) -> None:
    """Remove what processes that were killed have left; it may be as large as a model."""
    for folder in cache.glob("converting-*"):
        with contextlib.suppress(OSError):  # another process removes it, too
            if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(folder)


@contextlib.contextmanager
def _explain_writing(cache: Path) -> Iterator[None]:
    """Say where the folder of converted models is, if it cannot be written."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a disk that is full
        raise ModelError(
            f"the converted model cannot be written to {cache} ({getattr(error, 'strerror', None) or error}): free "
            "space there, or set the environment variable LLM_MIA_CACHE to another folder"
        ) from None


def _is_complete(folder: Path) -> bool:
    """Whether *folder* holds a converted model, of which nothing was deleted or cut off since."""
    try:
        return (folder / "config.json").is_file() and bool(stored_tensors(weight_files(folder)))
    except (ModelError, SafetensorError):
        return False


def _write_weights(file: GgufFile, config: Any, sources: Mapping[str, list[str]], folder: Path) -> None:
    """Write the tensors of *file* to *folder*, in files of `FILE_BYTES` and an index that names them."""
    tensors: dict[str, torch.Tensor] = {}
    holder: dict[str, str] = {}

    def write() -> None:
        name = f"model-{len(set(holder.values())) + 1:05}.safetensors"
        save_file(tensors, folder / name, {"format": "pt"})
        holder.update(dict.fromkeys(tensors, name))
        tensors.clear()

    for name, tensor in read_tensors(file, config, sources):
        if tensors and sum(t.nbytes for t in tensors.values()) + tensor.nbytes > FILE_BYTES:
            write()
        tensors[name] = tensor
    write()
    index = {"metadata": {"total_size": 0}, "weight_map": holder}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _converted_folder(file: Path) -> Path:
    return cache_folder() / f"gguf-{REVISION}-{files_sha256(gguf_parts(file))[:16]}"
