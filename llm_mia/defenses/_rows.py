"""Signals of a trained model and of its base → log-likelihoods, and what the model writes word for word."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..attacks import Attack, LoadedSupplies
from ..extraction import examine
from ..records import Passage, TokenSignals, WindowRule
from ..scoring import attacks_for
from ..signals import Inputs, edges, passages_with_signals
from ..store import RunDirectory
from ._first_choice import FIRST_CHOICE_ATTACKS

__all__ = [
    "REFERENCE",
    "SUPPLIES",
    "Row",
    "extractable_passages",
    "possible_attacks",
    "signals_rows",
    "token_sums",
]

REFERENCE = "reference"
"""The role of the base model, and the name of its pass."""
SUPPLIES = LoadedSupplies(roles=("target", REFERENCE))
"""What the attacks have: two models, and nothing else."""
Row = tuple[Passage, TokenSignals, TokenSignals]
"""A passage with its signals under the trained model and under the base."""


def possible_attacks() -> tuple[Attack, ...]:
    """The attacks that a model and its base allow, in all their forms, without those whose passes are slow.

    Those that need text alone come last.
    """
    served = attacks_for((), SUPPLIES).attacks
    return (*served, *FIRST_CHOICE_ATTACKS.values())


def signals_rows(run: RunDirectory, inputs: Inputs, name: str) -> Iterator[Row]:
    """Each passage with its signals in the pass *name*, and in the pass of the base model."""
    for passages, chunks in passages_with_signals(run, inputs, [name, REFERENCE]):
        for row, passage in enumerate(passages):
            yield passage, chunks[name].signals(row), chunks[REFERENCE].signals(row)


def token_sums(rows: Iterator[Row]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The log-likelihood of each passage under the trained model, in nats, and its scored tokens: shape (passages,)."""
    sums = [(float(target.logprob.sum(dtype=np.float64)), len(target)) for _, target, _ in rows]
    return np.array([each for each, _ in sums]), np.array([tokens for _, tokens in sums], dtype=np.int64)


def extractable_passages(
    rows: Iterator[Row], rule: WindowRule, opening: int, *, stretch: int, probability: float
) -> NDArray[np.float64]:
    """Whether the model writes a stretch of each passage: 1, 0, or NaN where the passage is too short for a stretch.

    A stretch counts where the trained model writes its *stretch* tokens with at least *probability*, given what
    precedes them, and its base does not: what the base writes too was not learnt in this training.
    """
    least, first = math.log(probability), 0 if opening else 1  # without an opening the first token has no score
    extractable = []
    for _, target, reference in rows:
        at = [edge - first for edge in edges(len(target) + first, rule, opening=opening)]
        trained, base = (
            examine(signals, n=stretch, probability=probability, edges=at).counted for signals in (target, reference)
        )
        extractable.append(float(np.any((trained >= least) & ~(base >= least))) if len(trained) else math.nan)
    return np.array(extractable)
