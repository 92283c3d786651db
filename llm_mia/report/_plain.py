"""Records as JSON holds them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """*value* as JSON holds it: a number that is infinite or NaN is null, and keys and paths are strings.

    >>> plain({0.01: (math.inf, Path("run"), 1)})
    {'0.01': [None, 'run', 1]}
    """
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
