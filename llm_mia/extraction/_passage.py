"""The stretches and spans of a passage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from ..records import TokenSignals
from ._sampling import Sampling, token_bounds
from ._spans import Span, find_spans, repeated_tokens
from ._stretches import TokenRun, greedy_run, stretch_sums

__all__ = ["Examination", "examine"]


@dataclass(frozen=True, slots=True)
class Examination:
    """What the signals of a passage show; positions count scored tokens."""

    stretches: int
    """How many there are, copies included; 0 in a passage that is too short."""
    copied: int
    """Stretches that are probable but are no evidence, because most of their tokens occur earlier in the passage."""
    unknown: int
    """Stretches with a token whose probability is not known (NaN)."""
    crossing: int
    """Stretches that cross the edge of a window, so that there is no prompt after which their probability is known."""
    spans: Sequence[Span]
    likeliest: int
    """Where the likeliest stretch that counts begins."""
    log_probability: float
    """Of that stretch, lower bound, nats; NaN where there is none."""
    log_probability_high: float
    """Of that stretch, upper bound."""
    greedy: TokenRun
    """The longest run of the model's first choices, copies left out."""

    def upper_bound(self, span: Span) -> float:
        """Upper bound on the log-probability of a span's likeliest stretch, see `token_bounds`."""
        return float(self._upper_bounds[span.likeliest])

    counted: np.ndarray[tuple[int], np.dtype[np.float64]]
    """Log-probability of each stretch, lower bound, shape (stretches from the first token,); NaN where a stretch does
    not count."""
    _upper_bounds: np.ndarray[tuple[int], np.dtype[np.float64]]


def examine(
    signals: TokenSignals,
    sampling: Sampling | None = None,
    *,
    n: int = 50,
    probability: float = 1e-3,
    skip: int = 0,
    edges: Sequence[int] = (),
) -> Examination:
    """The stretches of *n* tokens of a passage, how probably the model emits each, and the spans that they form.

        p(stretch) = Π_t p(x_t | x_<t)

    The probability of a stretch is exp of a sum of log-probabilities, so a single pass gives that of every stretch; the
    papers' code runs a window of 50 + 50 tokens for every tenth character. x_<t is all that precedes the token in its
    window, up to the whole window; in the papers it is 50 tokens. Where the passage was fed in several windows, a token
    after an edge was given less than the token before it. A stretch that crosses an edge would multiply probabilities
    after two different prompts, so it does not count.

    Args:
        signals: of the model on the passage.
        sampling: how the model draws its tokens; None: from its distribution.
        n: tokens of a stretch.
        probability: the least probability with which a stretch is part of a span.
        skip: number of scored tokens at the start at which no stretch may begin.
        edges: positions of the scored tokens with which a further window begins, ascending (see
            `llm_mia.signals.edges`).

    Raises:
        UsageError: *n* is below 1, or *probability* outside (0, 1].

    >>> from types import SimpleNamespace
    >>> logprob = np.log([0.5, 0.5, 1.0, 1.0, 0.01])
    >>> signals = SimpleNamespace(logprob=logprob, rank=np.array([0, 1, 0, 0, 9]), token_ids=np.arange(5))
    >>> result = examine(signals, n=3, probability=0.5)
    >>> result.stretches, result.likeliest, round(math.exp(result.log_probability), 3), result.greedy
    (3, 1, 0.5, TokenRun(start=2, length=2))
    """
    if n < 1:
        raise UsageError(f"`n` is {n}: a stretch has at least 1 token")
    if not 0 < probability <= 1:
        raise UsageError(f"`probability` is {probability:g}: it must be above 0, and at most 1")
    low, high = token_bounds(signals, sampling or Sampling())
    lows, highs = stretch_sums(low, n)[skip:], stretch_sums(high, n)[skip:]
    starts = np.arange(skip, skip + len(lows))
    crossing = np.searchsorted(edges, starts, "right") < np.searchsorted(edges, starts + n, "left")
    copies = repeated_tokens(signals.token_ids)
    copied = stretch_sums(-copies.astype(np.float64), n)[skip:] < -n / 2
    counted = np.where(copied | crossing, np.nan, lows)
    best = int(np.nanargmax(counted)) if not np.isnan(counted).all() else -1
    full = np.concatenate([np.full(min(skip, max(len(low) - n + 1, 0)), np.nan), counted])
    at = slice(best, best + 1)
    return Examination(
        stretches=len(lows),
        copied=int((copied & (lows >= math.log(probability))).sum()),
        unknown=int(np.isnan(lows).sum()),
        crossing=int(crossing.sum()),
        spans=find_spans(full, low, n, probability),
        likeliest=best + skip,
        log_probability=float(lows[at][0]) if best >= 0 else math.nan,
        log_probability_high=float(highs[at][0]) if best >= 0 else math.nan,
        greedy=greedy_run(np.where(copies, 1, signals.rank), edges),
        counted=full,
        _upper_bounds=np.concatenate([np.full(len(full) - len(highs), np.nan), highs]),
    )
