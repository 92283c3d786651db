"""Token ids → windows in which every token is scored exactly once, with left context.

A passage that fits the window is a single window. A longer one is cut so that each further window repeats the
last ``context`` tokens as left context and scores only what is new. With ``tokens=6, context=2`` and no BOS::

    token       0 1 2 3 4 5 6 7 8 9
    window 1    · 1 2 3 4 5
    window 2            · · 6 7 8 9        · fed, not scored here

Where the model was trained with a BOS token it opens every window and is never scored; then token 0 is scored
too. Without BOS nothing comes before token 0, so it has no likelihood and is not scored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backends import Backend, LengthChecking
from ..errors import UsageError
from ..records import IntArray, TokenSignals, Window, WindowRule

__all__ = ["check_longest_window", "cut", "edges", "join", "window_rule"]

DEFAULT_WINDOW = 2048


def window_rule(model_context: int, tokens: int | None = None) -> WindowRule:
    """The rule for a model that takes *model_context* tokens: a quarter of each further window is context.

    *tokens* sets the window. The default is the model's context, and at most 2,048 tokens: attention grows with the
    square of the window, and text that far back adds little to the prediction of the next token.

    Raises:
        UsageError: the window is longer than the model's context, or shorter than 8 tokens.

    >>> window_rule(1024)
    WindowRule(tokens=1024, context=256)
    """
    if tokens is None:
        tokens = min(model_context, DEFAULT_WINDOW)
    if not 8 <= tokens <= model_context:
        raise UsageError(f"`window_tokens` is {tokens}: it must be 8 to {model_context}, the model's context")
    return WindowRule(tokens, tokens // 4)


def check_longest_window(backend: Backend, rule: WindowRule, n_bytes: int, prefix: IntArray | None = None) -> None:
    """Raise a `ModelError` where *backend* can tell at once that it fails on the longest window there may be.

    Without this the error would come with the first passage of that length, perhaps after hours.

    Args:
        backend: the model.
        rule: how passages are cut.
        n_bytes: UTF-8 bytes of all passages. A token has at least one byte, so no window has more tokens.
        prefix: tokens that precede every window.
    """
    if isinstance(backend, LengthChecking):
        backend.check_length(min(rule.tokens, n_bytes + 1), 0 if prefix is None else len(prefix))


def cut(tokens: IntArray, rule: WindowRule, *, bos: int | None = None, passage: int = 0) -> list[Window]:
    """The windows of a passage, shape (n,) of token ids; none where no token can be scored.

    >>> for w in cut(np.arange(10, dtype=np.int32), WindowRule(tokens=6, context=2)):
    ...     print(w.tokens[: w.first_scored], w.tokens[w.first_scored :])
    [0] [1 2 3 4 5]
    [4 5] [6 7 8 9]
    """
    prefix = np.array([] if bos is None else [bos], dtype=np.int32)
    tokens = np.asarray(tokens, dtype=np.int32)
    room = rule.tokens - len(prefix)
    if len(prefix) + len(tokens) < 2 or len(tokens) == 0:
        return []
    windows = [Window(np.concatenate([prefix, tokens[:room]]), 1, passage)]
    for end in edges(len(tokens), rule, bos=bos is not None):
        start = end - rule.context
        fed = np.concatenate([prefix, tokens[start : start + room]])
        windows.append(Window(fed, len(prefix) + rule.context, passage))
    return windows


def edges(n_tokens: int, rule: WindowRule, *, bos: bool) -> list[int]:
    """Positions of the tokens, of *n_tokens* in a passage, from which on a further window scores.

    What precedes such a token in its window is shorter than what precedes the token before it.

    >>> edges(10, WindowRule(tokens=6, context=2), bos=False)
    [6]
    """
    room = rule.tokens - bos
    return list(range(room, n_tokens, room - rule.context))


def join(parts: Sequence[TokenSignals], tokenizer: str) -> TokenSignals:
    """The signals of a passage from those of its windows, in order; empty where it has none."""
    return TokenSignals.concat(parts, tokenizer)
