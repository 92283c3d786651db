"""GGUF files: converted to safetensors once, completely, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from ...errors import MissingExtraError, ModelError
from ..digests import files_sha256, gguf_parts
from ._gguf_file import DAMAGED, GgufFile, read_gguf
from ._gguf_settings import transformers_settings
from ._gguf_tensors import check_tensors, read_tensors
from ._libraries import explain_errors
from ._locating import cache_folder
from ._tokenizer import read_tokenizer

__all__ = ["convert_gguf", "read_gguf_tokenizer"]

# Raise it whenever the same file would give other weights or settings: models that were converted before are not used.
REVISION = 2
# The most bytes in one file of the converted model: so much is in memory at once.
FILE_BYTES = 1 << 31


def convert_gguf(file: Path) -> Path:
    """A folder with the same model in safetensors.

    It holds every tensor of *file*, and every tensor that the model needs.

    Raises:
        MissingExtraError: the package gguf is not installed.
        ModelError: the file is damaged or incomplete, or holds something that the converted model would lack.
    """
    folder = _converted_folder(file)
    if (folder / "config.json").is_file():
        return folder
    contents = read_gguf(file)
    settings = transformers_settings(contents)
    config = transformers.AutoConfig.for_model(**settings)
    sources = check_tensors(contents, config)
    folder.parent.mkdir(parents=True, exist_ok=True)
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


def _write_weights(file: GgufFile, config: Any, sources: Mapping[str, list[str]], folder: Path) -> None:
    """Write the tensors of *file* to *folder*, in files of `FILE_BYTES` and an index that names them."""
    tensors: dict[str, torch.Tensor] = {}
    holder: dict[str, str] = {}

    def write() -> None:
        name = f"model-{len(set(holder.values())) + 1:05}.safetensors"
        save_file(tensors, folder / name, {"format": "pt"})
        holder.update(dict.fromkeys(tensors, name))
        tensors.clear()

    try:
        for name, tensor in read_tensors(file, config, sources):
            if tensors and sum(t.nbytes for t in tensors.values()) + tensor.nbytes > FILE_BYTES:
                write()
            tensors[name] = tensor
        write()
        index = {"metadata": {"total_size": 0}, "weight_map": holder}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"the converted model does not fit into {folder.parent} ({error.strerror}): free space there, or set the "
            "environment variable LLM_MIA_CACHE to another folder"
        ) from None


def read_gguf_tokenizer(file: Path, *, trust_remote_code: bool) -> Any:
    """The tokenizer in a GGUF file, without its weights; tokenizer.json in its folder comes first."""
    if (file.parent / "tokenizer.json").is_file():
        return read_tokenizer(file.parent, trust_remote_code=trust_remote_code)
    # Saved and read again, as the tokenizer of a converted model is.
    with tempfile.TemporaryDirectory() as temporary:
        with _reading(file) as names:
            transformers.AutoConfig.from_pretrained(**names).save_pretrained(temporary)
            transformers.AutoTokenizer.from_pretrained(**names).save_pretrained(temporary)
        return read_tokenizer(Path(temporary), trust_remote_code=trust_remote_code)


def _converted_folder(file: Path) -> Path:
    return cache_folder() / f"gguf-{REVISION}-{files_sha256(gguf_parts(file))[:16]}"


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[dict[str, Any]]:
    """The arguments with which transformers reads *file*; its errors are explained and its progress bar is hidden."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf, which reads GGUF files,", "pip install 'llm-mia[gguf]'")
    with (
        explain_errors(DAMAGED),
        contextlib.redirect_stderr(io.StringIO()),  # no setting turns this progress bar off
    ):
        yield {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
