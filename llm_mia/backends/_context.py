"""Windows that a model does not take, or gives no numbers for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..records import IntArray, ModelRecord, TokenSignals, Window

__all__ = ["LEAST_WINDOW", "WindowError", "describe_lengths", "refuse_beyond_context", "refuse_no_numbers"]

LEAST_WINDOW = 8
"""The fewest tokens of a window that a user can ask for, see `llm_mia.signals.window_rule`."""


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


def refuse_no_numbers(info: ModelRecord, windows: Sequence[Window], scored: Sequence[TokenSignals]) -> None:
    """Raise a `WindowError` for the first of *windows* with a token whose log-probability is NaN or infinite."""
    for window, signals in zip(windows, scored, strict=True):
        bad = np.flatnonzero(~np.isfinite(signals.logprob))
        if not len(bad):
            continue
        token, value = window.tokens[window.first_scored + bad[0]], signals.logprob[bad[0]]
        if value == -np.inf:
            problem = (
                f"gives the token {token} the probability 0, so the passage has no score: remove the passage, or give "
                "another model"
            )
        else:
            computed_here = info.endpoint is None and info.dtype != "float32"
            advice = "give float32 as `dtype`" if computed_here else "repair it, or give another model"
            problem = (
                f"gives {value:g} as the log-probability of the token {token}: its weights are damaged, or exceed the "
                f"range of {info.dtype}; {advice}"
            )
        raise WindowError(f"model {info.id!r} {problem}", window.passage)
