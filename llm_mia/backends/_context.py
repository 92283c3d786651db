"""Whether a prefix and the windows after it fit what a model takes."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from ..records import IntArray, ModelRecord, Window

__all__ = ["refuse_beyond_context", "sizes"]


def refuse_beyond_context(info: ModelRecord, prefix: IntArray, windows: Sequence[Window]) -> None:
    """Raise a `ModelError` where *prefix* and the longest of *windows* exceed the model's context together."""
    if len(prefix) + max(len(w.tokens) for w in windows) > info.context:
        raise ModelError(
            f"model {info.id!r} takes {info.context} tokens, which {sizes(prefix, windows)} exceed: give fewer or "
            "shorter `shots`, or ask for shorter windows with `window_tokens`"
        )


def sizes(prefix: IntArray, windows: Sequence[Window]) -> str:
    """How long they are, for messages."""
    return f"a prefix of {len(prefix)} tokens and a window of {max(len(w.tokens) for w in windows)}"
