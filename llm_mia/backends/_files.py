"""The files that make a model, and digests of them: nothing here reads weights into memory, or imports torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from . import embedded

__all__ = ["files_sha256", "model_sha256"]

# Configuration, weights, tokenizer, template, and the code that some repositories ship.
PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py")
SHA256_NAME = re.compile("[0-9a-f]{64}")


def files_sha256(files: Iterable[Path]) -> str:
    """One digest over the contents of *files*, whatever they are called."""
    digests = sorted(_file_sha256(file) for file in files)
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def model_sha256(name: str | Path, revision: str | None = None) -> str | None:
    """One digest over all files that make the model of this name; None where they are not on this machine.

    Of a folder, or of the snapshot of a hub model in the cache, it goes over configuration, tokenizer, weights and code
    with their names; of a GGUF file over that; of a PEFT adapter over its base model too. The network is not asked.

    Raises:
        MissingExtraError: the embedded model is not installed.
    """
    path = embedded.gguf_file() if str(name) == embedded.NAME else _on_this_machine(str(name), revision)
    try:
        if path is None or not path.is_dir():
            return None if path is None else _file_sha256(path)
        adapter = path / "adapter_config.json"
        if not adapter.is_file():
            return _folder_sha256(path)
        base = _on_this_machine(json.loads(adapter.read_bytes())["base_model_name_or_path"], None)
        return None if base is None else _sha256(_folder_sha256(path), _folder_sha256(base))
    except (OSError, ValueError, KeyError, TypeError):  # whoever loads it will say what is wrong with it
        return None


def _on_this_machine(name: str, revision: str | None) -> Path | None:
    path = Path(name).expanduser()
    if path.exists():
        return path if revision is None else None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # not in the cache, or nothing that the hub could hold
        return None


def _folder_sha256(folder: Path) -> str:
    files = sorted({file for pattern in PATTERNS for file in folder.glob(pattern)})
    return _sha256(*(f"{_file_sha256(file)}  {file.name}" for file in files))


def _sha256(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _file_sha256(file: Path) -> str:
    # In the hub's cache a weights file is a link to a blob that is named by its own digest.
    name = file.resolve().name
    if file.is_symlink() and SHA256_NAME.fullmatch(name):
        return name
    status = file.stat()
    return _read_sha256(file.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)  # a model is asked for its digest before it is loaded and while it is: gigabytes are read once
def _read_sha256(file: Path, _size: int, _mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
