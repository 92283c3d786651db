"""How a token is drawn, and what signals show of its probability then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..records import TokenSignals

__all__ = ["Floats", "Sampling", "token_bounds"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    Raises:
        UsageError: ``top_k`` is below 1, or signals do not give probabilities at this ``temperature``.
    """

    temperature: float = 1.0
    """1: from the model's distribution. 0: greedy, always the likeliest token."""
    top_k: int | None = None
    """Draw among the k likeliest tokens only; None: among all."""

    def __post_init__(self) -> None:
        if self.temperature not in (0.0, 1.0):
            raise UsageError(
                f"`temperature` is {self.temperature:g}: it must be 1, or 0 for greedy decoding, because any other "
                "temperature needs the probabilities of all tokens, and signals do not hold them"
            )
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"`top_k` is {self.top_k}: it must be at least 1")

    @property
    def greedy(self) -> bool:
        """Whether there is nothing to draw."""
        return self.temperature == 0.0 or self.top_k == 1

    @property
    def exact(self) -> bool:
        """Whether signals give probabilities, and not only bounds on them."""
        return self.greedy or self.top_k is None


def token_bounds(signals: TokenSignals, sampling: Sampling) -> tuple[Floats, Floats]:
    """Least and largest log-probability of each token under *sampling*, shapes (tokens,), nats; equal where exact.

    Greedy: 0 where the rank is 0, else -inf; a token that ties with the model's first choice counts as chosen.
    Top-k: -inf where k tokens or more are strictly likelier. Else the token's probability is divided by the kept mass
    Z, for which signals give a range:

        max(top + rank · p, 1 − δ) ≤ Z ≤ 1

    The first is the mass of the likelier tokens (the top, and others that exceed p) and of the token itself. δ is an
    upper bound on the mass that is cut off, from the entropy H: tokens cut off are no likelier than v, the lesser of p
    and of an equal share of what the others leave, (1 − top − rank · p)/(k − 1 − rank); tokens kept, except the top,
    are no likelier than m = min(top, 1 − top). So H ≥ −top·log top − (1 − top − δ)·log m − δ·log v, which is solved for
    δ. The papers use the renormalised logits, which takes a pass for every k.

    NaN stays NaN. Where a backend gives no entropy (NaN), only the first bound is used.

    >>> from types import SimpleNamespace
    >>> signals = SimpleNamespace(
    ...     logprob=np.log([0.5, 0.2]), top=np.log([0.5, 0.6]), mean=np.full(2, np.nan), rank=np.array([0, 1])
    ... )
    >>> low, high = token_bounds(signals, Sampling(top_k=40))
    >>> np.exp(low), np.exp(high)  # the second: 0.2 / (0.6 + 0.2)
    (array([0.5, 0.2]), array([1.  , 0.25]))
    >>> np.exp(token_bounds(signals, Sampling(temperature=0))[0])
    array([1., 0.])
    """
    logprob = np.asarray(signals.logprob, dtype=np.float64)
    if sampling.greedy:
        chosen = np.where(np.isnan(logprob), np.nan, np.where(signals.rank == 0, 0.0, -np.inf))
        return chosen, chosen
    if sampling.top_k is None:
        return logprob, logprob
    kept = np.isnan(logprob) | (np.asarray(signals.rank) < sampling.top_k)
    low = np.where(kept, logprob, -np.inf)
    high = np.minimum(logprob - np.log(_least_mass(signals, sampling.top_k)), 0.0)
    return low, np.where(kept, np.maximum(high, low), -np.inf)


def _least_mass(signals: TokenSignals, k: int) -> Floats:
    """Lower bound on the mass of the k likeliest tokens, shape (tokens,); valid where the token is among them."""
    p, top = (np.exp(np.asarray(log, dtype=np.float64)) for log in (signals.logprob, signals.top))
    rank = np.asarray(signals.rank, dtype=np.float64)
    seen = top + rank * p
    with np.errstate(all="ignore"):  # a token with probability 1 has the bound NaN, and `seen` is 1
        rest = 1.0 - top
        share = np.where(k - 1 - rank > 0, np.maximum(1.0 - seen, 0.0) / np.maximum(k - 1 - rank, 1.0), np.inf)
        likeliest_cut = np.minimum(p, share)
        likeliest_kept = np.minimum(top, rest)
        entropy = -np.asarray(signals.mean, dtype=np.float64)
        entropy += 1e-5 * (1.0 + entropy)  # the rounding of float32 signals must not break the bound
        spare = entropy + top * np.log(top) + rest * np.log(likeliest_kept)
        cut = spare / (np.log(likeliest_kept) - np.log(likeliest_cut))
        bound = np.where(likeliest_cut < likeliest_kept, 1.0 - cut, np.nan)
    return np.clip(np.fmax(seen, bound), np.finfo(np.float64).tiny, 1.0)
