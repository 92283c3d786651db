"""What to say where a model fails: on which token, or above which length, and what the user can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...records import IntArray
from .._context import LEAST_WINDOW
from ._libraries import first_line

__all__ = ["describe_failure"]

# Tokens of every vocabulary: a model that takes none of them takes nothing.
OTHER_TOKENS = (0, 1, 2)


def describe_failure(
    feed: Callable[[IntArray], object], tokens: IntArray, error: Exception, tokenizer: Any, *, prefix: int = 0
) -> str:
    """What a model fails on when it is fed *tokens*, why, and what to do; it follows the name of the model.

    The start of *tokens* is fed in different lengths until the longest that the model takes is known.

    Args:
        feed: feeds token ids, shape (n,), n ≥ 1, to the model.
        tokens: token ids, shape (n,), on which *feed* raised *error*.
        error: of the model.
        tokenizer: of transformers.
        prefix: the number of *tokens* that precede every window.
    """
    reason = first_line(error)
    if "CUDA error" in str(error):  # after it every call fails
        return f"fails on a window of {len(tokens)} tokens ({reason}): give `device` cpu, where the reason is shown"
    longest = _longest(feed, tokens)
    if not longest and not any(_takes(feed, np.array([token], np.int32)) for token in OTHER_TOKENS):
        return f"fails on every text ({reason}): repair it, or give another model"
    first_bad = int(tokens[longest])
    if not longest or _takes(feed, np.append(tokens[:longest], tokens[0])):
        text = tokenizer.convert_ids_to_tokens(first_bad)
        return (
            f"fails on the token {first_bad} ({text!r}) ({reason}): give the tokenizer that belongs to its weights, or "
            "another model"
        )
    problem = f"takes {longest} tokens, and fails on {len(tokens)} ({reason})"
    if prefix:
        return f"{problem}: give fewer or shorter `shots`, or a smaller `window_tokens`"
    if longest < LEAST_WINDOW:
        return f"{problem}: too few for a window, so give another model"
    return f"{problem}: give a `window_tokens` of at most {longest}"


def _longest(feed: Callable[[IntArray], object], tokens: IntArray) -> int:
    """The length of the longest start of *tokens* that the model takes; 0 where it does not take the first token."""
    taken, refused = 0, len(tokens)
    while refused - taken > 1:
        middle = (taken + refused) // 2
        if _takes(feed, tokens[:middle]):
            taken = middle
        else:
            refused = middle
    return taken


def _takes(feed: Callable[[IntArray], object], tokens: IntArray) -> bool:
    try:
        feed(tokens)
    except Exception:  # noqa: BLE001 - hundreds of model classes, each of which fails in its own way
        return False
    return True
