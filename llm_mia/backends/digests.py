"""SHA-256 digests of the files that make a model. Nothing here keeps weights in memory or imports torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from . import embedded

__all__ = ["files_sha256", "gguf_parts", "model_sha256"]

# Configuration, weights, tokenizer, template, and the code that some repositories hold.
PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py")
PART_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")
SHA256_NAME = re.compile("[0-9a-f]{64}")


def files_sha256(files: Iterable[Path]) -> str:
    """The digest over the contents of all *files*; it does not depend on their names or their order."""
    digests = sorted(_file_sha256(file) for file in files)
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def gguf_parts(file: Path) -> list[Path]:
    """The files of the model in a GGUF *file*, in order: the names tell where llama.cpp has split it.

    >>> [part.name for part in gguf_parts(Path("big-00002-of-00003.gguf"))]
    ['big-00001-of-00003.gguf', 'big-00002-of-00003.gguf', 'big-00003-of-00003.gguf']
    """
    named = PART_NAME.fullmatch(file.name)
    if named is None:
        return [file]
    return [file.with_name(f"{named[1]}-{i:05}-of-{named[3]}.gguf") for i in range(1, int(named[3]) + 1)]


def model_sha256(name: str | Path, revision: str | None = None) -> str | None:
    """The digest over all files of the model *name*; None where the files are not on this machine.

    For a folder, or for the snapshot of a hub model in the cache, it covers the configuration, the tokenizer, the
    weights and the code, with the names of the files; for a GGUF file, that file, the others of a split model and the
    tokenizer.json in its folder; for a PEFT adapter, its base model too. It does not use the network.

    Raises:
        MissingExtraError: *name* is the embedded model, and the embedded model is not installed.
    """
    path = _local_path(str(name), revision)
    try:
        if path is None or not path.is_dir():
            return None if path is None else _gguf_sha256(path)
        adapter = path / "adapter_config.json"
        if not adapter.is_file():
            return _folder_sha256(path)
        settings = json.loads(adapter.read_bytes())
        base = _local_path(settings["base_model_name_or_path"], settings.get("revision"))
        if base is None:
            return None
        of_base = _folder_sha256(base) if base.is_dir() else _gguf_sha256(base)
        return _text_sha256(_folder_sha256(path), of_base)
    except (OSError, ValueError, KeyError, TypeError):  # loading the model will report what is wrong with it
        return None


def _local_path(name: str, revision: str | None) -> Path | None:
    """The file or folder of the model *name* on this machine."""
    if name == embedded.NAME:
        return embedded.gguf_file()
    path = Path(name).expanduser()
    if path.exists():
        return path if revision is None else None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # not in the cache, or not the name of a hub model
        return None


def _gguf_sha256(file: Path) -> str:
    weights, tokenizer = files_sha256(gguf_parts(file)), file.parent / "tokenizer.json"
    return _text_sha256(weights, _file_sha256(tokenizer)) if tokenizer.is_file() else weights


def _folder_sha256(folder: Path) -> str:
    files = sorted({file for pattern in PATTERNS for file in folder.glob(pattern)})
    return _text_sha256(*(f"{_file_sha256(file)}  {file.name}" for file in files))


def _text_sha256(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _file_sha256(file: Path) -> str:
    # In the hub's cache a weights file is a link to a blob whose name is its digest.
    name = file.resolve().name
    if file.is_symlink() and SHA256_NAME.fullmatch(name):
        return name
    status = file.stat()
    return _content_sha256(file.resolve(), status.st_size, status.st_mtime_ns)


# The digest of a model is needed before it is loaded and while it is loaded: gigabytes are read once.
@lru_cache(maxsize=1024)
def _content_sha256(file: Path, _size: int, _mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
