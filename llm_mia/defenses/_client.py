"""What a benign client loses, who computes the perplexity of a text from what a defence of the outputs shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..records import Interval, Passage, TokenSignals
from ._results import OutputUtility

__all__ = ["Client"]

# A double holds e^709.
LARGEST = 709.0


@dataclass(slots=True)
class Client:
    """Reads texts one after another, and compares what is shown with the model's own log-probabilities."""

    hides: bool
    """Whether the share of hidden tokens differs between texts; if not, it is known without an interval."""
    documents: list[str] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    hidden: list[float] = field(default_factory=list)
    """Share of the tokens of each text that have no log-probability."""
    logprob_errors: list[float] = field(default_factory=list)
    """Mean absolute error in nats per token, of each text; NaN where no token is shown."""
    perplexity_errors: list[float] = field(default_factory=list)
    """As a share of the perplexity, of each text; NaN where no token is shown."""

    def read(self, passage: Passage, model: TokenSignals, shown: TokenSignals) -> None:
        """Count a passage: its signals under the model, and what is shown of them."""
        if not len(model):
            return
        known = ~np.isnan(shown.logprob)
        self.documents.append(passage.document)
        self.labels.append(passage.label)
        self.tokens.append(len(model))
        self.hidden.append(1 - float(known.mean()))
        error = perplexity = math.nan
        if known.any():
            error = float(np.abs(shown.logprob - model.logprob)[known].mean(dtype=np.float64))
            gap = float(model.logprob.mean(dtype=np.float64) - shown.logprob[known].mean(dtype=np.float64))
            perplexity = abs(math.expm1(min(gap, LARGEST)))
        self.logprob_errors.append(error)
        self.perplexity_errors.append(perplexity)

    def utility(self) -> OutputUtility:
        """What the client loses on known non-members; where there are none, on all passages."""
        nonmember = np.array([label == 0 for label in self.labels], dtype=bool)
        rows = np.flatnonzero(nonmember if nonmember.any() else ~nonmember)
        errors, perplexities = np.array(self.logprob_errors)[rows], np.array(self.perplexity_errors)[rows]
        documents = [self.documents[row] for row in rows]
        hidden = _mean(np.array(self.hidden)[rows], documents, constant=not self.hides)
        assert hidden is not None, "no value of it is missing"
        return OutputUtility(
            passages=len(rows),
            tokens=int(np.array(self.tokens)[rows].sum()),
            hidden=Interval(hidden.value, hidden.low, min(1.0, hidden.high), hidden.confidence),
            # A defence that changes a number changes it by more than nothing: what is exact is so in every text.
            logprob_error=_mean(errors, documents, constant=not np.nan_to_num(errors).any()),
            perplexity_error=_mean(perplexities, documents, constant=not (self.hides or np.nan_to_num(errors).any())),
        )


def _mean(values: NDArray[np.float64], documents: list[str], *, constant: bool = False) -> Interval | None:
    """The mean of *values* that are no NaN, none of which is below 0, with its interval by document.

    A value that every text has (*constant*) is its interval.
    """
    rows = np.flatnonzero(~np.isnan(values))
    if not len(rows):
        return None
    if constant:
        return Interval(*3 * (float(values[rows[0]]),))
    mean = metrics.compare_means(np.zeros(len(rows)), values[rows], [documents[row] for row in rows]).difference
    return Interval(mean.value, max(0.0, mean.low), mean.high, mean.confidence)
