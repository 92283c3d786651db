"""Windows that a model does not take."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from ..records import IntArray, ModelRecord, Window

__all__ = ["WindowError", "describe_lengths", "refuse_beyond_context"]


class WindowError(ModelError):
    """A window that a model fails on; whoever has the passages adds the place of *passage* to the message."""

    def __init__(self, message: str, passage: int) -> None:
        super().__init__(message)
        self.passage = passage
        """`Window.passage` of the window."""


def refuse_beyond_context(info: ModelRecord, prefix: IntArray, windows: Sequence[Window]) -> None:
    """Raise a `ModelError` where *prefix* and the longest of *windows* together exceed the model's context."""
    if len(prefix) + max(len(w.tokens) for w in windows) > info.context:
        raise ModelError(
            f"model {info.id!r} takes {info.context} tokens, fewer than {describe_lengths(prefix, windows)} together: "
            "give fewer or shorter `shots`, or a smaller `window_tokens`"
        )


def describe_lengths(prefix: IntArray, windows: Sequence[Window]) -> str:
    """The lengths of *prefix* and of the longest of *windows*, for messages."""
    return f"a prefix of {len(prefix)} tokens and a window of {max(len(w.tokens) for w in windows)}"
