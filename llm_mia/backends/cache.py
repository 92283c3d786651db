"""Where llm_mia keeps what outlives a run directory."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """The folder for converted models and for the record of decisions.

    It is ``$LLM_MIA_CACHE``, else ``llm_mia`` in the user's cache.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LLM_MIA_CACHE") or Path(home) / "llm_mia")
