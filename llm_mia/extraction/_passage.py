"""One passage, examined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from ..records import TokenSignals
from ._sampling import Sampling, token_bounds
from ._spans import Span, find_spans, repeated
from ._stretches import Run, greedy_run, stretch_sums

__all__ = ["Examined", "examine"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What signals tell of one passage; positions count scored tokens."""

    stretches: int
    """How many there are, copies included; none in a passage that is too short."""
    copied: int
    """Stretches that are probable but no evidence: most of their tokens stand earlier in the passage."""
    unknown: int
    """Stretches with a token whose probability is not known (NaN)."""
    crossing: int
    """Stretches that go over the edge of a window; no one prompt has the model emit them with a known probability."""
    spans: Sequence[Span]
    likeliest: int
    """Where the likeliest stretch that is no copy begins."""
    log_probability: float
    """Of that stretch, at least; nats; NaN where there is none."""
    log_probability_high: float
    """Of that stretch, at most."""
    greedy: Run
    """The longest run of the model's own first choices, copies left out."""

    def high(self, span: Span) -> float:
        """The most that the log-probability of a span's likeliest stretch can be; for bounds see `token_bounds`."""
        return float(self._high[span.likeliest])

    _high: np.ndarray[tuple[int], np.dtype[np.float64]]


def examine(
    signals: TokenSignals,
    sampling: Sampling | None = None,
    *,
    n: int = 50,
    probability: float = 1e-3,
    skip: int = 0,
    edges: Sequence[int] = (),
) -> Examined:
    """How probably each stretch of *n* tokens is emitted given what precedes it, and the spans that they make.

        p(stretch) = Π_t p(x_t | x_<t)

    exp of a sum of log-probabilities: one pass gives all stretches, where the papers' code runs a window of 50 + 50
    tokens for each place it looks at (every tenth character). What precedes is all that the model was fed, 50 tokens or
    2,000; the papers give 50. Where the passage was fed in several windows, a token after an edge was given less than
    the one before it. A stretch over an edge would multiply probabilities after two prompts, so it counts nowhere.

    Args:
        signals: of the model on one passage.
        sampling: how the model draws its tokens; None: by its own distribution.
        n: tokens of a stretch.
        probability: what a stretch must reach to be in a span.
        skip: scored tokens at the start where no stretch may begin.
        edges: scored tokens with which a further window begins, ascending (see `llm_mia.signals.edges`).

    Raises:
        UsageError: *n* below 1, or *probability* outside (0, 1].

    >>> from types import SimpleNamespace
    >>> logprob = np.log([0.5, 0.5, 1.0, 1.0, 0.01])
    >>> signals = SimpleNamespace(logprob=logprob, rank=np.array([0, 1, 0, 0, 9]), token_ids=np.arange(5))
    >>> found = examine(signals, n=3, probability=0.5)
    >>> found.stretches, found.likeliest, round(math.exp(found.log_probability), 3), found.greedy
    (3, 1, 0.5, Run(start=2, length=2))
    """
    if n < 1:
        raise UsageError(f"`n` must be at least 1 token: got {n}")
    if not 0 < probability <= 1:
        raise UsageError(f"`probability` must lie between 0 and 1, 0 excluded: got {probability:g}")
    low, high = token_bounds(signals, sampling or Sampling())
    lows, highs = stretch_sums(low, n)[skip:], stretch_sums(high, n)[skip:]
    starts = np.arange(skip, skip + len(lows))
    crossing = np.searchsorted(edges, starts, "right") < np.searchsorted(edges, starts + n, "left")
    copies = repeated(signals.token_ids)
    copied = stretch_sums(-copies.astype(np.float64), n)[skip:] < -n / 2
    counted = np.where(copied | crossing, np.nan, lows)
    best = int(np.nanargmax(counted)) if not np.isnan(counted).all() else -1
    full = np.concatenate([np.full(min(skip, max(len(low) - n + 1, 0)), np.nan), counted])
    at = slice(best, best + 1)
    return Examined(
        stretches=len(lows),
        copied=int((copied & (lows >= math.log(probability))).sum()),
        unknown=int(np.isnan(lows).sum()),
        crossing=int(crossing.sum()),
        spans=find_spans(full, low, n, probability),
        likeliest=best + skip,
        log_probability=float(lows[at][0]) if best >= 0 else math.nan,
        log_probability_high=float(highs[at][0]) if best >= 0 else math.nan,
        greedy=greedy_run(np.where(copies, 1, signals.rank), edges),
        _high=np.concatenate([np.full(len(full) - len(highs), np.nan), highs]),
    )
