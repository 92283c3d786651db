"""The folder or file that holds a model, fetched from the hub where the name is a hub id."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import ModelError, UsageError
from .. import embedded
from ..digests import gguf_parts
from ._completeness import refuse_pointer
from ._libraries import first_line

__all__ = ["MODEL_FILES", "TOKENIZER_FILES", "locate_base_model", "locate_model", "read_adapter_config"]

TOKENIZER_FILES = ("*.json", "*.model", "*.txt", "*.jinja")
MODEL_FILES = (*TOKENIZER_FILES, "*.safetensors")
IGNORED_FILES = ["original/*", "consolidated*", "onnx/*", "*.onnx.json"]
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w-][\w.-]*")


def locate_model(name: str, revision: str | None, files: Sequence[str] = MODEL_FILES) -> tuple[Path, str | None]:
    """The local folder or GGUF file of a model, and the commit of a hub model.

    Args:
        name: a path or a hub id.
        revision: branch, tag or commit of a hub model.
        files: patterns of the files to fetch from the hub.
    """
    local = Path(name).expanduser()
    if local.is_dir() or (local.is_file() and local.suffix == ".gguf"):
        if revision is not None:
            raise UsageError(f"is on this machine and has no `revision` {revision!r}: leave out `revision`")
        return (_first_part(local) if local.is_file() else local), None
    if local.is_file():
        raise ModelError("is a file, but not a .gguf file: name the folder that holds config.json and *.safetensors")
    if not HUB_ID.fullmatch(name) or name.startswith("."):
        raise ModelError("no such folder or file")
    from huggingface_hub import snapshot_download

    try:
        snapshot = snapshot_download(name, revision=revision, allow_patterns=list(files), ignore_patterns=IGNORED_FILES)
    except (OSError, ValueError) as error:
        raise ModelError(f"no such folder here, and the hub did not provide it: {first_line(error)}") from None
    return Path(snapshot), Path(snapshot).name


def _first_part(file: Path) -> Path:
    """The first file of the model in a GGUF *file*, which has its settings; all files of a split model are there."""
    parts = gguf_parts(file)
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise ModelError(
            f"its weights are split into {len(parts)} files, and {', '.join(missing)} is not there: download or copy "
            "it too"
        )
    for part in parts:
        refuse_pointer(part)
    return parts[0]


def locate_base_model(adapter: Path, files: Sequence[str] = MODEL_FILES) -> Path:
    """The folder or GGUF file of the model that the PEFT adapter in the folder *adapter* belongs to."""
    settings = read_adapter_config(adapter)
    base = settings["base_model_name_or_path"]
    if base == embedded.NAME:
        return embedded.gguf_file()
    is_here = Path(base).expanduser().exists()
    try:
        return locate_model(base, None if is_here else settings.get("revision"), files)[0]
    except ModelError as error:
        raise ModelError(f"its base model {base!r}: {error}") from None


def read_adapter_config(adapter: Path) -> dict[str, Any]:
    """The settings of the PEFT adapter in the folder *adapter*, which name its base model."""
    try:
        settings: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        base = settings["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str):
        raise ModelError("its adapter_config.json is damaged, or has no base_model_name_or_path")
    return settings
