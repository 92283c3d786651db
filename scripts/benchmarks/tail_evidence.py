"""What scores of the tail are computed from: the signals of a trial, and what the target never touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .tail_trials import Bools, Flat, Masks, TailTrial

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TailEvidence:
    """A trial after an epoch."""

    trial: TailTrial
    epoch: int
    target: Flat
    reference: Flat
    texts: Mapping[str, Floats]
    """See `tail_trials.describe`."""
    masks: Masks

    @property
    def name(self) -> str:
        """A name for messages."""
        return f"{self.trial.name}, {self.epoch} epochs"

    @property
    def fitted(self) -> Bools:
        """Non-members on which a score may be fitted; shape (passages,)."""
        return self.masks.fitted

    @property
    def fitted_tokens(self) -> Bools:
        """The tokens of these passages; shape (tokens,)."""
        return np.repeat(self.fitted, self.target.lengths)

    @cached_property
    def gains(self) -> Floats:
        """Log-likelihood under the target less that under the reference; shape (tokens,)."""
        return self.target.logprob - self.reference.logprob

    @cached_property
    def untouched(self) -> Floats:
        """What the target never touches, by passage, in standard units; shape (passages, features).

        Loss, entropy and spread of the reference, the spread of its losses, the share of its first choices, its
        largest log-likelihood; the number of tokens; what zlib saves, and bytes a token.
        """
        seen = self.reference
        loss, lengths = seen.means(-seen.logprob), seen.lengths.astype(np.float64)
        squares = seen.means(seen.logprob**2)
        columns = [
            loss,
            seen.means(-seen.mean),
            seen.means(seen.std),
            np.sqrt(np.maximum(squares - loss**2, 0)),
            seen.means((seen.rank == 0).astype(np.float64)),
            seen.means(-seen.top),
            np.log(lengths),
            1 / np.sqrt(lengths),
            self.texts["zlib"] / self.texts["bytes"],
            self.texts["bytes"] / lengths,
        ]
        features = np.column_stack(columns)
        known = features[self.fitted]
        return np.asarray(np.clip((features - known.mean(axis=0)) / known.std(axis=0), -4, 4))
