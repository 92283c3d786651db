"""Token ids → windows in which every token is scored exactly once, with left context.

A passage that fits the window is a single window. A longer one is cut so that each further window repeats the
last ``context`` tokens as left context and scores only what is new. With ``tokens=6, context=2`` and no opening::

    token       0 1 2 3 4 5 6 7 8 9
    window 1    · 1 2 3 4 5
    window 2            · · 6 7 8 9        · fed, not scored here

What the tokenizer puts before a text (BOS, or several special tokens) opens every window, as in the training of the
model, and is never scored; then token 0 is scored too. Without an opening nothing comes before token 0, so it has no
likelihood and is not scored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backends import LEAST_WINDOW, Backend, LengthChecking
from ..errors import ModelError, UsageError
from ..records import IntArray, TokenSignals, Window, WindowRule

__all__ = ["check_longest_window", "cut", "edges", "join", "window_rule"]

DEFAULT_WINDOW = 2048


def window_rule(model_context: int, tokens: int | None = None, *, opening: int = 0) -> WindowRule:
    """The rule for a model that takes *model_context* tokens: a quarter of each further window is context.

    *tokens* sets the window. The default is the model's context, and at most 2,048 tokens: attention grows with the
    square of the window, and text that far back adds little to the prediction of the next token. *opening* is the
    number of tokens that open every window.

    Raises:
        ModelError: the model's context is too short for any window.
        UsageError: the window is longer than the model's context, or shorter than 8 tokens, or than 6 more than twice
            the *opening*.

    >>> window_rule(1024)
    WindowRule(tokens=1024, context=256)
    """
    # At least 7 tokens of the passage, and more than half of the window: a quarter of it repeats as context.
    least = max(LEAST_WINDOW, 2 * opening + 6)
    if model_context < least:
        raise ModelError(
            f"the model takes {model_context} tokens, and a window has at least {least}: give another model"
        )
    if tokens is None:
        tokens = min(model_context, DEFAULT_WINDOW)
    if not least <= tokens <= model_context:
        raise UsageError(f"`window_tokens` is {tokens}: it must be {least} to {model_context}, the model's context")
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
        backend.check_length(min(rule.tokens, n_bytes + len(backend.opening)), 0 if prefix is None else len(prefix))


def cut(tokens: IntArray, rule: WindowRule, *, opening: Sequence[int] = (), passage: int = 0) -> list[Window]:
    """The windows of a passage, shape (n,) of token ids, each after *opening*; none where no token can be scored.

    >>> for w in cut(np.arange(10, dtype=np.int32), WindowRule(tokens=6, context=2)):
    ...     print(w.tokens[: w.first_scored], w.tokens[w.first_scored :])
    [0] [1 2 3 4 5]
    [4 5] [6 7 8 9]
    """
    prefix = np.array(opening, dtype=np.int32)
    tokens = np.asarray(tokens, dtype=np.int32)
    room = rule.tokens - len(prefix)
    if len(prefix) + len(tokens) < 2 or len(tokens) == 0:
        return []
    windows = [Window(np.concatenate([prefix, tokens[:room]]), max(1, len(prefix)), passage)]
    for end in edges(len(tokens), rule, opening=len(prefix)):
        start = end - rule.context
        fed = np.concatenate([prefix, tokens[start : start + room]])
        windows.append(Window(fed, len(prefix) + rule.context, passage))
    return windows


def edges(n_tokens: int, rule: WindowRule, *, opening: int) -> list[int]:
    """Positions of the tokens, of *n_tokens* in a passage, from which on a further window scores.

    What precedes such a token in its window is shorter than what precedes the token before it. *opening* is the number
    of tokens that open every window.

    >>> edges(10, WindowRule(tokens=6, context=2), opening=0)
    [6]
    """
    room = rule.tokens - opening
    return list(range(room, n_tokens, room - rule.context))


def join(parts: Sequence[TokenSignals], tokenizer: str) -> TokenSignals:
    """The signals of a passage from those of its windows, in order; empty where it has none."""
    return TokenSignals.concat(parts, tokenizer)
