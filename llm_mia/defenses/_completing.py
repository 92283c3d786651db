"""What an attacker does about tokens whose log-probability is hidden: bounds it, or leaves the tokens out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ..records import TokenSignals

__all__ = ["BOUNDED", "DIRECT", "INVERTED", "JOINED", "MATCHED", "OMITTED", "bounded", "omitted"]

BOUNDED, OMITTED = "bounded", "omitted"
"""Ways with hidden tokens: their largest possible log-probability; or only the tokens that are shown."""
DIRECT, INVERTED, MATCHED = "direct", "inverted", "matched"
"""Ways with a temperature: the log-probabilities as they are shown; those of the model, computed back from them; or
as they are shown, compared with other models at the same temperature."""
JOINED = ", "
"""Between a way with hidden tokens and a way with a temperature."""
# The least positive float32: where a likelier token has all of the probability, the others have less than this.
LEAST = float(np.log(np.finfo(np.float32).tiny))


def bounded(view: TokenSignals) -> TokenSignals:
    """*view* with the largest log-probability that each hidden token can have.

    Of a hidden token is known that at least `rank` tokens are likelier, the likeliest among them with the probability
    exp(`top`). Each of the others has at least the probability p of the token, so exp(top) + rank · p ≤ 1. Whoever sees
    the log-probabilities of all likelier tokens has a lower bound still: signals hold that of the likeliest alone.

    >>> view = TokenSignals.of([-1.0, np.nan], top=np.log([0.5, 0.4]), rank=[2, 3])
    >>> np.round(np.exp(bounded(view).logprob[1]), 6)  # (1 − 0.4) / 3
    np.float32(0.2)
    """
    hidden = np.isnan(view.logprob)
    rest = np.log(np.maximum(-np.expm1(view.top), np.finfo(np.float32).tiny) / np.maximum(view.rank, 1))
    largest = np.maximum(np.minimum(view.top, rest), LEAST).astype(np.float32)
    return replace(view, logprob=np.where(hidden, largest, view.logprob))


def omitted(signals: Mapping[str, TokenSignals], masked: Collection[str]) -> dict[str, TokenSignals]:
    """*signals*, by name of the pass, without the tokens that are hidden in the passes *masked*.

    Passes over the same tokens lose the same tokens, so that tokens can still be compared with each other.

    >>> view, other = TokenSignals.of([-1.0, np.nan]), TokenSignals.of([-2.0, -3.0])
    >>> left = omitted({"target": view, "reference": other}, ["target"])
    >>> left["target"].logprob.tolist(), left["reference"].logprob.tolist()
    ([-1.0], [-2.0])
    """
    shown = {name: ~np.isnan(of_pass.logprob) for name, of_pass in signals.items() if name in masked}
    left = {}
    for name, of_pass in signals.items():
        kept = np.ones(len(of_pass), dtype=bool)
        for other, of_other in shown.items():
            if np.array_equal(signals[other].token_ids, of_pass.token_ids):
                kept &= of_other
        left[name] = of_pass if kept.all() else of_pass.take(kept)
    return left
