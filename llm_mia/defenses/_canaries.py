"""Canaries: random texts, of which a coin decides whether each is trained on, and the ε that they show at least."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ScoresError, UsageError
from ..metrics import epsilon_of_guesses

__all__ = ["Canaries", "EmpiricalEpsilon", "empirical_epsilon", "flip_coins", "insert_canaries"]

WORDS = 16
"""Words of a canary: enough that no canary is likely by chance, and few enough that a step learns it by heart."""
LONGEST_WORD = 20
FEWEST_WORDS = 100
"""Where the texts have fewer different words, the words of canaries are random letters."""
FEWEST = 4


@dataclass(frozen=True, slots=True)
class Canaries:
    """Texts, each of which a coin put inside the training texts or outside."""

    inside: tuple[str, ...]
    """To be trained on."""
    outside: tuple[str, ...]
    """Not to be trained on."""


@dataclass(frozen=True, slots=True)
class EmpiricalEpsilon:
    """A lower bound on the ε of a training, from guesses which canaries it was trained on."""

    lower: float
    """With the given confidence, the ε of the training at δ is larger than this."""
    guesses: int
    """About how many canaries something was guessed; nothing was guessed about the others."""
    correct: int
    """How many guesses are right."""
    canaries: int
    """How many canaries there are, inside and outside."""
    delta: float
    highest: float
    """The bound if all guesses were right: so few guesses cannot show a larger ε."""
    confidence: float = 0.95


def insert_canaries(texts: Sequence[str], count: int, seed: int) -> Canaries:
    """*count* random texts, each of which a fair coin puts inside the training texts or outside.

    A canary is 16 words, drawn uniformly from the different words of *texts*. The same texts, count and seed give the
    same canaries.

    Raises:
        UsageError: *count* is below 4.
    """
    if count < FEWEST:
        raise UsageError(f"`canaries` is {count}: it must be at least {FEWEST}")
    words = sorted({word for text in texts for word in text.split() if len(word) <= LONGEST_WORD})
    rng = np.random.default_rng(int.from_bytes(_digest("words", seed, "")))
    if len(words) < FEWEST_WORDS:
        letters = [*"abcdefghijklmnopqrstuvwxyz"]
        words = ["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(FEWEST_WORDS)]
    drawn, given = dict[str, None](), set(texts)
    while len(drawn) < count:
        text = " ".join(rng.choice(words, WORDS))
        if text not in given:
            drawn[text] = None
    return flip_coins([*drawn], seed)


def flip_coins(texts: Sequence[str], seed: int) -> Canaries:
    """The given *texts* as canaries: for each, a fair coin decides whether it is inside the training texts or outside.

    The coin is drawn by SHA-256 from *seed* and the text, so it depends neither on the other texts nor on their order.
    The texts must occur nowhere else in the training texts.

    Raises:
        UsageError: there are fewer than 4 texts, or a text occurs twice.
    """
    if len(texts) < FEWEST:
        raise UsageError(f"there are {len(texts)} canaries: give at least {FEWEST} texts")
    if len(set(texts)) < len(texts):
        repeated = next(text for i, text in enumerate(texts) if text in texts[:i])
        raise UsageError(f"the canary {repeated[:40]!r} occurs twice: give different texts")
    heads = [_digest("coin", seed, text)[0] & 1 == 1 for text in texts]
    return Canaries(
        tuple(text for text, head in zip(texts, heads, strict=True) if head),
        tuple(text for text, head in zip(texts, heads, strict=True) if not head),
    )


def empirical_epsilon(
    canaries: Canaries,
    inside: ArrayLike,
    outside: ArrayLike,
    *,
    delta: float = 0.0,
    confidence: float = 0.95,
    guesses: int | None = None,
) -> EmpiricalEpsilon:
    """A lower bound on the ε of a training, from the scores of *canaries* by an attack on the trained model.

    The guess is *trained on* for the canaries with the highest scores and *not trained on* for as many with the lowest;
    nothing is guessed about those in between. The guarantee is that of `epsilon_of_guesses`: it needs no assumption
    about the attack, which may use nothing but the trained model, the base model and the texts. A bound of 0 does not
    show that the training is private: another attack may guess better.

    Args:
        canaries: as they were inserted, `Canaries.inside` into the training texts.
        inside: their scores, in the same order; higher is more member-like.
        outside: the scores of the canaries outside.
        delta: δ of the ε that is bounded.
        confidence: of the bound.
        guesses: how many guesses are given, an even number; None: half of the canaries. It must be chosen without a
            look at the scores.

    Raises:
        ScoresError: not every canary has a score, or a score is NaN.
        UsageError: *guesses* is odd, below 2 or above the number of canaries, or as for `epsilon_of_guesses`.
    """
    texts = [*canaries.inside, *canaries.outside]
    count = len(texts)
    member = np.arange(count) < len(canaries.inside)
    scores = _scores(canaries, inside, outside)
    number = 2 * (count // 4) if guesses is None else guesses
    if number % 2 or not 2 <= number <= count:
        raise UsageError(f"`guesses` is {number}: it must be an even number from 2 to {count}, the number of canaries")
    # Equal scores are ordered by the text, because their order here would give the coins away.
    order = sorted(range(count), key=lambda at: (scores[at], _digest("tie", 0, texts[at])))
    half = number // 2
    correct = int(member[order[count - half :]].sum() + (~member[order[:half]]).sum())
    lower, highest = (
        epsilon_of_guesses(right, number, count, delta=delta, confidence=confidence) for right in (correct, number)
    )
    return EmpiricalEpsilon(lower, number, correct, count, delta, highest, confidence)


def _scores(canaries: Canaries, inside: ArrayLike, outside: ArrayLike) -> NDArray[np.float64]:
    """The scores of the canaries inside, then of those outside."""
    parts = [np.asarray(scores, dtype=np.float64).reshape(-1) for scores in (inside, outside)]
    for scores, texts, where in zip(parts, (canaries.inside, canaries.outside), ("inside", "outside"), strict=True):
        if len(scores) != len(texts):
            raise ScoresError(
                f"there are {len(scores)} scores for {len(texts)} canaries {where}: give a score for each"
            )
        if np.isnan(scores).any():
            at = int(np.isnan(scores).argmax())
            raise ScoresError(f"the score of the canary {texts[at][:40]!r} is NaN: use an attack that gives a number")
    return np.concatenate(parts)


def _digest(purpose: str, seed: int, text: str) -> bytes:
    return hashlib.sha256(f"canary {purpose}\0{seed}\0{text}".encode()).digest()
