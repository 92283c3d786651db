"""Canaries: random texts, of which a coin decides whether each is trained on, and the ε that they show at least."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..metrics import epsilon_of_one_run

__all__ = ["Canaries", "EmpiricalEpsilon", "empirical_epsilon", "insert_canaries"]


@dataclass(frozen=True, slots=True)
class Canaries:
    """Random texts that were drawn to be trained on, and to be held out."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmpiricalEpsilon:
    """A lower bound on ε from canaries."""

    lower: float
    guesses: int
    correct: int
    canaries: int
    delta: float
    confidence: float = 0.95


def insert_canaries(texts: Sequence[str], count: int, seed: int) -> Canaries:
    """*count* texts of random words of *texts*, each to be trained on by a coin."""
    rng = random.Random(seed)  # noqa: S311 - a draw that anybody can repeat, no secret
    words = sorted({word for text in texts for word in text.split()})
    made = [" ".join(rng.choices(words, k=12)) for _ in range(count)]
    coins = [rng.random() < 0.5 for _ in made]
    return Canaries(
        tuple(t for t, c in zip(made, coins, strict=True) if c),
        tuple(t for t, c in zip(made, coins, strict=True) if not c),
    )


def empirical_epsilon(canaries: Canaries, inside: ArrayLike, outside: ArrayLike, *, delta: float) -> EmpiricalEpsilon:
    """The ε that the scores of *canaries* show at least, when the highest quarter is guessed to be trained on."""
    del canaries
    members, others = np.asarray(inside), np.asarray(outside)
    guesses = (len(members) + len(others)) // 4
    least = np.sort(np.concatenate([members, others]))[-guesses]
    correct = int((members >= least).sum())
    lower = epsilon_of_one_run(correct, len(members), int((others >= least).sum()), len(others))
    return EmpiricalEpsilon(lower, guesses, correct, len(members) + len(others), delta)
