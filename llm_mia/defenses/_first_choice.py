"""Attacks on text alone: which tokens the model would write itself, where no log-probability is shown.

They are not among the attacks of `llm_mia.attacks`, because every attack there has likelihoods, which show more.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..attacks import Attack

__all__ = ["FIRST_CHOICE_ATTACKS", "Choices"]

PAPER = "ours; nearest is Choquette-Choo et al. 2021, arXiv:2007.14321"


class Choices(Protocol):
    """Token signals of which an attack reads whether each token is the model's first choice."""

    @property
    def rank(self) -> NDArray[np.int32]:
        """0 where the token is the model's first choice."""

    def __len__(self) -> int: ...


def first_choice(target: Choices) -> float:
    """Share of the tokens that the model itself would write after the tokens before them, 0 to 1.

        1/n · Σ_t 1[x_t is the likeliest token after x_<t]

    >>> from llm_mia import TokenSignals
    >>> first_choice(TokenSignals.of([-1, -2], rank=[0, 1]))
    0.5
    """
    return float((target.rank == 0).mean())


def first_choice_gain(target: Choices, reference: Choices) -> float:
    """`first_choice` of the target less that of the reference model, which removes how difficult the text is.

    >>> from llm_mia import TokenSignals
    >>> first_choice_gain(TokenSignals.of([-1, -2], rank=[0, 1]), TokenSignals.of([-1, -2], rank=[3, 1]))
    0.5
    """
    return first_choice(target) - first_choice(reference)


FIRST_CHOICE_ATTACKS = {
    attack.name: attack
    for attack in (
        Attack("first_choice", first_choice, PAPER, ("target",)),
        Attack("first_choice_gain", first_choice_gain, PAPER, ("target", "reference")),
    )
}
"""By name."""
