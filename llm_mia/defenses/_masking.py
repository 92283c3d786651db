"""What a defence of the outputs does to the log-probabilities that are shown: hide, round, or disturb them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import TokenSignals

__all__ = ["add_noise", "hide_all", "hide_outside_top", "keep_all", "round_to_digits"]

FloatArray = NDArray[np.float32]


def keep_all(signals: TokenSignals, **_: Any) -> TokenSignals:
    """*signals* themselves."""
    return signals


def hide_all(signals: TokenSignals, **_: Any) -> TokenSignals:
    """*signals* without log-probabilities."""
    hidden = np.full(len(signals), np.nan, np.float32)
    return replace(signals, logprob=hidden, top=hidden)


def hide_outside_top(signals: TokenSignals, *, k: int, **_: Any) -> TokenSignals:
    """*signals* with the log-probabilities of the *k* likeliest tokens; a token that is not among them has NaN."""
    return replace(signals, logprob=np.where(signals.rank < k, signals.logprob, np.float32(np.nan)))


def round_to_digits(signals: TokenSignals, *, d: int, **_: Any) -> TokenSignals:
    """*signals* with every log-probability rounded to *d* digits after the point."""
    return replace(signals, logprob=np.round(signals.logprob, d), top=np.round(signals.top, d))


def add_noise(signals: TokenSignals, *, sd: float, kind: str, seed: int, text_seed: int) -> TokenSignals:
    """*signals* with noise of the standard deviation *sd* on every log-probability; none is above 0.

    Where the token is the likeliest, it is shown once, so both entries have the same noise.

    Args:
        signals: of a text.
        sd: the standard deviation in nats.
        kind: ``gaussian`` or ``laplace``.
        seed: of the defence, which the attacker does not know.
        text_seed: of the text: the noise depends on these two alone, so the same query always has the same noise.
    """
    rng = np.random.default_rng([text_seed, seed])
    of_token, of_top = (_noise(rng, len(signals), sd, kind) for _ in range(2))
    of_top = np.where(signals.rank == 0, of_token, of_top)
    logprob, top = (np.minimum(signals.logprob + of_token, 0), np.minimum(signals.top + of_top, 0))
    return replace(signals, logprob=logprob, top=top)


def _noise(rng: np.random.Generator, n: int, sd: float, kind: str) -> FloatArray:
    drawn = rng.laplace(0.0, sd / math.sqrt(2), n) if kind == "laplace" else rng.normal(0.0, sd, n)
    return drawn.astype(np.float32)
